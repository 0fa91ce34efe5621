//go:build hadoop

package hadoopenv_test

// These tests run YARN: a ResourceManager, NodeManagers and containers with a native program.

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"arenacap/examples/internal/lab"
)

// Hadoop's defaults (yarn-default.xml).
const (
	defaultAdminEnv  = "ADMIN_ENV=MALLOC_ARENA_MAX=$MALLOC_ARENA_MAX"
	defaultWhitelist = "ENV_WHITELIST=JAVA_HOME,HADOOP_COMMON_HOME,HADOOP_HDFS_HOME,HADOOP_CONF_DIR,CLASSPATH_PREPEND_DISTCACHE," +
		"HADOOP_YARN_HOME,HADOOP_HOME,PATH,LANG,TZ"
)

// startResourceManager compiles the container's program and starts the ResourceManager on free ports.
func (c *cluster) startResourceManager() {
	c.Helper()
	c.run(c.command("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", c.dir+"/threads", c.dir+"/threads.c"))
	c.ports("RM_CLIENT", "RM_SCHEDULER", "RM_TRACKER")
	p := c.start(nil, resourceManager...)
	c.await(p, "Transitioned to active state")
}

// ports sets each of these variables of the cluster's environment to a free port.
func (c *cluster) ports(names ...string) {
	c.Helper()
	var held []net.Listener // all are open at the same time, so that the ports differ
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.Fatal(err)
		}
		held = append(held, l)
		c.env = append(c.env, fmt.Sprintf("%s=%d", name, l.Addr().(*net.TCPAddr).Port))
	}
	for _, l := range held {
		l.Close()
	}
}

// startNodeManager starts a NodeManager with these variables and waits until it is registered.
func (c *cluster) startNodeManager(vars ...string) *lab.Process {
	c.Helper()
	env := c.env
	c.env = slices.Concat(env, []string{defaultAdminEnv, defaultWhitelist, "VMEM_CHECK=true", "MEMORY_ENFORCED=false"}, vars)
	p := c.start(nil, nodeManager...)
	c.env = env
	c.await(p, "Registered with ResourceManager")
	return p
}

// inContainer is one run of the test program "threads" in a YARN container.
type inContainer struct {
	env, prefix string // env: variables that the application sets; prefix: words before the program's name
	report, end *os.File
}

// containers starts an application that runs the program in containers, one after the other.
func (c *cluster) containers(runs ...*inContainer) *lab.Process {
	c.Helper()
	args := []string{"client", "Container"}
	for _, run := range runs {
		run.report, run.end = c.fifo(), c.fifo()
		args = append(args, run.env, strings.TrimSpace(fmt.Sprintf("%s %s/threads %s %s", run.prefix, c.dir, run.report.Name(), run.end.Name())))
	}
	return c.start(nil, args...)
}

// fifo makes a FIFO and holds both of its ends, so that no opening of it blocks.
func (c *cluster) fifo() *os.File {
	c.Helper()
	path := filepath.Join(c.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		c.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		c.Fatal(err)
	}
	deadline, _ := c.ctx.Deadline()
	if err := f.SetDeadline(deadline); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { f.Close() })
	return f
}

// said returns the PID in the program's report, and the text after it.
func (c *cluster) said(run *inContainer) (pid int, rest string) {
	c.Helper()
	line, err := bufio.NewReader(run.report).ReadString('\n')
	if err != nil {
		c.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "pid=%d", &pid); err != nil {
		c.Fatal(err)
	}
	_, rest, _ = strings.Cut(strings.TrimSpace(line), " ")
	return pid, rest
}

// finish lets the program end.
func (c *cluster) finish(run *inContainer) {
	c.Helper()
	if _, err := run.end.WriteString("x"); err != nil {
		c.Fatal(err)
	}
}

// TestVmemCheck runs the same program without a cap, when YARN kills it, and with a cap, when YARN lets it finish. With
// memory.enforced = true, Hadoop's default, YARN does not kill the program without a cap either; -short omits this run.
func TestVmemCheck(t *testing.T) {
	c := newCluster(t)
	c.startResourceManager()
	c.fragment("arenas.cap = \"glibc\"")
	nodeManager := c.startNodeManager()
	uncapped, capped := &inContainer{env: "-"}, &inContainer{env: "-", prefix: c.arenacap + " run --arenas 2 --"}
	app := c.containers(uncapped, capped)
	c.awaitKill(app, "-103")
	c.survives(nodeManager, app, capped)
	if testing.Short() {
		return
	}

	c.stop(nodeManager)
	nodeManager = c.startNodeManager("MEMORY_ENFORCED=true")
	c.survives(nodeManager, c.containers(uncapped), uncapped)
}

// awaitKill waits until YARN kills the application's container because of its virtual size.
func (c *cluster) awaitKill(app *lab.Process, status string) {
	c.Helper()
	line := c.await(app, "beyond the 'VIRTUAL' memory limit")
	if !strings.HasPrefix(line, "container "+status+":") {
		c.Errorf("want the status %s: %s", status, line)
	}
	c.Log(line)
}

// survives lets the program end after the NodeManager has looked at its memory several times.
func (c *cluster) survives(nodeManager, app *lab.Process, run *inContainer) {
	c.Helper()
	pid, _ := c.said(run)
	c.looks(nodeManager, pid)
	c.finish(run)
	c.Log(c.await(app, "container 0"))
}

