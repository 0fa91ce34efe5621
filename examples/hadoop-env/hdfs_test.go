//go:build hadoop

package hadoopenv_test

// HDFS: a NameNode and a DataNode under the fragment, with a load.

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
)

// TestDataNode checks what arrives in a DataNode for each policy, and its arenas after a load.
func TestDataNode(t *testing.T) {
	c := newCluster(t)
	nameNode := c.nameNode()
	for _, policy := range []struct {
		text, max, test string
		most            int
	}{
		{"", "4", "", 4},
		{"arenas.cap = 3", "3", "2", 3},
		{"arenas.cap = \"1/core\"\narenas.cores = 6", "6", "5", 6},
		{"arenas.cap = \"off\"", "4", "", 4},
		{"arenas.cap = \"glibc\"", "0", "", 0},
	} {
		c.fragment(policy.text)
		dataNode := c.dataNode(nil)
		c.load(2)
		env, err := lab.Environ(dataNode.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if env["MALLOC_ARENA_MAX"] != policy.max || env["MALLOC_ARENA_TEST"] != policy.test {
			t.Errorf("%q: MALLOC_ARENA_MAX=%q MALLOC_ARENA_TEST=%q", policy.text, env["MALLOC_ARENA_MAX"], env["MALLOC_ARENA_TEST"])
		}
		census, err := arena.Count(dataNode.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if policy.most > 0 && census.Arenas > policy.most || policy.most == 0 && census.Arenas <= 4 {
			t.Errorf("%q: %d arenas", policy.text, census.Arenas)
		}
		said := strings.Split(c.run(exec.CommandContext(c.ctx, c.arenacap, "inspect", strconv.Itoa(dataNode.Pid))), "\n")
		t.Logf("%q: %s", policy.text, said[1])
		c.stop(dataNode)
	}
	c.stop(nameNode)
}
