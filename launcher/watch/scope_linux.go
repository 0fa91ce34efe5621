package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
)

// herd is the processes that count for one target: itself, and with a wider scope others that were found
// and are kept by pidfd, so that a descendant which forks away and loses its parents still counts.
//
// Known limits: a process whose parent ended before any listing saw the two is not found by scope "tree", as
// the kernel tells nobody who its grandparent was; scope "cgroup" finds it. A stranger's PID that goes to a
// descendant between two listings hides that one. What a command starts counts in its control group.
type herd struct {
	scope  string
	target *process
	since  time.Duration // since boot: who was born earlier is not the target's
	others map[int]*process
	not    func(pid int) bool // processes of the watch itself, which never count

	launched bool // the target began in this process's control group

	strangers, spare []int // scope "tree": who is known to be no descendant, sorted; the listing before
}

func newHerd(target *process, scope string, not func(pid int) bool) *herd {
	return &herd{scope: scope, target: target, since: target.born, others: map[int]*process{}, not: not}
}

// refresh drops who has ended and finds who is new.
func (h *herd) refresh() error {
	for pid, p := range h.others {
		if p.ended() {
			h.drop(pid)
		}
	}
	switch h.scope {
	case "tree":
		return h.findDescendants()
	case "cgroup":
		return h.findGroup()
	}
	return nil
}

func (h *herd) drop(pid int) {
	h.others[pid].release()
	delete(h.others, pid)
}

func (h *herd) has(pid int) bool {
	_, ok := h.others[pid]
	return ok || pid == h.target.pid && !h.target.ended()
}

// all is every process of the herd that lives, the target first.
func (h *herd) all() (ps []*process) {
	if !h.target.ended() {
		ps = append(ps, h.target)
	}
	for _, pid := range slices.Sorted(maps.Keys(h.others)) {
		if p := h.others[pid]; !p.ended() {
			ps = append(ps, p)
		}
	}
	return ps
}

func (h *herd) release() {
	h.target.release()
	for pid := range h.others {
		h.drop(pid)
	}
}

// remaining counts what is left of the target when it has ended itself: who is not older than its
// program. In a control group those who were there before, a shell say, keep no watch alive.
func (h *herd) remaining() (n int) {
	for _, p := range h.others {
		if p.born >= h.since && !p.ended() {
			n++
		}
	}
	return n
}

// counts reports whether a process is old enough: for a moment after fork(2) and before execve(2) a child
// shows the whole size of its parent.
func counts(born, now, interval time.Duration) bool { return now-born >= interval }

// findDescendants looks at those processes of the host that were not there the last time.
func (h *herd) findDescendants() error {
	listing, err := listProcesses()
	if err != nil {
		return err
	}
	known, fresh, older := h.spare[:0], []kin(nil), []int(nil)
	for _, pid := range listing {
		if _, found := slices.BinarySearch(h.strangers, pid); found {
			known = append(known, pid)
		} else if !h.has(pid) {
			s, ok := statOf(pid)
			switch {
			case ok && s.Started < h.since: // forked before the target's program began, whoever the parent is
				older = append(older, pid)
			case ok:
				fresh = append(fresh, kin{pid, s.Parent})
			}
		}
	}
	known = append(known, older...)
	slices.Sort(known)
	h.strangers, h.spare = known, h.strangers
	in, out := sortKin(fresh, h.has, h.stranger)
	h.strangers = append(h.strangers, out...)
	slices.Sort(h.strangers)
	return h.adopt(in, func(p *process) bool {
		s, err := p.stat()
		return err == nil && slices.Contains(fresh, kin{p.pid, s.Parent})
	})
}

func (h *herd) stranger(pid int) bool {
	_, found := slices.BinarySearch(h.strangers, pid)
	return found
}

// adopt holds processes that were found, each only if it still is what was found once it is held: its PID
// may have gone to another in between.
func (h *herd) adopt(pids []int, still func(*process) bool) error {
	var failed error
	for _, pid := range pids {
		if h.not(pid) || h.has(pid) {
			continue
		}
		p, err := hold(pid, -1)
		switch {
		case err == nil && still(p):
			h.others[pid] = p
		case err == nil:
			p.release()
		case !errors.Is(err, unix.ESRCH) && !errors.Is(err, fs.ErrNotExist):
			failed = fmt.Errorf("process %d is left out: %w", pid, err)
		}
	}
	return failed
}

// listProcesses is the PIDs of the host, sorted.
func listProcesses() (pids []int, err error) {
	pids, err = proc.Here.Numbers(procRoot)
	slices.Sort(pids)
	return pids, err
}

func statOf(pid int) (s proc.Stat, ok bool) {
	text, err := proc.Here.Read(filepath.Join(procRoot, strconv.Itoa(pid), "stat"))
	if err != nil {
		return proc.Stat{}, false
	}
	s, err = proc.ParseStat(text)
	return s, err == nil
}

// findGroup takes in whoever is in the target's control group or in a group below it, and lets go who
// left.
func (h *herd) findGroup() error {
	if h.target.group == "" || !h.target.ended() {
		folder, err := groupOf(h.target)
		if err != nil && h.target.group == "" && h.launched && h.target.ended() {
			// The first process of a daemon may be gone before its group could be read. It was forked in this one.
			folder, err = groupOf(&process{pid: os.Getpid(), pidfd: -1, dir: -1})
		}
		if err != nil && h.target.group == "" {
			return err
		}
		if err == nil {
			h.target.group = folder
		}
	}
	pids, err := cgroup.Processes(h.target.group)
	if err != nil {
		return err
	}
	for pid := range h.others {
		if !slices.Contains(pids, pid) {
			h.drop(pid)
		}
	}
	return h.adopt(pids, func(p *process) bool { return inGroup(p, h.target.group) })
}

// lookForHeirs looks again where nobody is left: whoever was held may have forked since. Three times, as one
// who becomes a daemon forks twice (daemon(7)) and may end between the listing and the look at it. With scope
// "tree" there is nothing to find any more: an orphan's parent tells nothing.
func (h *herd) lookForHeirs() (err error) {
	for i := 0; i < 3 && h.scope == "cgroup" && h.remaining() == 0; i++ {
		err = h.refresh()
	}
	return err
}

// inGroup reports whether a process is in the group or in one below it.
func inGroup(p *process, folder string) bool {
	own, err := groupOf(p)
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
// service: it is an error. In a cgroup namespace the root is a container's own and fine.
func groupOf(p *process) (string, error) {
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
		if g := m.Find(proc.Here, mounts); g.Own && !g.IsRoot(proc.Here) {
			return g.Folders[0], nil
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
