package watch

import (
	"strings"
	"testing"
)

// "watch PID" looks for descendants of the process, as the watch of a launch does.
func TestADescendantOfAnAttachedProcess(t *testing.T) {
	t.Parallel()
	c := startChild(t)
	descendant := mustFork(t, c, "fork")
	c.ask(t, "tell map 4294967296", "ok")
	c.ask(t, "tell touch 33554432", "ok")
	cfg := testConfig(far)
	cfg.Mode = "attach"
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	if e := s.want("elsewhere"); e.Other != descendant.pid || !strings.Contains(e.Message, `write scope = "tree" in [budget]`) {
		t.Errorf("%+v, want it to name the descendant, process %d", e, descendant.pid)
	}
}
