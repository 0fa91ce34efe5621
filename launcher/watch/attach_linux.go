package watch

// How the processes that are named by their PID are taken hold of.

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Target is a process that is held for a watch.
type Target struct{ process *process }

// Attach holds the process that has pid now. An error says why it cannot be watched: it does not exist, is
// a thread, has ended, has no memory of its own, or may not be read.
func Attach(pid int) (*Target, error) {
	if err := ownProc(); err != nil {
		return nil, err
	}
	p, err := hold(pid, -1)
	if err != nil {
		return nil, err
	}
	if _, ok := p.sample(); !ok {
		defer p.release()
		if p.ended() {
			return nil, fmt.Errorf("process %d has ended: %w", pid, unix.ESRCH)
		}
		return nil, fmt.Errorf("process %d (%s) has no memory of its own to watch: it is a kernel thread", pid, oneLine(p.name))
	}
	return &Target{p}, nil
}

// AttachAll holds many processes; failed has why some cannot be watched. Each takes two descriptors, and RLIMIT_NOFILE
// is raised for them. Where it cannot be raised so far, the sizes of some are read by opening a file each time.
func AttachAll(pids []int) (targets []*Target, failed []error) {
	keep := int(makeRoom(uint64(len(pids)))) - len(pids)
	for _, pid := range pids {
		t, err := Attach(pid)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if keep--; keep < 0 && t.process.pidfd >= 0 {
			t.process.openEachTime()
		}
		targets = append(targets, t)
	}
	return targets, failed
}

// spareDescriptors are for everything else: the log, a command, looks into processes.
const spareDescriptors = 64

// makeRoom raises RLIMIT_NOFILE for so many targets and gives how many descriptors they may have. The limit is not
// set through package syscall, which would pass it on to commands.
func makeRoom(targets uint64) uint64 {
	const ofEach = 2
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return ofEach * targets // the kernel says when there are too many
	}
	for _, most := range []uint64{limit.Max, ofEach*targets + spareDescriptors} { // the second only root can raise
		if want := ofEach*targets + spareDescriptors; limit.Cur < want {
			raised := unix.Rlimit{Cur: min(want, most), Max: max(limit.Max, most)}
			_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&raised)), 0, 0, 0)
			if errno == 0 {
				limit = raised
			}
		}
	}
	return max(limit.Cur, spareDescriptors) - spareDescriptors
}
