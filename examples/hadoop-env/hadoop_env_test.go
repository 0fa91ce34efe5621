// Package hadoopenv_test runs the example: start scripts that source arenacap-env.sh, with arenacap, without it and
// with an invalid policy. tomcat_test.go tests Tomcat with its setenv.sh, hdfs_test.go and yarn_test.go Hadoop's own
// daemons.
package hadoopenv_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

func setUp(t *testing.T) (ctx context.Context, dir, arenacap, file string) {
	t.Helper()
	dir = lab.Dir(t)
	arenacap, err := lab.Arenacap(dir)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = lab.Copy("policy.toml", dir); err != nil {
		t.Fatal(err)
	}
	return lab.Within(t, 2*time.Minute), dir, arenacap, file
}

// hadoopLine begins with the line that Hadoop's scripts run after hadoop-env.sh, which sources arenacap-env.sh. The
// lines after it print the variables for the test.
const hadoopLine = `
export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4}
sh -c 'echo "max=$MALLOC_ARENA_MAX test=${MALLOC_ARENA_TEST-unset}"'
echo "left: ${arenacap_env-nothing}"
`

func TestFragment(t *testing.T) {
	testenv.Need(t, "go", "dash", "bash")
	ctx, dir, arenacap, file := setUp(t)
	broken := filepath.Join(dir, "broken.toml")
	if err := os.WriteFile(broken, []byte("[arenas]\ncap = 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	without := binWithout(t, dir)
	with := filepath.Dir(arenacap) + ":" + without
	for _, c := range []struct {
		name, service, path, policy, want string
		lines                             int // number of lines on stderr; the script sources arenacap-env.sh twice, so each message occurs twice
	}{
		{"a service of the policy", "datanode", with, file, "max=4 test=3", 0},
		{"another service", "tomcat", with, file, "max=2 test=1", 0},
		{"glibc's limit stays though Hadoop has a default", "namenode", with, file, "max=0 test=unset", 0},
		{"arenacap is not installed", "tomcat", without, file, "max=4 test=unset", 0},
		{"a policy with a mistake", "tomcat", with, broken, "max=4 test=unset", 2},
		{"a policy that is missing", "tomcat", with, dir + "/missing.toml", "max=4 test=unset", 2},
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
				if lines := strings.Count(errs.String(), "\n"); lines != c.lines {
					t.Errorf("%d lines on stderr, want %d: %q", lines, c.lines, errs.String())
				}
			})
		}
	}
}

