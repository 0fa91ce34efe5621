package watch

// Which processes count for one target.

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
)

// scope is the processes that count for one target: itself, and with a wider scope others that were found
// and are kept by pidfd, so that a descendant which forks away and loses its parents still counts.
//
// Known limits: a process whose parent ended before any look saw the two is not found by scope "tree", as the kernel
// shows no grandparent; scope "cgroup" finds it. In the first half second a parent is seen that lives for 20 ms, later
// one that lives for an interval. A PID that passes from an unrelated process to a
// descendant between two listings hides that one. What a command starts counts in its control group.
type scope struct {
	kind     string // "process", "tree" or "cgroup"
	target   *process
	since    time.Duration // since boot: what was born earlier is not the target's
	others   map[int]*process
	kin      map[int]*process   // descendants that do not count (kin_linux.go)
	excluded func(pid int) bool // processes of the watch itself, which never count

	launched bool // the target began in this process's control group

	unit     string // the systemd unit whose group it is, whichever group below it the target is in; "" is the target's group
	perStart bool   // when all that it held have ended it takes in no other: those are of a new start

	unrelated, previous []int // scope "tree": processes that are no descendants, sorted, now and at the listing before
}

func newScope(target *process, kind string, excluded func(pid int) bool) *scope {
	return &scope{kind: kind, target: target, since: target.born, others: map[int]*process{}, kin: map[int]*process{}, excluded: excluded}
}

// refresh drops the processes that have ended and finds new ones.
func (s *scope) refresh() error {
	for pid, p := range s.others {
		if p.ended() {
			s.drop(pid)
		}
	}
	if s.perStart && len(s.others) == 0 && s.target.ended() {
		return nil
	}
	switch s.kind {
	case "tree":
		return s.findDescendants()
	case "cgroup":
		return s.findGroup()
	}
	return nil
}

func (s *scope) drop(pid int) {
	s.others[pid].release()
	delete(s.others, pid)
}

func (s *scope) has(pid int) bool {
	_, ok := s.others[pid]
	return ok || pid == s.target.pid && !s.target.ended()
}

// all is every process of the scope that lives, the target first.
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
	s.closeKin()
	for pid := range s.others {
		s.drop(pid)
	}
}

// remaining counts what is left of the target when it has ended itself: processes that are not older than its
// program. In a control group those that were there before, a shell say, keep no watch alive.
func (s *scope) remaining() (n int) {
	for _, p := range s.others {
		if p.born >= s.since && !p.ended() {
			n++
		}
	}
	return n
}

// counts reports whether a process is old enough: for a moment after fork(2) and before execve(2) a child
// shows the whole size of its parent.
func counts(born, now, interval time.Duration) bool { return now-born >= interval }

// findDescendants looks at those processes of the host that were not there the last time.
func (s *scope) findDescendants() error {
	listing, err := listProcesses()
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
		switch stat, ok := statOf(pid); {
		case ok && stat.Started < s.since: // forked before the target's program began, whatever the parent is
			unrelated = append(unrelated, pid)
		case ok:
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

// hold holds processes that were found, each only if it still is what was found once it is held: its PID
// may have gone to another in between.
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
		case !errors.Is(err, unix.ESRCH) && !errors.Is(err, fs.ErrNotExist):
			failed = fmt.Errorf("process %d is left out: %w", pid, err)
		}
	}
	return found, failed
}

// listProcesses is the PIDs of the host, sorted.
func listProcesses() (pids []int, err error) {
	pids, err = proc.Here.Numbers(procRoot)
	slices.Sort(pids)
	return pids, err
}

func statOf(pid int) (stat proc.Stat, ok bool) {
	text, err := proc.Here.Read(filepath.Join(procRoot, strconv.Itoa(pid), "stat"))
	if err != nil {
		return proc.Stat{}, false
	}
	stat, err = proc.ParseStat(text)
	return stat, err == nil
}

// findGroup holds the processes in the target's control group and in the groups below it, and drops those that
// left them.
func (s *scope) findGroup() error {
	if s.target.group == "" || !s.target.ended() {
		folder, err := groupOf(s.target, s.unit)
		if err != nil && s.target.group == "" && s.launched && s.target.ended() {
			// The first process of a daemon may be gone before its group could be read. It was forked in this one.
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

// relist looks again where no process is left: those that were held may have forked since. Three times, as a process
// that becomes a daemon forks twice (daemon(7)) and may end between the listing and the look at it. With scope
// "tree" there is nothing to find any more: an orphan's parent is not its ancestor.
func (s *scope) relist() (err error) {
	for i := 0; i < 3 && s.kind == "cgroup" && !s.perStart && s.remaining() == 0; i++ {
		err = s.refresh()
	}
	return err
}

// inGroup reports whether a process is in the group or in one below it.
func inGroup(p *process, folder, unit string) bool {
	own, err := groupOf(p, unit)
	if err != nil {
		return false
	}
	below, err := filepath.Rel(folder, own)
	return err == nil && filepath.IsLocal(below)
}

// groupOrder says which hierarchy counts (see cgroup.Memberships.In): version 2, then those of version 1 that service
// managers and container engines keep apart.
var groupOrder = [...]string{"", "memory", "name=systemd", "pids"}

// groupOf is the folder of a process's control group. The root group is the whole host, which is nobody's
// service: it is an error. In a cgroup namespace the root is a container's own and fine. With a unit it is the unit's group,
// which a hierarchy of version 1 without this unit does not have.
func groupOf(p *process, unit string) (string, error) {
	text, err := p.read("cgroup")
	if err != nil {
		return "", err
	}
	groups, err := cgroup.ParseMemberships(text)
	if err != nil {
		return "", fmt.Errorf("cgroup of process %d: %w", p.pid, err)
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
		for _, folder := range slices.Backward(g.Folders) { // the outermost first
			if strings.TrimPrefix(filepath.Base(folder), "_") == unit {
				return folder, nil
			}
		}
	}
	return "", fmt.Errorf("process %d is in no control group but the root, which is the whole host", p.pid)
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
