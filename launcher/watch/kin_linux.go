package watch

// This file finds the process that is the server: the target, or a descendant of the target. The server is a
// descendant if the target starts it as another process and then ends, or is a carrier that waits for it (see package
// target; for example a shell, sudo or tini).

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"arenacap/launcher/environ"
	"arenacap/launcher/proc"
	"arenacap/launcher/target"
	"arenacap/launcher/watch/budget"
)

// maxKin limits the field "kin", because each descendant takes two file descriptors: a server may have thousands of workers.
// The first look finds the nearest descendants: the server behind a carrier, and its first workers.
const maxKin = 64

// family returns the known descendants of the target, by PID. With scope "tree" they are in the field "others", whose
// processes count for the budget. With another scope they are in the field "kin", which the budget does not use; the
// code in this file needs it to find the server. With scope "cgroup" a descendant may be in both fields.
func (s *scope) family() map[int]*process {
	if s.kind == "tree" {
		return s.others
	}
	return s.kin
}

// findChildren finds the children of the target and of its known descendants in /proc/PID/task/TID/children, and opens
// them. This takes microseconds, far less than a listing of all processes, so it can run every few milliseconds. It
// misses a descendant whose parent ended before the next call (see firstPeek).
func (s *scope) findChildren() error {
	family := s.family()
	maps.DeleteFunc(family, func(_ int, p *process) bool {
		ended := p.ended()
		if ended {
			p.release()
		}
		return ended
	})
	parents := slices.Collect(maps.Values(family))
	if !s.target.ended() {
		parents = append(parents, s.target)
	}
	var failed error
	room := func() bool { return s.kind == "tree" || len(family) < maxKin }
	for len(parents) > 0 && room() {
		parent := parents[0]
		found, err := s.hold(parent.children(), family, func(p *process) bool {
			stat, err := p.stat()
			return err == nil && stat.Parent == parent.pid && stat.Started >= s.since && room()
		})
		parents, failed = append(parents[1:], found...), cmp.Or(failed, err)
	}
	return failed
}

// children returns the PIDs of a process's children; none on a kernel without CONFIG_PROC_CHILDREN.
func (p *process) children() (pids []int) {
	for _, tid := range p.threads() {
		text, _ := p.read("task/" + tid + "/children")
		pids = append(pids, proc.ParseChildren(text)...)
	}
	return pids
}

// isCarrier reports whether the process now runs a known carrier. An ordinary user cannot read /proc/PID/exe of a set-uid
// program, so isCarrier also compares the name of the process.
func (p *process) isCarrier() bool {
	if exe, err := p.executable(); err == nil && target.IsCarrier(exe) {
		return true
	}
	stat, err := p.stat()
	return err == nil && target.IsCarrier(stat.Name)
}

// lookAround looks for descendants and reports one that has more memory than the target and is not measured. It looks
// at the end of the settle time, and then with every sample if the target is a carrier or has ended, else each time the
// running time has doubled. It does nothing in the watch of a host (watch --services), where the policy decides which
// processes belong to a service.
func (w *watched) lookAround(now time.Duration) {
	if w.member != nil || !w.state.Settled || now < w.around {
		return
	}
	w.carrier = !w.ended && w.scope.target.isCarrier()
	if w.around = now; !w.carrier && !w.ended {
		w.around = now + max(now-w.began, w.cfg.Budget.Interval)
	}
	if w.scope.kind != "tree" {
		w.reportOnce("kin", w.scope.findChildren())
	}
	if w.carrier || w.ended || len(w.scope.family()) > 0 {
		w.used()
	} else { // no garbage collection is needed: the look allocated only a few KiB of heap, and the intervals between looks grow
		w.usedPages()
	}
	w.descendant = w.largest(now)
	if w.descendant != nil && w.scope.kind == "process" && !w.ended && !w.told {
		w.tellElsewhere(w.descendant)
	}
}

// largest is the descendant with the largest virtual size, except carriers and those too young (see the function
// "counts").
func (w *watched) largest(now time.Duration) (largest *process) {
	var most uint64
	for _, pid := range slices.Sorted(maps.Keys(w.scope.family())) {
		p := w.scope.family()[pid]
		if s, ok := p.sample(); ok && counts(p.born, now, w.cfg.Budget.Interval) && s.Size.Bytes() > most && !p.isCarrier() {
			largest, most = p, s.Size.Bytes()
		}
	}
	return largest
}

