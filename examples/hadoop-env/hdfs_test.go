//go:build hadoop

package hadoopenv_test

// HDFS: a NameNode and a DataNode under the fragment and under a watch, with a load.

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
)

// TestDataNode checks what arrives in a DataNode for each policy, and its arenas after a load.
func TestDataNode(t *testing.T) {
	c := newCluster(t)
	master := c.startNameNode()
	for _, policy := range []struct {
		text, max, test string
		most            int
	}{
		{"arenas.cap = \"off\"", "4", "", 4},
		{"arenas.cap = \"1/core\"\narenas.cores = 6", "6", "5", 6},
		{"arenas.cap = \"glibc\"", "0", "", 0},
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
		said := strings.Split(c.run(c.command(c.arenacap, "inspect", strconv.Itoa(worker.Pid))), "\n")
		t.Logf("%q: %s", policy.text, said[1])
		c.stop(worker)
	}
	c.stop(master)
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

// TestWatch starts the DataNode with a prefix in the foreground, with a prefix in the background, and with no prefix under
// watch --services. At last arenacap ends it over its budget, and no block is lost.
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
	for _, metric := range []string{"arenas", "growth"} {
		line, err := foreground.Await(c.ctx, "breach of "+metric, func(line string) bool {
			return strings.Contains(line, `"event":"breach"`) && strings.Contains(line, `"metric":"`+metric+`"`)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(line)
	}
	c.stop(foreground)

	// The script ends and the DataNode continues, so a budget on the script measures nothing: the watch reports elsewhere.
	script := c.start(prefix(write("background.toml", "5m", "")), slices.Concat([]string{"--daemon"}, dataNode)...)
	line, err := script.AwaitText(c.ctx, `"event":"elsewhere"`)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(line)
	pid, log := c.daemonPid(), c.follow("daemon.log")
	c.await(log, "Successfully sent block report")

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
