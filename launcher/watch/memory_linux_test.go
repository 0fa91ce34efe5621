package watch

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc/vma"
)

// The program continues to run after the function "forget", and fewer of its pages are resident.
func TestForget(t *testing.T) {
	smaps, err := os.Open("/proc/self/smaps")
	must(t, err)
	defer smaps.Close()
	clean := 0
	must(t, vma.ParseSmaps(smaps, func(s vma.Smap) {
		if s.Clean() {
			clean++
		}
	}))
	if clean < 2 {
		t.Error("no clean mapping of this program's file was found")
	}
	before := residentOfFiles(t)
	forget(cleanMappings())
	if after := residentOfFiles(t); after >= before {
		t.Errorf("%d kB of files are resident, before forget %d kB", after, before)
	}
}

// residentOfFiles returns RssFile + RssShmem, because go test builds in /tmp, which is often a tmpfs, whose pages
// count as RssShmem.
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

// Memory is given back once after it was used, in two steps. Then the garbage collector is off until the next use. A
// supervisor, which does more than watch, never gives memory back.
func TestWhenMemoryIsGivenBack(t *testing.T) {
	const others = 77
	defer debug.SetGCPercent(debug.SetGCPercent(others))
	now := time.Hour
	e := &engine{clock: func() time.Duration { return now }, giveBack: never}
	for _, step := range []struct {
		name    string
		at      time.Duration // time of the step; 0 is the start of the test's clock, at one hour
		do      func()
		want    time.Duration // time of the next step of giveMemoryBack, from the same start
		percent int
	}{
		{"a supervisor", 0, e.used, never - time.Hour, others},
		{"an event", 0, func() { e.frugal = true; e.used() }, giveBackAfter, origin.GCPercent},
		{"another one", giveBackAfter / 2, e.used, giveBackAfter, origin.GCPercent},
		{"the first step", giveBackAfter, e.giveMemoryBack, giveBackAfter + time.Second, origin.GCPercent},
		{"the second step", giveBackAfter + time.Second, e.giveMemoryBack, never - time.Hour, -1},
		{"an event again", time.Minute, e.used, time.Minute + giveBackAfter, origin.GCPercent},
		{"the first step again", 2 * time.Minute, e.giveMemoryBack, 2*time.Minute + time.Second, origin.GCPercent},
		{"an event between the steps", 2 * time.Minute, e.used, 2*time.Minute + giveBackAfter, origin.GCPercent},
	} {
		now = time.Hour + step.at
		step.do()
		percent := debug.SetGCPercent(others)
		debug.SetGCPercent(percent)
		if e.giveBack != time.Hour+step.want || percent != step.percent {
			t.Errorf("%s: memory is given back after %s, and the collector has %d %%", step.name, e.giveBack-time.Hour, percent)
		}
	}
}

// The collector is turned off only if samples allocate nothing.
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
