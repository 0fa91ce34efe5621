package service

// One look at a host after the other.

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// Finder knows what it saw of a host, so that a look reads what is new. The kernel gives PIDs out in a circle and tells the
// last one: those since the look before are new. /proc is listed where they are many, and once a mostPause.
//
// Known limits: a process that becomes a service's by an execve(2) or a move to another control group is found after as
// long as it ran before, at most mostPause. One that was given its PID by clone3(2) or ns_last_pid is found as late, and so
// is every process that takes over a PID where /proc/loadavg is hidden or lxcfs's, or where a whole circle of PIDs is given
// out between two looks.
type Finder struct {
	root    proc.Root
	rules   *Rules
	seen    []seen        // by PID
	blind   bool          // /proc/loadavg is not the kernel's
	last    int           // the PID that was given out last before the last look; 0 is not known
	since   int           // before the look before that: the kernel gives a PID out a moment before the process can be seen
	list    time.Duration // when /proc is listed again
	watches map[int]int
}

// seen is what is known of one process.
type seen struct {
	Process
	again time.Duration // since boot: when it is read again
}

// Process is one process, and whose it is.
type Process struct {
	PID, Parent int
	Unit        string        // the system's unit, "" where there is none or no rule asked for it
	Started     time.Duration // since boot
	Service     int           // in the policy's order, -1 is none
	Also        int           // the next that it fits too, -1 is none
}

// mostPause bounds how long a process is not read again. 5,000 processes make 80 reads a second.
const mostPause = time.Minute

func NewFinder(root proc.Root, rules *Rules) *Finder {
	return &Finder{root: root, rules: rules, blind: !sameKind(string(root)+"/proc", string(root)+"/proc/loadavg"), watches: map[int]int{}}
}

// sameKind reports whether two files are on file systems of one kind: lxcfs is one of FUSE. Their devices say less, since
// overlayfs has another for files than for folders.
func sameKind(a, b string) bool {
	var x, y unix.Statfs_t
	return unix.Statfs(a, &x) == nil && unix.Statfs(b, &y) == nil && x.Type == y.Type
}

// Look gives every process that belongs to a service, by PID; zombies may be among them. now is since boot.
func (f *Finder) Look(now time.Duration) (members []Process, err error) {
	last := f.lastPID()
	pids, err := f.pids(last, now)
	if err != nil {
		return nil, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	before := f.seen
	f.seen = make([]seen, 0, len(pids)+16)
	for _, pid := range pids {
		for len(before) > 0 && before[0].PID < pid {
			before = before[1:]
		}
		s := seen{Process: Process{PID: pid, Service: -1, Also: -1}}
		known := len(before) > 0 && before[0].PID == pid
		if known {
			s = before[0]
		}
		alive := true
		if !known || now >= s.again || f.reused(pid, last) {
			s, alive = f.examine(s, now)
		}
		if !alive {
			delete(f.watches, pid)
			continue
		}
		f.seen = append(f.seen, s)
		if s.Service >= 0 {
			members = append(members, s.Process)
		}
	}
	f.since, f.last = f.last, last
	return members, nil
}

// mostNew is how many PIDs are tried one by one in any case, and half as many as there are processes: one that is tried
// costs about what one costs in a listing, 2 µs.
const mostNew = 500

// pids are the processes that there are, sorted, and of those that are no service's perhaps some that have ended.
func (f *Finder) pids(last int, now time.Duration) (pids []int, err error) {
	if f.since == 0 || last < f.since || last-f.since > max(mostNew, len(f.seen)/2) || now >= f.list {
		f.list = now + mostPause
		pids, err = f.root.Numbers("/proc")
		slices.Sort(pids)
		return pids, err
	}
	for _, s := range f.seen {
		if s.Service < 0 || f.root.Exists("/proc/"+strconv.Itoa(s.PID)) {
			pids = append(pids, s.PID)
		}
	}
	for pid := f.since + 1; pid <= last; pid++ {
		text, err := f.root.Read("/proc/" + strconv.Itoa(pid) + "/status")
		if of, ok := proc.ParseThreadGroup(text); err == nil && ok && of == pid { // threads have PIDs too
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

func (f *Finder) lastPID() int {
	if f.blind {
		return 0
	}
	text, _ := f.root.Read("/proc/loadavg")
	last, _ := proc.ParseLoadavg(text)
	return last
}

// reused reports whether a PID was given out since the look before: the kernel goes through them in a circle.
func (f *Finder) reused(pid, last int) bool {
	if f.since <= last {
		return f.since < pid && pid <= last
	}
	return pid > f.since || pid <= last
}

// Forget has a PID looked at again, since the process that had it has ended.
func (f *Finder) Forget(pid int) {
	if i, found := slices.BinarySearchFunc(f.seen, pid, func(s seen, pid int) int { return s.PID - pid }); found {
		f.seen[i].again = 0
	}
}

// examine reads a process. What cannot be read now stays as it was.
func (f *Finder) examine(s seen, now time.Duration) (_ seen, alive bool) {
	p, err := readProcess(f.root, s.PID)
	if err != nil {
		return s, !gone(err)
	}
	pause := min(max(now-p.Started, 0), mostPause)
	if pause == mostPause { // so that not all are read at one look
		pause += time.Duration(s.PID%64) * time.Second / 4
	}
	first, also := -1, -1
	if f.noteWatch(s.PID, p.Name); !p.Kernel && f.watches[s.PID] == 0 {
		first, also = f.rules.belongs(p)
	}
	// Of a process whose first thread has ended not all can be read; others may still run.
	if (p.failed != nil && !gone(p.failed) || p.Ended()) && s.Started == p.Started {
		return s, true
	}
	return seen{Process{s.PID, p.Parent, p.unitValue, p.Started, first, also}, now + pause}, true
}

// noteWatch keeps the watches of launches, which are no part of a service.
func (f *Finder) noteWatch(pid int, name string) {
	delete(f.watches, pid)
	if name != watchComm {
		return
	}
	if target := watchedBy(f.root, pid); target != 0 {
		f.watches[pid] = target
	}
}

// IsWatch reports whether a process is the watch of a launch.
func (f *Finder) IsWatch(pid int) bool { return f.watches[pid] != 0 && watchedBy(f.root, pid) != 0 }

// Fits reads a process again: whether it still is the one that was found and belongs to the same service.
func (f *Finder) Fits(found Process) bool {
	p, err := readProcess(f.root, found.PID)
	if err != nil || p.Started != found.Started {
		return false
	}
	service, _ := f.rules.belongs(p)
	return service == found.Service
}

// WatchOf is the watch of a launch that watches a process now, 0 where there is none.
func (f *Finder) WatchOf(target int) int {
	for pid, of := range f.watches {
		if now := watchedBy(f.root, pid); now != of {
			delete(f.watches, pid)
		} else if of == target {
			return pid
		}
	}
	return 0
}