// noticeable is how much larger than the target a descendant must be to be reported, in bytes. It leaves out small helpers
// such as sleep(1) in a shell loop.
const noticeable = 16 << 20

// tellElsewhere reports once that a descendant has more address space and more resident memory than the target. Address
// space alone proves nothing: a helper written in Go reserves a gigabyte and uses little of it.
func (w *watched) tellElsewhere(p *process) {
	own, ok1 := w.scope.target.sample()
	other, ok2 := p.sample()
	if ok1 && ok2 && other.Size.Bytes() >= own.Size.Bytes()+noticeable && other.Resident > own.Resident {
		w.told = true
		w.report(holdsMore(p.pid, p.title(), other.Size.Bytes(), own.Size.Bytes()))
	}
}

// tellLeft runs at the end of the target. It reports a descendant that continues to run but is no longer watched. There are
// two cases: with scope "process", the target ended within the "settle" time of [budget], as a launcher of a daemon does;
// with scope "tree" or "cgroup", the watch can neither report nor act after the target's end (see the method "silent").
func (w *watched) tellLeft(now time.Duration) {
	family, write := w.scope.kin, `scope = "tree" in [budget]`
	switch {
	case w.scope.kind != "process" && w.silent():
		family, write = w.scope.others, `to = "FILE" in [log], because the watch closes stderr when the program ends`
	case w.scope.kind == "process" && now < w.state.SettleEnds:
		w.reportOnce("kin", w.scope.findChildren())
	default:
		return
	}
	var left *process
	for _, pid := range slices.Sorted(maps.Keys(family)) {
		if p := family[pid]; p.born >= w.scope.since && !p.ended() && (left == nil || !p.isCarrier()) && !p.byManager() {
			left = p
		}
	}
	if left != nil {
		w.report(leftBehind(left.pid, left.title(), write))
	}
}

// byManager reports whether systemd started the process, for example as the unit's next command. systemd puts the name in
// parentheses until it executes the program, and sets SYSTEMD_EXEC_PID (systemd.exec(5), version 248).
func (p *process) byManager() bool {
	text, err := p.read("environ")
	pid, _ := environ.Lookup(proc.ParseEnviron(text), "SYSTEMD_EXEC_PID")
	return strings.HasPrefix(p.title(), "(") || err == nil && pid == strconv.Itoa(p.pid)
}

// server is the process whose arenas are compared with the cap: the target, or its largest descendant if the target has
// ended or is a carrier that is not known to have more than the main arena. It is nil if there is none yet.
func (w *watched) server() *process {
	t := w.scope.target
	switch {
	case !w.ended && (!w.carrier || t.arenas.known && t.arenas.arenas > 1):
		return t
	case w.descendant != nil && !w.descendant.ended():
		return w.descendant
	}
	return nil
}

// countServer counts the arenas of a server p that is not the target, from the end of the settle time on, and sets
// p.arenas. It does not add p to the reading of the sample: all processes that the budget covers are already in the
// reading.
func (w *watched) countServer(p *process, now time.Duration) {
	if s, ok := p.sample(); ok && now >= w.state.SettleEnds {
		var aside budget.Reading
		w.countArenas(&aside, p, s.Size.Bytes())
	}
}

// setOtherwise returns the cap that a process's environment sets. The result "differs" is true if this cap is not the
// planned one. "missing" is true if the environment sets no cap and is intact: every entry has the form NAME=VALUE.
// Both are false if the environment cannot be read.
func (w *watched) setOtherwise(p *process) (cap int, differs, missing bool) {
	text, err := p.read("environ")
	if err != nil {
		return 0, false, false
	}
	env := environ.Rejoin(proc.ParseEnviron(text))
	in := environ.Inherited(env)
	whole := !slices.ContainsFunc(env, func(entry string) bool { return strings.IndexByte(entry, '=') <= 0 })
	return in.Max, in.MaxOK && in.Max != w.cfg.Cap, !in.MaxOK && whole
}

// title is the current name of a process: execve(2) may have changed it.
func (p *process) title() string {
	if stat, err := p.stat(); err == nil {
		p.name = stat.Name
	}
	return oneLine(p.name)
}

// addProcess adds the process to a cap event, unless it is the target.
func (w *watched) addProcess(p *process, e event) event {
	if p == w.scope.target {
		return e
	}
	return e.of(p.pid, p.title())
}
