//go:build hadoop

package hadoopenv_test

// This file starts Hadoop's own daemons, each a JVM with a heap of at most 256 MB. .ci/hadoop fetches Hadoop and runs
// the tests.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// cluster is a folder with the configuration, the compiled clients and the data of Hadoop's daemons.
type cluster struct {
	*testing.T
	ctx      context.Context
	dir      string
	arenacap string
	jdk      string // JAVA_HOME
	env      []string
}

// The arguments of start.sh for each daemon: its command and its Java class.
var (
	nameNode        = []string{"namenode", "org.apache.hadoop.hdfs.server.namenode.NameNode"}
	dataNode        = []string{"datanode", "org.apache.hadoop.hdfs.server.datanode.DataNode"}
	resourceManager = []string{"resourcemanager", "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"}
	nodeManager     = []string{"nodemanager", "org.apache.hadoop.yarn.server.nodemanager.NodeManager"}
)

func newCluster(t *testing.T) *cluster {
	t.Helper()
	jars := os.Getenv("ARENACAP_HADOOP")
	testenv.Need(t, "go", "gcc", "bash", "java", "javac")
	if _, err := os.Stat(filepath.Join(jars, "pom.xml")); jars == "" || err != nil {
		testenv.Lack(t, "no jars of Hadoop in %q; run .ci/hadoop", jars)
	}
	c := &cluster{T: t, dir: lab.Dir(t)}
	var err error
	if c.arenacap, err = lab.Arenacap(c.dir); err != nil {
		t.Fatal(err)
	}
	c.ctx = lab.Within(t, 15*time.Minute)
	if err := os.CopyFS(c.dir, os.DirFS("cluster")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hdfs", "datanode"} { // HDFS's web pages are not in its jar
		if err := os.MkdirAll(filepath.Join(c.dir, "webapps", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if c.jdk, err = jdk(); err != nil {
		t.Fatal(err)
	}
	c.env = append(os.Environ(), "HOME="+c.dir, "PATH="+c.dir+":"+os.Getenv("PATH"), "JAVA_HOME="+c.jdk,
		"HADOOP_CONF_DIR="+c.dir+"/etc", "HADOOP_CLASSPATH="+jars+"/*:"+c.dir, "HADOOP_DATA="+c.dir,
		"HADOOP_OPTS="+javaOptions, "NAMENODE_PORT=0")
	c.run(c.command("javac", "-cp", jars+"/*", "-d", c.dir, c.dir+"/Load.java", c.dir+"/Container.java"))
	c.fragment("")
	return c
}

// jdk is the folder of the JDK whose javac is in PATH.
func jdk() (string, error) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		return "", err
	}
	javac, err = filepath.EvalSymlinks(javac)
	return filepath.Dir(filepath.Dir(javac)), err
}

// javaOptions keeps the JVMs small; YARN's web server needs the opened package on Java 17.
const javaOptions = "-Xmx256m -XX:+UseSerialGC --add-opens=java.base/java.lang=ALL-UNNAMED"

// script is a run of start.sh.
func (c *cluster) script(args ...string) *exec.Cmd {
	return c.command("/bin/bash", append([]string{c.dir + "/start.sh"}, args...)...)
}

// command is a command with the cluster's environment.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.ctx, name, args...)
	cmd.Env = c.env
	return cmd
}

