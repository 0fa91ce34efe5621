//go:build upstream

package hadoopenv_test

// This test runs Tomcat from Debian's package tomcat10; .ci/upstream runs the test.

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
	"arenacap/launcher/testenv"
)

func TestTomcat(t *testing.T) {
	testenv.Need(t, "go", "/usr/bin/java")
	const home = "/usr/share/tomcat10"
	testenv.Need(t, home+"/bin/catalina.sh")
	ctx, dir, arenacap, file := setUp(t)
	base := tomcatBase(t, dir)
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

// checkTomcat starts Tomcat, checks the JVM's environment and arenas after one request, and stops it.
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

// get fetches the example's page from the port in Tomcat's log.
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
