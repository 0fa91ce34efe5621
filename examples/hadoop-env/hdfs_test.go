//go:build hadoop

package hadoopenv_test

// These tests run a NameNode and a DataNode under a load: with a hadoop-env.sh that sources arenacap-env.sh
// (TestDataNode), or with a watch.

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
)

// TestDataNode checks for each policy which variables arrive in a DataNode, and its arenas after a load. With an
// invalid policy the DataNode's output has one line about the mistake, and Hadoop's own cap remains.
func TestDataNode(t *testing.T) {
	c := newCluster(t)
	master := c.startNameNode()
	for _, policy := range []struct {
		text, max, test string
		most, mistakes  int
	}{
		{"arenas.cap = 0", "4", "", 4, 1},
		{"arenas.cap = \"1/core\"\narenas.cores = 6", "6", "5", 6, 0},
		{"arenas.cap = \"glibc\"", "0", "", 0, 0},
	} {
		c.fragment(policy.text)
		worker := c.startDataNode(nil)
		c.load()
		env, err := lab.Environ(worker.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if env["MALLOC_ARENA_MAX"] != policy.max || env["MALLOC_ARENA_TEST"] != policy.test {
			t.Errorf("%q: MALLOC_ARENA_MAX=%q MALLOC_ARENA_TEST=%q", policy.text, env["MALLOC_ARENA_MAX"], env["MALLOC_ARENA_TEST"])
		}
		census, err := arena.Count(worker.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if policy.most > 0 && census.Arenas > policy.most || policy.most == 0 && census.Arenas <= 4 {
			t.Errorf("%q: %d arenas", policy.text, census.Arenas)
		}
		if lines := strings.Count(strings.Join(worker.Lines(), "\n"), "arenacap: "); lines != policy.mistakes {
			t.Errorf("%q: %d lines by arenacap, want %d", policy.text, lines, policy.mistakes)
		}
		t.Logf("%q: %s", policy.text, c.inspect(worker.Pid))
		if policy.test != "" { // the policy sets a cap
			c.shows(worker.Pid, policy.max)
		}
		c.stop(worker)
	}
	c.stop(master)
}

// inspect returns the sentence about the virtual size, after the line with the name.
func (c *cluster) inspect(pid int) string {
	c.Helper()
	return strings.Split(c.run(c.command(c.arenacap, "inspect", strconv.Itoa(pid))), "\n")[1]
}

// shows runs the README's commands that show a DataNode's cap, and checks that they show it.
func (c *cluster) shows(pid int, maximum string) {
	c.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		c.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^ *arenacap inspect "\$\(jps .*$`).FindString(string(text))
	if said := c.run(c.command("sh", "-euc", command)); !regexp.MustCompile(`(?m)^ *cap +` + maximum + ` \(environment\): kept$`).MatchString(said) {
		c.Errorf("%q: no kept cap of %s in %s", command, maximum, said)
	}
	if all := c.run(c.command(c.arenacap, "ps")); !regexp.MustCompile(fmt.Sprintf(`(?m)^ *%d +\d+ +\d+ +%s .* java$`, pid, maximum)).MatchString(all) {
		c.Errorf("arenacap ps shows no java with PID %d and the cap %s:\n%s", pid, maximum, all)
	}
}

// TestZGC starts a DataNode whose JVM reserves 48 times its heap (16 times, mapped three times): a limit on `virtual` is
// exceeded from the start, one on `growth` is not.
func TestZGC(t *testing.T) {
	c := newCluster(t)
	c.startNameNode()
	c.env = append(c.env, "HADOOP_OPTS="+strings.Replace(javaOptions, "UseSerialGC", "UseZGC", 1))
	put(t, c.dir+"/zgc.toml", "budget.virtual = \"4GiB\"\nbudget.growth = \"2GiB\"\nbudget.settle = \"10s\"\nlog.format = \"json\"\n")
	worker := c.startDataNode([]string{c.arenacap, "run", "--policy", c.dir + "/zgc.toml", "--"})
	c.breach(worker, "virtual", "12 GiB in java heap")
	c.load()
	said := c.inspect(worker.Pid)
	if !strings.Contains(said, "12 GiB are java heap") {
		t.Error(said)
	}
	t.Log(said)
	c.stop(worker)
	for _, event := range worker.Events() {
		if event.Metric == "growth" && event.Event != "started" {
			t.Errorf("%+v", event)
		}
	}
}

// breach awaits the breach of a budget in a log, with its attribution.
func (c *cluster) breach(log *lab.Process, metric, attribution string) {
	c.Helper()
	line, err := log.Await(c.ctx, "breach of "+metric, func(line string) bool {
		return strings.Contains(line, `"event":"breach"`) && strings.Contains(line, `"metric":"`+metric+`"`)
	})
	if err != nil {
		c.Fatal(err)
	}
	if !strings.Contains(line, attribution) {
		c.Errorf("no %q in %s", attribution, line)
	}
	c.Log(line)
}

const watched = `
[service.datanode]
arenas.cap = "glibc"
budget.arenas = "1MiB"
budget.growth = "1MiB"
budget.settle = "%s"
[service.datanode.match]
exe = "%s"
user = "%s"
[log]
format = "json"
`

// TestWatch starts the DataNode under a watch three times: in the foreground with "arenacap run -- start.sh", in the
// background with arenacap-java as the Java program, and in the background with "arenacap run -- start.sh". "watch
// --services" watches the third DataNode. Finally "arenacap watch" terminates this DataNode because of its budget. A
// fourth start, without arenacap, shows that no block is lost.
func TestWatch(t *testing.T) {
	c := newCluster(t)
	c.startNameNode()
	own, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, settle, more string) string {
		put(t, c.dir+"/"+name, fmt.Sprintf(watched, settle, c.jdk+"/bin/java", own.Username)+more)
		return c.dir + "/" + name
	}
	prefix := func(policy string) []string {
		return []string{c.arenacap, "run", "--policy", policy, "--service", "datanode", "--"}
	}

	foreground := c.startDataNode(prefix(write("watch.toml", "1s", "")))
	c.load()
	c.breach(foreground, "arenas", " arenas, ")
	c.breach(foreground, "growth", " since the settle time ended: ")
	c.stop(foreground)

	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	put(t, c.dir+"/.hadooprc", fmt.Sprintf("export ARENACAP_POLICY=%s/watch.toml\nJAVA=%s/arenacap-java\n", c.dir, here))
	_, pid, log := c.background("java", nil)
	c.breach(log, "arenas", " arenas, ")
	c.load("read")
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.await(log, "SHUTDOWN_MSG")
	c.await(log, `"event":"exited"`)
	put(t, c.dir+"/.hadooprc", "")

	// The script ends and the DataNode continues, so a budget on the script measures nothing: the watch reports the event
	// "elsewhere".
	script, pid, log := c.background("prefix", prefix(write("background.toml", "5m", "")))
	line, err := script.AwaitText(c.ctx, `"event":"elsewhere"`)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(line)

	host := c.begin(c.command(c.arenacap, "watch", "--services", "--policy", c.dir+"/watch.toml", "--state", c.dir+"/watch.json"), nil)
	if breach, err := host.AwaitEvent(c.ctx, "breach", "arenas"); err != nil || breach.Service != "datanode" {
		t.Fatalf("%+v, %v", breach, err)
	}
	c.load("read")
	over := write("terminate.toml", "1s", "[budget]\naction = \"terminate\"\ngrace = \"5m\"\n")
	terminate := c.command(c.arenacap, "watch", "--policy", over, "--service", "datanode", strconv.Itoa(pid))
	if out, err := terminate.CombinedOutput(); err == nil || !strings.Contains(string(out), `"event":"exited"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	c.await(log, "SHUTDOWN_MSG")
	c.startDataNode(nil)
	c.load("read")
}
