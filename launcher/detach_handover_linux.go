// This file prepares the descriptors that a detached watch inherits.

package launcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"arenacap/launcher/watch/protocol"
)

// The watch gets /dev/null as descriptors 0 and 1, and the target's stderr as 2, which the watch closes once it has opened
// another log. The numbers of the other descriptors are constants of package protocol. If the start does not wait for the
// watch, protocol.ReadyFD is /dev/null as well, so that neither Go's runtime nor the watch opens another file under that
// number.
const (
	watchFDs = protocol.ReadyFD + 1
	// ownFDs is the lowest number that this process uses for the watch's descriptors. dup3 later moves each of them to the
	// number that it has in the watch. All numbers in the watch are lower than ownFDs, so that dup3 overwrites no descriptor
	// that is still to be moved. ownFDs is low enough for an RLIMIT_NOFILE of 16.
	ownFDs = watchFDs
)

// handover maps each descriptor number of the watch to a descriptor of this process. All except stderr are
// close-on-exec, so the target inherits none of them.
type handover struct {
	place [watchFDs]int
	given []int // descriptors that only the watch needs
	ready int   // read end of the pipe for the watch's answer; 0 if the start does not wait for it
}

func (h *handover) give(place, fd int) {
	h.place[place] = fd
	h.given = append(h.given, fd)
}

// close closes this process's copies of the descriptors in the list "given". The watch has its own copies, which the
// forks made.
func (h *handover) close() {
	for _, fd := range h.given {
		_ = unix.Close(fd)
	}
	h.given = nil
}

// configPipe makes the pipe that carries the configuration and returns the write end. The message is the length (four
// bytes, big-endian) and the JSON text. It is written before the forks, when nothing reads yet, so it must fit into the pipe.
func (h *handover) configPipe(config []byte) (w int, err error) {
	r, w, err := highPipe()
	if err != nil {
		return 0, fmt.Errorf("cannot make a pipe for the watch's configuration: %w", err)
	}
	h.give(protocol.ConfigFD, r)
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(config))), config...)
	if len(message) > 4096 { // the smallest pipe holds one page (pipe(7))
		_, _ = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, len(message)+1)
	}
	n, err := unix.Write(w, message)
	if err == nil && n < len(message) {
		err = errors.New("the configuration does not fit into a pipe's buffer")
	}
	if err != nil {
		_ = unix.Close(w)
		return 0, fmt.Errorf("cannot pass the watch its configuration of %d bytes: %w", len(config), err)
	}
	return w, nil
}

// open opens all descriptors of the watch other than the configuration pipe.
func (h *handover) open(pid int, wait bool) error {
	null, err := moveUp(unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0))
	if err != nil {
		return fmt.Errorf("/dev/null: %w", err)
	}
	h.give(0, null)
	h.place[1], h.place[2], h.place[protocol.ReadyFD] = null, 2, null
	target, err := openTarget(pid)
	if err != nil {
		return err
	}
	h.give(protocol.TargetFD, target)
	if !wait {
		return nil
	}
	r, w, err := highPipe()
	if err != nil {
		return fmt.Errorf("cannot make a pipe for the watch's answer: %w", err)
	}
	h.give(protocol.ReadyFD, w)
	h.ready = r
	return nil
}

// openTarget opens the process that will become the target: as a pidfd, or as its directory in /proc if the kernel (before
// 5.3) or a seccomp filter does not allow pidfd_open(2).
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

// highPipe makes a close-on-exec pipe with both descriptors at ownFDs or above and a non-blocking write end.
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
	if err == unix.EINVAL || err == unix.EMFILE { // EINVAL: RLIMIT_NOFILE is not above ownFDs (fcntl(2))
		err = errFewDescriptors
	}
	return up, err
}

var errFewDescriptors = errors.New("too many open files (RLIMIT_NOFILE); 'ulimit -n 16' is enough for arenacap")