// looks waits until the NodeManager has looked at a container's memory several times.
func (c *cluster) looks(nodeManager *lab.Process, pid int) {
	c.Helper()
	look := fmt.Sprintf("Resource usage of ProcessTree %d ", pid)
	looks := 0
	line, err := nodeManager.Await(c.ctx, look, func(line string) bool {
		if strings.Contains(line, look) {
			looks++
		}
		return looks == 4
	})
	if err != nil {
		c.Fatal(err)
	}
	c.Log(line)
}

// arenaMax returns MALLOC_ARENA_MAX in the environment of a process.
func (c *cluster) arenaMax(pid int) string {
	c.Helper()
	env, err := lab.Environ(pid)
	if err != nil {
		c.Fatal(err)
	}
	return env["MALLOC_ARENA_MAX"]
}

// TestRecovery restarts a NodeManager while two containers run, with another cap in hadoop-env.sh and with the check
// of virtual memory. Both containers keep the MALLOC_ARENA_MAX with which they were started, the check kills the one
// without a cap, and only a new container has the new cap.
func TestRecovery(t *testing.T) {
	c := newCluster(t)
	c.startResourceManager()
	c.ports("NODE_PORT") // a NodeManager needs a fixed port for the recovery
	c.fragment("arenas.cap = \"glibc\"")
	nodeManager := c.startNodeManager("NODE_RECOVERY=true", "VMEM_CHECK=false")
	uncapped, capped, later := &inContainer{env: "-"}, &inContainer{env: "-", prefix: c.arenacap + " run --arenas 2 --"}, &inContainer{env: "-"}
	uncappedApp, cappedApp := c.containers(uncapped), c.containers(capped)
	uncappedPid, _ := c.said(uncapped)
	cappedPid, _ := c.said(capped)
	c.stop(nodeManager)
	if has := c.arenaMax(uncappedPid); has != "0" {
		t.Errorf("after the NodeManager's end the container has MALLOC_ARENA_MAX=%q, want 0", has)
	}

	c.fragment("arenas.cap = 3")
	nodeManager = c.startNodeManager("NODE_RECOVERY=true")
	c.awaitKill(uncappedApp, "143") // for a recovered container, YARN reports the exit status of the container's shell
	c.looks(nodeManager, cappedPid)
	if has := c.arenaMax(cappedPid); has != "2" {
		t.Errorf("the recovered container has MALLOC_ARENA_MAX=%q, want 2", has)
	}
	c.finish(capped)
	t.Log(c.await(cappedApp, "container 0"))
	laterApp := c.containers(later)
	if pid, _ := c.said(later); c.arenaMax(pid) != "3" {
		t.Errorf("a new container has MALLOC_ARENA_MAX=%q, want 3", c.arenaMax(pid))
	}
	c.finish(later)
	c.await(laterApp, "container 0")
}

// TestContainerEnvironment checks for each place where a cap can be set which cap a container gets, with and without
// caps in the other places.
func TestContainerEnvironment(t *testing.T) {
	c := newCluster(t)
	c.startResourceManager()
	for _, row := range []struct {
		name      string
		node      []string
		want, own string // want: the container's cap if the application sets none; own: the cap if the application sets 4; both have two values: with "glibc" and with 3 in hadoop-env.sh
	}{
		{"admin-env MALLOC_ARENA_MAX=2", []string{"ADMIN_ENV=MALLOC_ARENA_MAX=2"}, "2 2", "4:2 4:2"},
		{"admin-env empty, MALLOC_ARENA_MAX in env-whitelist", []string{"ADMIN_ENV=", defaultWhitelist + ",MALLOC_ARENA_MAX"}, "0 3", "4 4"},
		{"admin-env empty", []string{"ADMIN_ENV="}, "unset unset", "4 4"},
		{"admin-env as by default", nil, "0 3", "4:4 4:4"},
	} {
		var plain, own []string
		for _, cap := range []string{"\"glibc\"", "3"} {
			c.fragment("arenas.cap = " + cap)
			nodeManager := c.startNodeManager(row.node...)
			runs := []*inContainer{{env: "-"}, {env: "MALLOC_ARENA_MAX=4"}, {env: "MALLOC_ARENA_MAX=4", prefix: c.arenacap + " run --arenas 1 --"}}
			app := c.containers(runs...)
			var got []string
			for _, run := range runs {
				_, said := c.said(run)
				c.finish(run)
				t.Logf("%s; hadoop-env.sh: %s; application: %s; prefix: %t: %s", row.name, cap, run.env, run.prefix != "", said)
				got = append(got, regexp.MustCompile(`max=(\S*)`).FindStringSubmatch(said)[1])
			}
			if status, err := app.Wait(c.ctx); status != 0 || err != nil {
				t.Fatalf("the application ended with %d, %v:\n%s", status, err, strings.Join(app.Lines(), "\n"))
			}
			plain, own = append(plain, got[0]), append(own, got[1])
			if got[2] != "1" {
				t.Errorf("%s, %s: the prefix gives %q", row.name, cap, got[2])
			}
			c.stop(nodeManager)
		}
		if got := strings.Join(plain, " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		if got := strings.Join(own, " "); got != row.own {
			t.Errorf("%s: with 4 by the application %q, want %q", row.name, got, row.own)
		}
	}
}