// run runs a command and returns its output.
func (c *cluster) run(cmd *exec.Cmd) string {
	c.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// fragment writes a hadoop-env.sh that sources the fragment arenacap-env.sh with this policy. If policy is "",
// hadoop-env.sh is empty.
func (c *cluster) fragment(policy string) {
	c.Helper()
	script := ""
	if policy != "" {
		here, err := os.Getwd()
		if err != nil {
			c.Fatal(err)
		}
		put(c.T, c.dir+"/policy.toml", policy)
		script = fmt.Sprintf("export ARENACAP_POLICY=%s/policy.toml\nARENACAP_SERVICE=datanode\n. %s/arenacap-env.sh\n", c.dir, here)
	}
	put(c.T, c.dir+"/etc/hadoop-env.sh", script)
}

// start starts a daemon by start.sh; the argument "prefix" is a command that starts start.sh, or nil. The daemon stays
// in the process group of the test, which .ci/hadoop kills at its time limit.
func (c *cluster) start(prefix []string, daemon ...string) *lab.Process {
	c.Helper()
	return c.begin(c.script(daemon...), prefix)
}

// background starts the DataNode by start.sh --daemon ("prefix" as in the method "start"), and waits until the NameNode
// can give it blocks. It returns the script, which has ended, the daemon's PID and its log. The daemon ends with the
// test.
func (c *cluster) background(name string, prefix []string) (script *lab.Process, pid int, log *lab.Process) {
	c.Helper()
	file := filepath.Join(c.dir, name)
	cmd := c.script(slices.Concat([]string{"--daemon"}, dataNode)...)
	cmd.Env = append(cmd.Env, "HADOOP_LOG="+file+".log", "HADOOP_PID="+file+".pid")
	script = c.begin(cmd, prefix)
	if status, err := script.Wait(c.ctx); status != 0 || err != nil {
		c.Fatalf("start.sh --daemon ended with %d, %v:\n%s", status, err, strings.Join(script.Lines(), "\n"))
	}
	text, err := os.ReadFile(file + ".pid")
	if err != nil {
		c.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		c.Fatal(err)
	}
	daemon, err := os.FindProcess(pid) // opens a pidfd, so Kill cannot hit another process that gets the PID later
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = daemon.Kill() })
	log = c.begin(c.command("tail", "-n", "+1", "-F", file+".log"), nil)
	c.await(log, "Successfully sent block report")
	return script, pid, log
}

// begin starts a command, with the words of prefix in front of it. The process is killed at the end of the test.
func (c *cluster) begin(cmd *exec.Cmd, prefix []string) *lab.Process {
	c.Helper()
	p, err := lab.Start(cmd, prefix)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(p.Kill)
	return p
}

// await waits until a process prints a line that contains the text, and returns the line.
func (c *cluster) await(p *lab.Process, text string) string {
	c.Helper()
	line, err := p.AwaitText(c.ctx, text)
	if err != nil {
		c.Fatal(err)
	}
	return line
}

// startNameNode formats and starts the NameNode; its port is then in the cluster's environment.
func (c *cluster) startNameNode() *lab.Process {
	c.Helper()
	c.run(c.script(append(nameNode, "-format", "-force")...))
	p := c.start(nil, nameNode...)
	line := c.await(p, "NameNode RPC up at")
	port := regexp.MustCompile(`:(\d+)\.?$`).FindStringSubmatch(line)
	if port == nil {
		c.Fatalf("no port in %q", line)
	}
	c.env = append(c.env, "NAMENODE_PORT="+port[1])
	return p
}

// startDataNode starts the DataNode and waits until the NameNode can give it blocks.
func (c *cluster) startDataNode(prefix []string) *lab.Process {
	c.Helper()
	p := c.start(prefix, dataNode...)
	c.await(p, "Successfully sent block report")
	return p
}

// load starts 64 clients. Each client writes a block and reads it; with the argument "read" it only reads the block of
// an earlier call.
func (c *cluster) load(read ...string) {
	c.Helper()
	out := c.run(c.script(append([]string{"client", "Load", "64", "1"}, read...)...))
	if !strings.Contains(out, "64 blocks verified") {
		c.Fatalf("no verified blocks:\n%s", out)
	}
}

// stop sends TERM. The daemon then shuts down cleanly, and its JVM exits with 128 + 15.
func (c *cluster) stop(p *lab.Process) {
	c.Helper()
	if status, err := p.Stop(c.ctx); status != 143 || err != nil {
		c.Fatalf("TERM ended it with %d, %v, want 143", status, err)
	}
	c.await(p, "SHUTDOWN_MSG")
}
