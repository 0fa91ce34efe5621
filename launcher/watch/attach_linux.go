package watch

// This file opens running processes by PID.

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Target is an open process for a watch.
type Target struct{ process *process }

// Attach opens the process that has pid now. It fails if the process does not exist, is a thread, has ended, has no memory
// of its own, or cannot be read.
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

// AttachAll opens many processes, and returns one error for each that cannot be watched. Each process takes two
// descriptors, so AttachAll raises RLIMIT_NOFILE. If the limit is still too low, the watch opens the statm of some
// processes for each sample.
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

// spareDescriptors is the number of descriptors for all other uses: the log, a command, inspecting processes.
const spareDescriptors = 64

// makeRoom raises RLIMIT_NOFILE for this many targets and returns the number of descriptors for them. It makes the system
// call itself: after syscall.Setrlimit, package syscall would pass the raised limit on to commands.
func makeRoom(targets uint64) uint64 {
	const ofEach = 2
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return ofEach * targets // the limit is unknown; if the targets need more descriptors than the limit allows, open(2) fails with EMFILE
	}
	// First raise the soft limit up to the hard limit, then raise the hard limit too, which only root can do.
	for _, most := range []uint64{limit.Max, ofEach*targets + spareDescriptors} {
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
