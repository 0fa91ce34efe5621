//go:build hadoop

package hadoopenv_test

// Hadoop's own daemons, each a JVM of 256 MB; .ci/hadoop fetches them and runs this.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
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
	env      []string
}

const classes = "org.apache.hadoop."

func newCluster(t *testing.T) *cluster {
	t.Helper()
	jars := os.Getenv("ARENACAP_HADOOP")
	testenv.Need(t, "go", "bash", "java", "javac")
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
	javac, err := exec.LookPath("javac")
	if err != nil {
		t.Fatal(err)
	}
	if javac, err = filepath.EvalSymlinks(javac); err != nil {
		t.Fatal(err)
	}
	c.env = append(os.Environ(), "HOME="+c.dir, "PATH="+c.dir+":"+os.Getenv("PATH"), "JAVA_HOME="+filepath.Dir(filepath.Dir(javac)),
		"HADOOP_CONF_DIR="+c.dir+"/etc", "HADOOP_CLASSPATH="+jars+"/*:"+c.dir, "HADOOP_DATA="+c.dir, "HADOOP_LOG="+c.dir+"/daemon.log",
		"HADOOP_PID="+c.dir+"/daemon.pid", "HADOOP_OPTS="+javaOptions, "NAMENODE_PORT=0")
	c.run(exec.CommandContext(c.ctx, "javac", "-cp", jars+"/*", "-d", c.dir, c.dir+"/Load.java"))
	c.fragment("")
	return c
}

// javaOptions keeps the JVMs small; YARN's web server needs the opened package on Java 17.
const javaOptions = "-Xmx256m -XX:+UseSerialGC --add-opens=java.base/java.lang=ALL-UNNAMED"

// run runs a command with the cluster's environment and returns its output.
func (c *cluster) run(cmd *exec.Cmd) string {
	c.Helper()
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// fragment writes a hadoop-env.sh that sources the fragment under the policy, or an empty one without a policy.
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

// start starts a daemon by start.sh, after a prefix, in a process group that ends with the test.
func (c *cluster) start(prefix []string, name, class string) *lab.Process {
	c.Helper()
	cmd := exec.CommandContext(c.ctx, "/bin/bash", c.dir+"/start.sh", name, classes+class)
	cmd.Env = c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p, err := lab.Start(cmd, prefix)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) })
	return p
}

// await returns the line of a daemon that contains the text.
func (c *cluster) await(p *lab.Process, text string) string {
	c.Helper()
	line, err := p.AwaitText(c.ctx, text)
	if err != nil {
		c.Fatal(err)
	}
	return line
}

// nameNode formats and starts the NameNode; its port is then in the cluster's environment.
func (c *cluster) nameNode() *lab.Process {
	c.Helper()
	c.run(exec.CommandContext(c.ctx, "/bin/bash", c.dir+"/start.sh", "namenode", classes+"hdfs.server.namenode.NameNode", "-format", "-force"))
	p := c.start(nil, "namenode", "hdfs.server.namenode.NameNode")
	line := c.await(p, "NameNode RPC up at")
	port := regexp.MustCompile(`:(\d+)\.?$`).FindStringSubmatch(line)
	if port == nil {
		c.Fatalf("no port in %q", line)
	}
	c.env = append(c.env, "NAMENODE_PORT="+port[1])
	return p
}

// dataNode starts the DataNode and waits until the NameNode can give it blocks.
func (c *cluster) dataNode(prefix []string) *lab.Process {
	c.Helper()
	p := c.start(prefix, "datanode", "hdfs.server.datanode.DataNode")
	c.await(p, "Successfully sent block report")
	return p
}

// load writes and reads blocks by 64 clients and returns what it printed.
func (c *cluster) load(blocks int) string {
	c.Helper()
	out := c.client("Load", "64", fmt.Sprint(blocks))
	if !strings.Contains(out, fmt.Sprintf("%d blocks verified", 64*blocks)) {
		c.Fatalf("no verified blocks:\n%s", out)
	}
	return out
}

// client runs one of the Java programs here.
func (c *cluster) client(class string, args ...string) string {
	c.Helper()
	return c.run(exec.CommandContext(c.ctx, "/bin/bash", append([]string{c.dir + "/start.sh", "client", class}, args...)...))
}

// stop sends TERM, on which a daemon shuts down in order: the JVM's status is 128 + 15.
func (c *cluster) stop(p *lab.Process) {
	c.Helper()
	if status, err := p.Stop(c.ctx); status != 143 || err != nil {
		c.Fatalf("TERM ended it with %d, %v, want 143", status, err)
	}
	c.await(p, "SHUTDOWN_MSG")
}
