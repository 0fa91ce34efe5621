package watch

// This file finds the processes that count for one target.

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
)

// scope is the processes that count for one target: the target and, with scope "tree" or "cgroup", others. They are held by
// pidfd, so that a descendant still counts after its parents have ended.
//
// Known limits:
//   - Scope "tree" misses a process if its parent ended before a scan saw both of them, because the kernel then shows another
//     parent. A scan runs every interval, in a launch also every 20 ms in the first 500 ms. Scope "cgroup" finds such a
//     process.
//   - Scope "tree" misses a descendant that got the PID of an unrelated process between two listings of /proc.
//   - Scope "cgroup" also counts processes of the group that the command of [budget] started, but not the command itself.
type scope struct {
	kind     string // kind of the scope: "process", "tree" or "cgroup"
	target   *process
	since    time.Duration // time since boot; processes that started earlier do not descend from the target
	others   map[int]*process
	kin      map[int]*process   // descendants, except with scope "tree"; the budget does not use them (kin_linux.go)
	excluded func(pid int) bool // processes that the budget never counts (watched.own)

	launched bool // the target started in the control group of the process that watches it

	unit     string // scope "cgroup": the systemd unit whose control group is counted; "": the control group of the target is counted
	perStart bool   // once all processes have ended, add no more: new ones belong to a restart of the service

	list func() ([]int, error) // all PIDs of the host, sorted

	// Scope "tree": the list "unrelated" has the PIDs of the latest listing that do not descend from the target,
	// sorted; "previous" has those of the listing before, only so that the next listing reuses its memory.
	unrelated, previous []int
}

func newScope(target *process, kind string, excluded func(pid int) bool) *scope {
	return &scope{kind: kind, target: target, since: target.born, others: map[int]*process{}, kin: map[int]*process{}, excluded: excluded, list: listProcesses}
}

// refresh drops the processes that have ended and finds new ones.
func (s *scope) refresh() error {
	if s.kind == "process" {
		return nil
	}
	for pid, p := range s.others {
		if p.ended() {
			s.drop(pid)
		}
	}
	if s.perStart && len(s.others) == 0 && s.target.ended() {
		return nil
	}
	if s.kind == "tree" {
		return s.findDescendants()
	}
	return s.findGroup()
}

func (s *scope) drop(pid int) {
	s.others[pid].release()
	delete(s.others, pid)
}

func (s *scope) has(pid int) bool {
	_, ok := s.others[pid]
	return ok || pid == s.target.pid && !s.target.ended()
}

// all returns the running processes of the scope, the target first.
func (s *scope) all() (ps []*process) {
	if !s.target.ended() {
		ps = append(ps, s.target)
	}
	for _, pid := range slices.Sorted(maps.Keys(s.others)) {
		if p := s.others[pid]; !p.ended() {
			ps = append(ps, p)
		}
	}
	return ps
}

func (s *scope) release() {
	s.target.release()
	for _, held := range []map[int]*process{s.others, s.kin} {
		for _, p := range held {
			p.release()
		}
		clear(held)
	}
}

// remaining counts the processes that still run after the target's end and are not older than its program. Older
// processes in the control group, such as a shell, do not keep the watch alive.
func (s *scope) remaining() (n int) {
	for _, p := range s.others {
		if p.born >= s.since && !p.ended() {
			n++
		}
	}
	return n
}

// counts reports whether a process is old enough to count: between fork(2) and execve(2) a child has its parent's size.
func counts(born, now, interval time.Duration) bool { return now-born >= interval }

// findDescendants lists the processes of the host and classifies the new ones.
func (s *scope) findDescendants() error {
	listing, err := s.list()
	if err != nil {
		return err
	}
	unrelated, fresh := s.previous[:0], []edge(nil)
	for _, pid := range listing {
		if s.isUnrelated(pid) {
			unrelated = append(unrelated, pid)
			continue
		}
		if s.has(pid) {
			continue
		}
		switch stat, err := proc.Here.Stat(pid); {
		case err == nil && stat.Started < s.since: // started before the target's program, so not a descendant
			unrelated = append(unrelated, pid)
		case err == nil:
			fresh = append(fresh, edge{pid, stat.Parent})
		}
	}
	s.unrelated, s.previous = unrelated, s.unrelated
	in, out := classify(fresh, s.has, s.isUnrelated)
	s.unrelated = append(s.unrelated, out...)
	slices.Sort(s.unrelated)
	_, err = s.hold(in, s.others, func(p *process) bool {
		stat, err := p.stat()
		return err == nil && slices.Contains(fresh, edge{p.pid, stat.Parent})
	})
	return err
}

