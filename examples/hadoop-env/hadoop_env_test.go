// Package hadoopenv_test runs the example: start scripts that source arenacap-env.sh, with arenacap, without it and with a
// policy that has a mistake; and Tomcat from the distribution's package behind its setenv.sh.
package hadoopenv_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
)

func setUp(t *testing.T) (ctx context.Context, dir, arenacap, file string) {
	t.Helper()
	dir = lab.Dir(t)
	arenacap, err := lab.Arenacap(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = lab.Copy("policy.toml", dir); err != nil {
		t.Fatal(err)
	}
	return lab.Within(t, 2*time.Minute), dir, arenacap, file
}

// hadoopLine is the line that Hadoop's hadoop-config.sh has further down, and the words that the test reads.
const hadoopLine = `
export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4}
sh -c 'echo "max=$MALLOC_ARENA_MAX test=${MALLOC_ARENA_TEST-unset}"'
echo "left: ${arenacap_env-nothing}"
`

func TestFragment(t *testing.T) {
	lab.Need(t, "go", "dash", "bash")
	ctx, dir, arenacap, file := setUp(t)
	broken := filepath.Join(dir, "broken.toml")
	if err := os.WriteFile(broken, []byte("[arenas]\ncap = 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	without := binWithout(t, dir)
	with := filepath.Dir(arenacap) + ":" + without
	for _, c := range []struct {
		name, service, path, policy, want string
		complains                         bool
	}{
		{"a service of the policy", "datanode", with, file, "max=4 test=3", false},
		{"another service", "tomcat", with, file, "max=2 test=1", false},
		{"glibc's limit stays though Hadoop has a default", "namenode", with, file, "max=0 test=unset", false},
		{"arenacap is not installed", "tomcat", without, file, "max=4 test=unset", false},
		{"a policy with a mistake", "tomcat", with, broken, "max=4 test=unset", true},
		{"a policy that is missing", "tomcat", with, dir + "/missing.toml", "max=4 test=unset", true},
	} {
		for _, shell := range shells() {
			t.Run(shell+": "+c.name, func(t *testing.T) {
				script := "set -eu\nARENACAP_SERVICE=" + c.service + "\n. ./arenacap-env.sh\n. ./arenacap-env.sh\n" + hadoopLine
				cmd := exec.CommandContext(ctx, shell, "-c", script)
				cmd.Env = []string{"PATH=" + c.path, "HOME=" + dir, "ARENACAP_POLICY=" + c.policy}
				var out, errs strings.Builder
				cmd.Stdout, cmd.Stderr = &out, &errs
				if err := cmd.Run(); err != nil {
					t.Fatalf("%v\n%s", err, errs.String())
				}
				if want := c.want + "\nleft: nothing\n"; out.String() != want {
					t.Errorf("stdout %q, want %q", out.String(), want)
				}
				if complained := errs.Len() > 0; complained != c.complains {
					t.Errorf("stderr: %q", errs.String())
				}
			})
		}
	}
}

// binWithout is a folder like /usr/bin but for arenacap, which may be installed there. It is called bin, as Tomcat looks
// for ../bin/java from where java is.
func binWithout(t *testing.T, dir string) string {
	t.Helper()
	bin := filepath.Join(dir, "without", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	programs, err := os.ReadDir("/usr/bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		if program.Name() == "arenacap" {
			continue
		}
		if err := os.Symlink(filepath.Join("/usr/bin", program.Name()), filepath.Join(bin, program.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// shells is dash and bash, and what else of sh's family is installed.
func shells() []string {
	var found []string
	for _, shell := range []string{"dash", "bash", "ksh", "zsh"} {
		if path, err := exec.LookPath(shell); err == nil {
			found = append(found, path)
		}
	}
	return found
}

func TestTomcat(t *testing.T) {
	lab.Need(t, "go", "/usr/bin/java")
	const home = "/usr/share/tomcat10"
	lab.Need(t, home+"/bin/catalina.sh")
	ctx, dir, arenacap, file := setUp(t)
	base := filepath.Join(dir, "tomcat")
	if err := os.CopyFS(base, os.DirFS("tomcat")); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Copy("arenacap-env.sh", filepath.Join(base, "bin")); err != nil {
		t.Fatal(err)
	}
	without := binWithout(t, dir)
	for _, c := range []struct {
		name, path, max, test string
		most                  int
	}{
		{"capped by the policy", filepath.Dir(arenacap) + ":" + without, "2", "1", 2},
		{"arenacap is not installed", without, "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(ctx, home+"/bin/catalina.sh", "run")
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + c.path, "HOME=" + dir, "CATALINA_HOME=" + home, "CATALINA_BASE=" + base,
				"CATALINA_TMPDIR=" + dir, "ARENACAP_POLICY=" + file}
			checkTomcat(ctx, t, cmd, c.max, c.test, c.most)
		})
	}
}

// checkTomcat starts Tomcat, looks at the JVM's environment and arenas once it has answered, and ends it.
func checkTomcat(ctx context.Context, t *testing.T, cmd *exec.Cmd, wantMax, wantTest string, most int) {
	p, err := lab.Start(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	get(ctx, t, p)
	env, err := lab.Environ(p.Pid) // catalina.sh execs the JVM: the same PID
	if err != nil {
		t.Fatal(err)
	}
	if env["MALLOC_ARENA_MAX"] != wantMax || env["MALLOC_ARENA_TEST"] != wantTest {
		t.Errorf("the JVM has MALLOC_ARENA_MAX=%q MALLOC_ARENA_TEST=%q, want %q and %q", env["MALLOC_ARENA_MAX"], env["MALLOC_ARENA_TEST"], wantMax, wantTest)
	}
	census, err := arena.Count(p.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d arenas", census.Arenas)
	if most != 0 && census.Arenas > most {
		t.Errorf("%d arenas, want %d at most", census.Arenas, most)
	}
	const terminated = 143 // the JVM catches SIGTERM, shuts down and exits with 128 + 15
	if status, err := p.Stop(ctx); status != terminated || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v, want %d", status, err, terminated)
	}
	if _, err := p.AwaitText(ctx, "Destroying ProtocolHandler"); err != nil {
		t.Error(err)
	}
}

// get fetches the example's page from the port that Tomcat says it took.
func get(ctx context.Context, t *testing.T, p *lab.Process) {
	t.Helper()
	line, err := p.AwaitText(ctx, "Starting ProtocolHandler")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AwaitText(ctx, "Server startup in"); err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`auto-1-(\d+)`).FindStringSubmatch(line)
	if port == nil {
		t.Fatalf("no port in %q", line)
	}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:"+port[1]+"/hello.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 200 || string(body) != "hello from a capped JVM\n" {
		t.Errorf("%s, %q, %v", answer.Status, body, err)
	}
}