// TestHadoopOrder checks which cap wins for each place in Hadoop's scripts where the fragment arenacap-env.sh is
// sourced. With an invalid policy the variables stay as they were, as with the cap "off", and stderr gets one line each
// time that the fragment is sourced.
func TestHadoopOrder(t *testing.T) {
	testenv.Need(t, "go", "bash")
	ctx, dir, arenacap, _ := setUp(t)
	for name, text := range map[string]string{
		"jdk/bin/java": "#!/bin/sh\necho max=${MALLOC_ARENA_MAX-unset} test=${MALLOC_ARENA_TEST-unset}\n",
		"fixed.toml":   "arenas.cap = 3\n",
		"percore.toml": "arenas.cap = \"1/core\"\narenas.cores = 6\n",
		"off.toml":     "arenas.cap = \"off\"\n",
		"glibc.toml":   "arenas.cap = \"glibc\"\n",
		"mistake.toml": "arenas.cap = 0\n",
	} {
		put(t, filepath.Join(dir, name), text)
	}
	const fragment, own = ". \"$FRAGMENT\"\n", "export MALLOC_ARENA_MAX=2\n"
	for _, c := range []struct {
		name, inherited, env, rc      string
		fixed, perCore, off, glibcOwn string
	}{
		{"no fragment", "", "", "", "max=4 test=unset", "max=4 test=unset", "max=4 test=unset", "max=4 test=unset"},
		{"in hadoop-env.sh", "", fragment, "", "max=3 test=2", "max=6 test=5", "max=4 test=unset", "max=0 test=unset"},
		{"after an export in hadoop-env.sh", "", own + fragment, "", "max=3 test=2", "max=6 test=5", "max=2 test=unset", "max=0 test=unset"},
		{"before an export in hadoop-env.sh", "", fragment + own, "", "max=2 test=2", "max=2 test=5", "max=2 test=unset", "max=2 test=unset"},
		{"set by the service manager", "2", fragment, "", "max=3 test=2", "max=6 test=5", "max=2 test=unset", "max=0 test=unset"},
		{"in ~/.hadooprc", "", "", fragment, "max=3 test=2", "max=6 test=5", "max=4 test=unset", "max=0 test=unset"},
		{"in both", "", fragment, fragment, "max=3 test=2", "max=6 test=5", "max=4 test=unset", "max=0 test=unset"},
	} {
		put(t, filepath.Join(dir, "hadoop-env.sh"), c.env)
		put(t, filepath.Join(dir, ".hadooprc"), c.rc)
		for policy, want := range map[string]string{"fixed": c.fixed, "percore": c.perCore, "off": c.off, "glibc": c.glibcOwn, "mistake": c.off} {
			cmd := exec.CommandContext(ctx, "bash", "cluster/start.sh", "datanode", "DataNode")
			cmd.Env = []string{"PATH=" + filepath.Dir(arenacap) + ":/usr/bin:/bin", "HOME=" + dir, "HADOOP_CONF_DIR=" + dir, "JAVA_HOME=" + dir + "/jdk",
				"FRAGMENT=arenacap-env.sh", "ARENACAP_POLICY=" + dir + "/" + policy + ".toml"}
			if c.inherited != "" {
				cmd.Env = append(cmd.Env, "MALLOC_ARENA_MAX="+c.inherited)
			}
			var complaints strings.Builder
			cmd.Stderr = &complaints
			if out, err := cmd.Output(); err != nil || string(out) != want+"\n" {
				t.Errorf("%s, %s: %q, %v, want %q", c.name, policy, out, err, want)
			}
			if lines := strings.Count(c.env+c.rc, fragment); policy == "mistake" && strings.Count(complaints.String(), "\n") != lines {
				t.Errorf("%s: on stderr %q, want %d lines", c.name, complaints.String(), lines)
			}
		}
	}
}

// put writes an executable file, and creates its folder.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// tomcatBase makes a copy of the example's CATALINA_BASE, with arenacap-env.sh in its folder bin.
func tomcatBase(t *testing.T, dir string) string {
	t.Helper()
	base := filepath.Join(dir, "tomcat")
	if err := os.CopyFS(base, os.DirFS("tomcat")); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Copy("arenacap-env.sh", filepath.Join(base, "bin")); err != nil {
		t.Fatal(err)
	}
	return base
}

func TestSetenv(t *testing.T) {
	testenv.Need(t, "go", "dash", "bash")
	ctx, dir, arenacap, file := setUp(t)
	base, without := tomcatBase(t, dir), binWithout(t, dir)
	for path, want := range map[string]string{
		filepath.Dir(arenacap) + ":" + without: "max=2 test=1\n",
		without:                                "max=unset test=unset\n",
	} {
		for _, shell := range shells() {
			cmd := exec.CommandContext(ctx, shell, "testdata/sources-setenv-then-execs.sh")
			cmd.Env = []string{"PATH=" + path, "HOME=" + dir, "CATALINA_BASE=" + base, "ARENACAP_POLICY=" + file}
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
				t.Errorf("%s: %q, %v, want %q", shell, out, err, want)
			}
		}
	}
}

// binWithout is a copy of /usr/bin, by links, without arenacap, which may be installed there. It is called bin because
// Tomcat searches for ../bin/java from java's folder.
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

// shells returns the paths of dash, bash, ksh and zsh, as far as they are installed.
func shells() []string {
	var found []string
	for _, shell := range []string{"dash", "bash", "ksh", "zsh"} {
		if path, err := exec.LookPath(shell); err == nil {
			found = append(found, path)
		}
	}
	return found
}
