package watch

// Which process is the server: the target, or a descendant of it where the target is a program that only starts one and
// stays (a shell, sudo, tini), or a launcher that has ended.

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"arenacap/launcher/environ"
	"arenacap/launcher/proc"
	"arenacap/launcher/target"
)

// maxKin bounds the descendants that are held beside a scope that does not count them: each takes two descriptors.
const maxKin = 64

// family is the descendants that are known: those that are counted with scope "tree", else those held for the questions
// of this file alone.
func (s *scope) family() map[int]*process {
	if s.kind == "tree" {
		return s.others
	}
	return s.kin
}

// findChildren holds the children of the target and of the descendants that are known, as the kernel lists them. Unlike a
// listing of all processes this takes microseconds, so that it can be done every few milliseconds: a descendant is
// lost only if its parent ended before the next look (see firstPeek).
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
	for len(parents) > 0 && (s.kind == "tree" || len(family) < maxKin) {
		parent := parents[0]
		found, err := s.hold(parent.children(), family, func(p *process) bool {
			stat, err := p.stat()
			return err == nil && stat.Parent == parent.pid && stat.Started >= s.since
		})
		parents, failed = append(parents[1:], found...), err
	}
	return failed
}

// children are the PIDs of a process's children. A kernel without these files (CONFIG_PROC_CHILDREN) shows none.
func (p *process) children() (pids []int) {
	fd, err := p.open("task")
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "task")
	defer f.Close()
	threads, _ := f.Readdirnames(-1)
	for _, tid := range threads {
		text, err := p.read("task/" + tid + "/children")
		if err == nil {
			pids = append(pids, proc.ParseChildren(text)...)
		}
	}
	return pids
}

// isCarrier reports whether what runs now is known to start other programs. A set-uid program's file may not be asked for
// by an ordinary user; its name is.
func (p *process) isCarrier() bool {
	if exe, err := os.Readlink(filepath.Join(procRoot, strconv.Itoa(p.pid), "exe")); err == nil && target.IsCarrier(exe) {
		return true
	}
	stat, err := p.stat()
	return err == nil && target.IsCarrier(stat.Name)
}

// lookAround looks for descendants and says where the memory is in one that is not measured. A carrier's are looked at with
// every sample, and what a target left; those of other programs when settle has ended and then after twice the time.
func (w *watched) lookAround(now time.Duration) {
	if !w.scope.launched || !w.state.settled || now < w.around {
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
	} else { // a few KiB of heap, ever more seldom
		w.usedPages()
	}
	w.descendant = w.largest(now)
	if w.descendant != nil && w.scope.kind == "process" && !w.ended && !w.told {
		w.tellElsewhere(w.descendant)
	}
}

// largest is the descendant with the largest virtual size that is old enough to show its own.
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

// noticeable is by how much larger a descendant is, in bytes, where it is worth a word: no sleep(1) of a shell's loop is.
const noticeable = 16 << 20

// tellElsewhere says once that a descendant holds more than the target, in address space and in memory: a helper written
// in Go reserves a gigabyte and holds nothing.
func (w *watched) tellElsewhere(p *process) {
	own, ok1 := w.scope.target.sample()
	other, ok2 := p.sample()
	if ok1 && ok2 && other.Size.Bytes() >= own.Size.Bytes()+noticeable && other.Resident > own.Resident {
		w.told = true
		w.report(holdsMore(p.pid, p.title(), other.Size.Bytes(), own.Size.Bytes()))
	}
}

// tellLeft says that the target has ended and a descendant goes on without a watch: soon after the start, as launchers of
// daemons do, or where its watch has no log any more.
func (w *watched) tellLeft(now time.Duration) {
	family, write := w.scope.kin, `scope = "tree" in [budget]`
	switch {
	case w.scope.kind != "process" && w.silent():
		family, write = w.scope.others, "a file's path as [log] to: stderr is the program's, and the watch closes it"
	case w.scope.kind == "process" && now < w.state.settleEnds:
		w.reportOnce("kin", w.scope.findChildren())
	default:
		return
	}
	var left *process
	for _, pid := range slices.Sorted(maps.Keys(family)) {
		if p := family[pid]; p.born >= w.scope.since && !p.ended() && (left == nil || !p.isCarrier()) {
			left = p
		}
	}
	if left != nil {
		w.report(leftBehind(left.pid, left.title(), write))
	}
}

// server is the process whose arenas are compared with the plan, nil where there is none yet: the target, unless it only
// starts others and has no arena but its main one.
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

// countServer counts the arenas of a process that the readings do not cover.
func (w *watched) countServer(p *process, now time.Duration) {
	if s, ok := p.sample(); ok && now >= w.state.settleEnds {
		var aside reading
		w.countArenas(&aside, p, s.Size.Bytes())
	}
}

// setOtherwise is the cap in the environment of a process where that is not the plan's. known is false where the
// environment has none or may not be read, or where the program wrote over it.
func (w *watched) setOtherwise(p *process) (cap int, known, missing bool) {
	text, err := p.read("environ")
	if err != nil {
		return 0, false, false
	}
	env := environ.Rejoin(proc.ParseEnviron(text))
	in := environ.Inherited(env)
	whole := !slices.ContainsFunc(env, func(entry string) bool { return !hasName(entry) })
	return in.Max, in.MaxOK && in.Max != w.cfg.Cap, !in.MaxOK && whole
}

func hasName(entry string) bool {
	for i := range len(entry) {
		if entry[i] == '=' {
			return i > 0
		}
	}
	return false
}

// title is a process's name now: it may have executed since it was found.
func (p *process) title() string {
	if stat, err := p.stat(); err == nil {
		p.name = stat.Name
	}
	return oneLine(p.name)
}

// about names the process that a judgement of the cap is about, where that is not the target.
func (w *watched) about(p *process, e event) event {
	if p == w.scope.target {
		return e
	}
	return e.of(p.pid, p.title())
}

// closeKin lets go of the descendants that a scope does not count.
func (s *scope) closeKin() {
	for pid, p := range s.kin {
		p.release()
		delete(s.kin, pid)
	}
}