func (s *scope) isUnrelated(pid int) bool {
	_, found := slices.BinarySearch(s.unrelated, pid)
	return found
}

// hold opens each process that is not open yet, not the target and not excluded. Then it calls the parameter "still" to
// check that this is the process that was found, because the PID may have been reused in between.
func (s *scope) hold(pids []int, into map[int]*process, still func(*process) bool) (found []*process, failed error) {
	for _, pid := range pids {
		if into[pid] != nil || pid == s.target.pid || s.excluded(pid) {
			continue
		}
		p, err := hold(pid, -1)
		switch {
		case err == nil && still(p):
			into[pid] = p
			found = append(found, p)
		case err == nil:
			p.release()
		case !proc.Gone(err):
			failed = fmt.Errorf("process %d is not counted: %w", pid, err)
		}
	}
	return found, failed
}

// listProcesses returns all PIDs of the host, sorted.
func listProcesses() (pids []int, err error) {
	pids, err = proc.Here.Numbers(procRoot)
	slices.Sort(pids)
	return pids, err
}

// findGroup opens the processes in the target's control group and its subgroups, and drops those that left.
func (s *scope) findGroup() error {
	if s.target.group == "" || !s.target.ended() {
		folder, err := groupOf(s.target, s.unit)
		if err != nil && s.target.group == "" && s.launched && s.target.ended() {
			// The first process of a daemon may end before its group can be read. It started in the group of the
			// process that watches it.
			folder, err = groupOf(&process{pid: os.Getpid(), pidfd: -1, dir: -1}, "")
		}
		if err != nil && s.target.group == "" {
			return err
		}
		if err == nil {
			s.target.group = folder
		}
	}
	pids, err := cgroup.Processes(s.target.group)
	if err != nil {
		return err
	}
	for pid := range s.others {
		if !slices.Contains(pids, pid) {
			s.drop(pid)
		}
	}
	_, err = s.hold(pids, s.others, func(p *process) bool { return inGroup(p, s.target.group, s.unit) })
	return err
}

// relist lists the control group again if no process is left, because the held processes may have forked before their
// end. It tries three times: a process that becomes a daemon forks twice (daemon(7)) and may end between the listing
// and the check. Scope "tree" cannot find more, because the parent of an orphan is not its ancestor.
func (s *scope) relist() (err error) {
	for i := 0; i < 3 && s.kind == "cgroup" && !s.perStart && s.remaining() == 0; i++ {
		err = s.refresh()
	}
	return err
}

// inGroup reports whether a process is in the group or a subgroup.
func inGroup(p *process, folder, unit string) bool {
	own, err := groupOf(p, unit)
	if err != nil {
		return false
	}
	below, err := filepath.Rel(folder, own)
	return err == nil && filepath.IsLocal(below)
}

// groupOrder is the order in which hierarchies are tried (see cgroup.Memberships.In): version 2, then the hierarchies of
// version 1 in which service managers and container engines create a group per service.
var groupOrder = [...]string{"", "memory", "name=systemd", "pids"}

// groupOf is the folder of a process's control group or, with a unit, of the unit's group, in the first hierarchy that has
// it. The root group is an error because it covers the whole host. The root of a cgroup namespace is accepted: it covers one
// container.
func groupOf(p *process, unit string) (string, error) {
	text, err := p.read("cgroup")
	if err != nil {
		return "", err
	}
	groups, err := cgroup.ParseMemberships(text)
	if err != nil {
		return "", fmt.Errorf("the control group of process %d cannot be read: %w", p.pid, err)
	}
	mounts, err := groupMounts()
	if err != nil {
		return "", err
	}
	for _, hierarchy := range groupOrder {
		m, _ := groups.In(hierarchy)
		g := m.Find(proc.Here, mounts)
		if !g.Own || g.IsRoot(proc.Here) {
			continue
		}
		if unit == "" {
			return g.Folders[0], nil
		}
		for _, folder := range slices.Backward(g.Folders) { // outermost first
			if strings.TrimPrefix(filepath.Base(folder), "_") == unit {
				return folder, nil
			}
		}
	}
	return "", fmt.Errorf("process %d is in the root control group, which covers the whole host", p.pid)
}

func groupMounts() ([]cgroup.Mount, error) {
	const path = procRoot + "/self/mountinfo"
	text, err := proc.Here.Read(path)
	if err != nil {
		return nil, err
	}
	mounts, err := cgroup.ParseMountinfo(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return mounts, nil
}
