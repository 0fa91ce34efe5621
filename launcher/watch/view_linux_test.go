package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/watch/view"
)

// onlooker is a Screen whose rows come to the test.
type onlooker struct {
	rows  chan string
	above int // number of lines written through Above; used only by the watch's thread
}

func (o *onlooker) Show(rows []view.Row) {
	var lines []string
	for _, r := range rows {
		value := "-"
		if r.Known {
			value = fmt.Sprint(r.Value > 0)
		}
		lines = append(lines, fmt.Sprintf("%s %d %s %s %d %s", r.Name, r.Processes, r.Metric, value, r.Limit, r.State))
	}
	select {
	case <-o.rows: // replaces older rows, because the test reads only the newest
	default:
	}
	o.rows <- strings.Join(lines, "\n")
}

func (o *onlooker) Above(write func()) {
	o.above++
	write()
}

// awaitRows waits until the screen has these rows.
func (o *onlooker) awaitRows(t *testing.T, want ...string) {
	t.Helper()
	last := ""
	for end := time.After(patience); ; {
		select {
		case last = <-o.rows:
			if last == strings.Join(want, "\n") {
				return
			}
		case <-end:
			t.Fatalf("the rows are\n%s\nwant\n%s", last, strings.Join(want, "\n"))
		}
	}
}

// A watch of PIDs shows each limit of each process, also after the end of the process.
func TestRowsOfProcesses(t *testing.T) {
	t.Parallel()
	c, other := startChild(t), startChild(t)
	c.rename(t, "a\x1b[2J\a")
	other.rename(t, "b")
	o := &onlooker{rows: make(chan string, 1)}
	cfg := testConfig("virtual=1 growth=4611686018427387904")
	cfg.Service, cfg.Budget.Settle = "", time.Hour
	s := watchIt(t, cfg, func(e *engine) { e.showTo(o) }, c.pid(), other.pid())
	name, second := fmt.Sprintf("a?[2J?[%d]", c.pid()), fmt.Sprintf("b[%d]", other.pid())
	o.awaitRows(t, name+" 1 virtual true 1 settling", name+" 1 growth - 4611686018427387904 settling",
		second+" 1 virtual true 1 settling", second+" 1 growth - 4611686018427387904 settling")
	_ = c.in.Close()
	s.want("started")
	s.want("started")
	s.want("exited")
	o.awaitRows(t, name+" 0 virtual - 1 not running", name+" 0 growth - 4611686018427387904 not running",
		second+" 1 virtual true 1 settling", second+" 1 growth - 4611686018427387904 settling")
	s.end()
	s.wait()
	if o.above < 3 {
		t.Errorf("%d lines were written above the rows, want one for each event", o.above)
	}
}

// The watch of a host shows the number of processes and the state of each service that has a budget, also of a service
// without a process.
func TestRowsOfServices(t *testing.T) {
	t.Parallel()
	c, name := namedChild(t)
	o := &onlooker{rows: make(chan string, 1)}
	plain := byName("plain", name+"1", "")
	s := watchHost(t, t.TempDir(), func(h *host) { h.showTo(o) },
		byName("absent", name+"0", far), plain, byName("over", name, "virtual=1"))
	const absent = "absent 0 virtual - 9223372036854775807 not running"
	s.of(c.pid(), "started")
	o.awaitRows(t, absent, "over 1 virtual true 1 breach")
	startChild(t).rename(t, name)
	o.awaitRows(t, absent, "over 2 virtual true 1 breach")
}
