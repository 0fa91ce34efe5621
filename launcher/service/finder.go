package service

// This file scans a host repeatedly.

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/watch/protocol"
)

// Finder remembers the processes of a host, so that a scan reads only new processes and the known processes whose next
// read is due (see mostPause). The kernel assigns PIDs in ascending order, wraps around, and shows the last assigned PID
// in /proc/loadavg: the PIDs assigned since the previous scans are new. If many PIDs are new, and once every mostPause,
// the scan lists /proc instead.
//
// Known limits: in four cases a scan finds a process late, at most about mostPause after the change.
//   - A known process starts to fit a service, because it calls execve(2) or moves to another control group. Look finds this at
//     the next read of the process. The time between two reads is the age of the process at the first read, up to mostPause.
//   - clone3(2) or ns_last_pid chose the PID of a new process. The next listing of /proc finds it.
//   - A new process gets the PID of a known one, and /proc/loadavg is hidden or comes from lxcfs. Until the next read of
//     this PID the new process is taken for the old one.
//   - A new process gets the PID of a known one because the kernel assigned all PIDs once between two scans. Look takes the new
//     process for the old one in the same way.
type Finder struct {
	root    proc.Root
	rules   *Rules
	seen    []seen        // sorted by PID
	before  []seen        // seen at the previous scan; kept to use its memory again
	pids    []int         // the running processes
	members []Process     // the result of Look
	buffer  []byte        // content of the last file that was read
	blind   bool          // /proc/loadavg is not the kernel's
	last    int           // last assigned PID at the last scan; 0: unknown
	since   int           // last assigned PID at the scan before that; scans start from this one, because the kernel assigns a PID shortly before the process is visible
	list    time.Duration // time of the next listing of /proc
	watches map[int]int   // watches of launches: PID of the watch to PID of its target
}

// seen is the stored result for one process.
type seen struct {
	Process
	again time.Duration // time of the next read, since boot
}

// Process is one process and its service.
type Process struct {
	PID, Parent int
	Unit        string        // unit of the system manager that the process belongs to; "": none, or no rule needed the unit
	Started     time.Duration // start time since boot
	Service     int           // index of the process's service in the policy's order; -1: none
	Also        int           // index of the next service that the process also fits; -1: none
}

// mostPause plus 0 to 16 s is the longest time between two reads of a known process. The addition depends on the PID, so
// that not all processes are read at once. With 5,000 processes a scan a second reads about 75 of them.
const mostPause = time.Minute

func NewFinder(root proc.Root, rules *Rules) *Finder {
	return &Finder{root: root, rules: rules, blind: !sameKind(string(root)+"/proc", string(root)+"/proc/loadavg"), watches: map[int]int{}}
}

// sameKind reports whether two files are on file systems of the same type. A /proc/loadavg of lxcfs is on a FUSE file
// system, not on proc. sameKind does not compare devices, because overlayfs reports different devices for files and folders.
func sameKind(a, b string) bool {
	var x, y unix.Statfs_t
	return unix.Statfs(a, &x) == nil && unix.Statfs(b, &y) == nil && x.Type == y.Type
}

// Look returns every process that belongs to a service, sorted by PID; zombies may be among them. The result is valid until
// the next call. The parameter "now" is the time since boot. The callback, which may be nil, reports whether the caller
// has a process open and will call Forget after the end of the process, so that Look need not check whether the process
// still exists.
func (f *Finder) Look(now time.Duration, held func(pid int) bool) (members []Process, err error) {
	last := f.lastPID()
	if err := f.findPIDs(last, now, held); err != nil {
		return nil, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	before := f.seen
	f.seen, f.before, f.members = f.before[:0], before, f.members[:0]
	for _, pid := range f.pids {
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
			f.members = append(f.members, s.Process)
		}
	}
	f.since, f.last = f.last, last
	return f.members, nil
}

// mostNew limits the new PIDs that a scan tries one by one; half the number of known processes is the limit if that
// is more. Above the limit the scan lists /proc. Trying a PID costs about as much as one entry of a listing, 2 µs.
const mostNew = 500

