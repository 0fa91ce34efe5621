package watch

// This file writes the events to the log: stderr or a file.

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// eventLog writes events without blocking. It counts the lines that it cannot write and reports the count when writing
// works again.
//
// stderr shares its open file description with the target, so the watch must not set O_NONBLOCK on it. It writes to a socket
// with MSG_DONTWAIT. It opens a pipe or a terminal again through /proc/self/fd, which gives a new description, with
// O_NONBLOCK. If that is forbidden (a pipe of another user), it writes to the shared one only if poll(2) reports room. Then
// a pipe has room for at least a page, more than maxLine, so the write can block only if another writer comes in between.
type eventLog struct {
	path  string // path of the log file; "" for stderr
	fd    int    // descriptor of the log; -1 if it is closed
	write func(fd int, line []byte) error
	dev   uint64
	ino   uint64
	lost  int
	torn  bool // the last line was only partly written, for example on a full disk

	gapEnd time.Duration // end of the last reported gap, on the engine's clock
}

// maxLine is the longest line in bytes (see maxWords). A line with the additional newline after a torn line then has at
// most 4096 bytes: PIPE_BUF on Linux, the largest write to a pipe that is atomic (pipe(7)).
const maxLine = 4095

// openLog opens a log file for appending, or stderr if path is "" or "stderr".
func openLog(path string) (*eventLog, error) {
	if path == "" || path == "stderr" {
		return openStderr(2), nil
	}
	l := &eventLog{path: path, fd: -1, write: writeAll}
	if err := l.reopen(); err != nil {
		return nil, err
	}
	// An empty write fails on /dev/full. It does not fail on a full disk; lines lost there are reported when there is
	// room again.
	if err := writeAll(l.fd, nil); err != nil {
		l.close()
		return nil, fmt.Errorf("log file %q cannot be written: %w", path, err)
	}
	return l, nil
}

// CheckLog returns an error if the log cannot be opened, so that the launch can fail before it starts the target.
func (c Config) CheckLog() error {
	l, err := openLog(c.Log.To)
	if err == nil {
		l.close()
	}
	return err
}

// openStderr opens a log on a descriptor that the target shares.
func openStderr(fd int) *eventLog {
	l := &eventLog{fd: fd, write: writeAll}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		l.fd = -1
		return l
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		l.write = send
	case unix.S_IFIFO, unix.S_IFCHR:
		own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			l.write = writeIfRoom
			return l
		}
		l.fd = own
	}
	return l
}

func writeAll(fd int, line []byte) error {
	n, err := unix.Write(fd, line)
	return whole(n, len(line), err)
}

// errTorn means that a line was only partly written.
var errTorn = errors.New("only a part of the line was written")

func whole(n, length int, err error) error {
	if err == nil && n < length {
		return errTorn
	}
	return err
}

func send(fd int, line []byte) error {
	n, err := unix.SendmsgN(fd, line, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return whole(n, len(line), err)
}

func writeIfRoom(fd int, line []byte) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 {
		return unix.EAGAIN
	}
	return writeAll(fd, line)
}

// logMode is the mode of a log file that the watch creates, independent of the target's umask (but see openFile).
const logMode = 0o640

// openFile opens a log file for appending. With O_NONBLOCK the open does not wait for the reader of a FIFO; regular files
// ignore it.
func openFile(path string) (int, error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open(path, flags, 0)
	if err != unix.ENOENT {
		return fd, err
	}
	if fd, err = unix.Open(path, flags|unix.O_CREAT|unix.O_EXCL, logMode); err == nil {
		_ = unix.Fchmod(fd, logMode)
	}
	if err == unix.EEXIST { // a dangling symbolic link (the umask applies), or another process created the file first
		fd, err = unix.Open(path, flags|unix.O_CREAT, logMode)
	}
	return fd, err
}

func (l *eventLog) reopen() error {
	fd, err := openFile(l.path)
	if err != nil {
		return fmt.Errorf("log file %q cannot be opened: %w", l.path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("log file %q: %w", l.path, err)
	}
	if l.fd >= 0 {
		_ = unix.Close(l.fd)
	}
	l.torn = l.torn && st.Dev == l.dev && st.Ino == l.ino
	l.fd, l.dev, l.ino = fd, st.Dev, st.Ino
	return nil
}

// followRotation opens the log file again if the path leads to another file. If that fails, the log keeps the old file and
// the next event tries again.
func (l *eventLog) followRotation() {
	var st unix.Stat_t
	if l.path == "" || unix.Stat(l.path, &st) == nil && st.Dev == l.dev && st.Ino == l.ino {
		return
	}
	_ = l.reopen()
}

// put writes one line, or none if the argument "line" is nil. If earlier lines were lost, it first writes the line that
// reports their number, which the function "lost" formats.
func (l *eventLog) put(line []byte, lost func(n int) []byte) {
	if l.fd < 0 {
		return
	}
	l.followRotation()
	if l.lost > 0 && l.putWhole(lost(l.lost)) {
		l.lost = 0
	}
	if line != nil && !l.putWhole(line) {
		l.lost++
	}
}

// putWhole writes one line. After a torn line it writes a newline first, so that only the torn line is damaged. It does not
// truncate the file, because others may append to it too.
func (l *eventLog) putWhole(line []byte) bool {
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	err := l.write(l.fd, line)
	switch err {
	case nil:
		l.torn = false
	case errTorn:
		l.torn = true
	}
	return err == nil
}

// close closes the log's own descriptor, never the shared stderr.
func (l *eventLog) close() {
	if l.fd > 2 {
		_ = unix.Close(l.fd)
	}
	l.fd = -1
}

// closeStderr closes the target's stderr, so that a reader of it gets end of file although the watch still runs.
func (l *eventLog) closeStderr() {
	if l.path == "" {
		l.close()
	}
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Dup3(null, 2, 0)
		_ = unix.Close(null)
	}
}
