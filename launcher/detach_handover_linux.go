// The descriptors that a watch in a process of its own is given.

package launcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"arenacap/launcher/watch"
)

// The watch finds /dev/null at 0 and 1, the target's stderr at 2, which it lets go of once it has opened another log, and
// behind that what package watch names. At watch.ReadyFD it finds /dev/null too where the start does not wait for it, so
// that Go's runtime and the watch open nothing of their own at that place.
const (
	watchFDs = watch.ReadyFD + 1
	// ownFDs is the least number of a descriptor of ours before it is moved to its place in the watch:
	// above every place, and low enough for a process that may have only 16 of them.
	ownFDs = watchFDs
)

// handover is the descriptor of ours for each place of the watch's. All are close-on-exec: none reaches the target.
type handover struct {
	place [watchFDs]int
	given []int // those that only the watch needs
	ready int   // where its word is read; 0 is nowhere: nobody waits for it
}

func (h *handover) give(place, fd int) {
	h.place[place] = fd
	h.given = append(h.given, fd)
}

// close closes this process's copies; the watch has its own.
func (h *handover) close() {
	for _, fd := range h.given {
		_ = unix.Close(fd)
	}
	h.given = nil
}

// configPipe makes the pipe that carries the configuration, its length as four bytes, big-endian, and the JSON text, and
// gives its other end. It is written before anything is forked, so it must fit into the pipe: no watch is waited for.
func (h *handover) configPipe(config []byte) (w int, err error) {
	r, w, err := highPipe()
	if err != nil {
		return 0, fmt.Errorf("no pipe for its configuration: %w", err)
	}
	h.give(watch.ConfigFD, r)
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(config))), config...)
	if len(message) > 4096 { // one page is there in any case, pipe(7)
		_, _ = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, len(message)+1)
	}
	n, err := unix.Write(w, message)
	if err == nil && n < len(message) {
		err = errors.New("it does not fit into a pipe")
	}
	if err != nil {
		_ = unix.Close(w)
		return 0, fmt.Errorf("its configuration of %d bytes cannot be handed over: %w", len(config), err)
	}
	return w, nil
}

// open gets the other descriptors.
func (h *handover) open(pid int, wait bool) error {
	null, err := moveUp(unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0))
	if err != nil {
		return fmt.Errorf("/dev/null: %w", err)
	}
	h.give(0, null)
	h.place[1], h.place[2], h.place[watch.ReadyFD] = null, 2, null
	target, err := openTarget(pid)
	if err != nil {
		return err
	}
	h.give(watch.TargetFD, target)
	if !wait {
		return nil
	}
	r, w, err := highPipe()
	if err != nil {
		return fmt.Errorf("no pipe to hear from it: %w", err)
	}
	h.give(watch.ReadyFD, w)
	h.ready = r
	return nil
}

// openTarget holds the process that is to become the target: a pidfd, or its folder in /proc where the
// kernel (before 5.3) or a seccomp filter has none.
func openTarget(pid int) (int, error) {
	fd, err := moveUp(unix.PidfdOpen(pid, 0))
	if err == nil || err == errFewDescriptors {
		return fd, err
	}
	folder, openErr := moveUp(unix.Open("/proc/"+strconv.Itoa(pid), unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0))
	if openErr != nil {
		return -1, fmt.Errorf("pidfd_open: %w, and /proc/%d: %w", err, pid, openErr)
	}
	return folder, nil
}

// highPipe is a close-on-exec pipe whose ends are above the places of the watch's descriptors. The write
// end never blocks.
func highPipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, err
	}
	if r, err = moveUp(p[0], nil); err != nil {
		_ = unix.Close(p[1])
		return 0, 0, err
	}
	if w, err = moveUp(p[1], nil); err != nil {
		_ = unix.Close(r)
		return 0, 0, err
	}
	return r, w, unix.SetNonblock(w, true)
}

func moveUp(fd int, err error) (int, error) {
	if err != nil || fd >= ownFDs {
		return fd, err
	}
	up, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, ownFDs)
	_ = unix.Close(fd)
	if err == unix.EINVAL || err == unix.EMFILE { // EINVAL: so low is RLIMIT_NOFILE itself, fcntl(2)
		err = errFewDescriptors
	}
	return up, err
}

var errFewDescriptors = errors.New("too many open files (RLIMIT_NOFILE); 'ulimit -n 16' is enough for arenacap")