// findPIDs sets pids to the running processes, sorted. Processes without a service, and those that the caller has open
// (see Look), stay in pids after their end until they are read again or /proc is listed.
func (f *Finder) findPIDs(last int, now time.Duration, held func(pid int) bool) (err error) {
	if f.since == 0 || last < f.since || last-f.since > max(mostNew, len(f.seen)/2) || now >= f.list {
		f.list = now + mostPause
		f.pids, err = f.root.Numbers("/proc")
		slices.Sort(f.pids)
		return err
	}
	f.pids = f.pids[:0]
	for _, s := range f.seen {
		if s.Service < 0 || held != nil && held(s.PID) || f.root.Exists("/proc/"+strconv.Itoa(s.PID)) {
			f.pids = append(f.pids, s.PID)
		}
	}
	for pid := f.since + 1; pid <= last; pid++ {
		text, err := newProcess(f.root, &f.buffer, pid).read("status")
		if of, ok := proc.ParseThreadGroup(text); err == nil && ok && of == pid { // threads have PIDs too
			f.pids = append(f.pids, pid)
		}
	}
	slices.Sort(f.pids)
	f.pids = slices.Compact(f.pids)
	return nil
}

func (f *Finder) lastPID() int {
	if f.blind {
		return 0
	}
	text, _ := f.root.ReadInto(&f.buffer, "/proc/loadavg")
	last, _ := proc.ParseLoadavg(text)
	return last
}

// reused reports whether the kernel has assigned a PID since the scan before the previous one (see the field "since");
// PIDs may have wrapped around.
func (f *Finder) reused(pid, last int) bool {
	if f.since <= last {
		return f.since < pid && pid <= last
	}
	return pid > f.since || pid <= last
}

// Forget makes the next scan read a PID again. Call it after the end of a process for which the function "held" (see
// Look) has returned true.
func (f *Finder) Forget(pid int) {
	if i, found := slices.BinarySearchFunc(f.seen, pid, func(s seen, pid int) int { return s.PID - pid }); found {
		f.seen[i].again = 0
	}
}

func (f *Finder) read(pid int) (*process, error) { return readProcess(f.root, &f.buffer, pid) }

func (f *Finder) watchedBy(pid int) (target int) { return watchedBy(f.root, &f.buffer, pid) }

// examine reads a process. If that fails it keeps the earlier result.
func (f *Finder) examine(s seen, now time.Duration) (_ seen, alive bool) {
	p, err := f.read(s.PID)
	if err != nil {
		return s, !proc.Gone(err)
	}
	pause := min(max(now-p.Started, 0), mostPause)
	if pause == mostPause { // spread the reads over several scans
		pause += time.Duration(s.PID%64) * time.Second / 4
	}
	first, also := -1, -1
	if f.noteWatch(s.PID, p.Name); !p.Kernel && f.watches[s.PID] == 0 {
		first, also = f.rules.belongs(p)
	}
	// After its first thread has ended, a process cannot be read completely, but other threads may still run.
	if (p.failed != nil && !proc.Gone(p.failed) || p.Ended()) && s.Started == p.Started {
		if p.Ended() { // do not read it at each scan: a parent may leave thousands of zombies
			s.again = now + pause
		}
		return s, true
	}
	return seen{Process{s.PID, p.Parent, p.unitValue, p.Started, first, also}, now + pause}, true
}

// noteWatch records whether a process is the watch of a launch. Watches belong to no service.
func (f *Finder) noteWatch(pid int, name string) {
	delete(f.watches, pid)
	if name != protocol.Comm {
		return
	}
	if target := f.watchedBy(pid); target != 0 {
		f.watches[pid] = target
	}
}

// Fits reads a process again and reports whether it is still the same process and belongs to the same service.
func (f *Finder) Fits(found Process) bool {
	p, err := f.read(found.PID)
	if err != nil || p.Started != found.Started {
		return false
	}
	service, _ := f.rules.belongs(p)
	return service == found.Service
}

// WatchOf returns the PID of the process that watches the target now and that the launch of the target started: a detached
// watch, or arenacap run --supervise; 0: none.
func (f *Finder) WatchOf(target int) int {
	for pid, of := range f.watches {
		if now := f.watchedBy(pid); now != of {
			delete(f.watches, pid)
		} else if of == target {
			return pid
		}
	}
	return SupervisorOf(f.root, target)
}
