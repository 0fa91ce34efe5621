package watch

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
)

// The program goes on after it has let go of its pages, and holds fewer of them.
func TestForgetProgram(t *testing.T) {
	smaps, err := os.Open("/proc/self/smaps")
	must(t, err)
	defer smaps.Close()
	clean := 0
	must(t, proc.ParseSmaps(smaps, func(s proc.Smap) {
		if s.Clean() {
			clean++
		}
	}))
	if clean < 2 {
		t.Error("neither the text nor the constants of this program's file are found")
	}
	before := residentOfFiles(t)
	forgetProgram()
	if after := residentOfFiles(t); after >= before {
		t.Errorf("%d kB of files are resident, of %d before", after, before)
	}
}

// residentOfFiles counts those in memory too: go test builds in /tmp, often a tmpfs, whose pages are RssShmem.
func residentOfFiles(t *testing.T) (kB uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for _, key := range []string{"RssFile:", "RssShmem:"} {
		var n uint64
		_, rest, _ := strings.Cut(string(text), key)
		_, err = fmt.Sscan(rest, &n)
		must(t, err)
		kB += n
	}
	return kB
}

// Memory is given back once after whatever took it, with the collector off from then until more is done, and not where the
// process does more than to watch.
func TestWhenMemoryIsGivenBack(t *testing.T) {
	const others = 77
	defer debug.SetGCPercent(debug.SetGCPercent(others))
	now := time.Hour
	e := &engine{clock: func() time.Duration { return now }, giveBack: never}
	wants := func(what string, at time.Duration, percent int) {
		t.Helper()
		got := debug.SetGCPercent(percent)
		if e.giveBack != at || got != percent {
			t.Errorf("%s: memory is given back at %s, and the collector has %d %%", what, e.giveBack, got)
		}
	}
	e.used()
	wants("a supervisor", never, others)
	e.frugal = true
	e.used()
	now += giveBackAfter / 2
	e.used()
	wants("two events", time.Hour+giveBackAfter, origin.GCPercent)
	e.giveMemoryBack()
	wants("quiet", never, -1)
	e.used()
	wants("an event again", now+giveBackAfter, origin.GCPercent)
}

// The collector is off only where samples allocate nothing.
func TestWhoIsFrugal(t *testing.T) {
	pid := startChild(t).pid()
	eachTime := mustHold(t, pid)
	eachTime.openEachTime()
	for name, test := range map[string]struct {
		p     *process
		scope string
		want  bool
	}{
		"held": {mustHold(t, pid), "process", true}, "no pidfd": {holdFolder(t, pid), "process", false},
		"statm opened each time": {eachTime, "process", false}, "descendants are looked for": {mustHold(t, pid), "tree", false},
	} {
		e := &engine{cfg: testConfig("virtual=1"), clock: sinceBoot, frugal: true}
		e.cfg.Budget.Scope = test.scope
		if e.add(test.p); e.frugal != test.want {
			t.Errorf("%s: frugal is %t", name, e.frugal)
		}
	}
}
