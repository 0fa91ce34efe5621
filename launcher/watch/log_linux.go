package watch

// Where events are written: stderr or a file.

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// eventLog is where events are written. No write waits and no failure matters: what cannot be written is
// counted and the count is reported when writing works again.
//
// The log on stderr shares its open file description with the target, so its flags are not ours to change.
// A socket is sent to with MSG_DONTWAIT. A pipe or a terminal is opened again through /proc/self/fd, which
// gives a description of our own with O_NONBLOCK. Where that is forbidden (a pipe made by another user) the
// shared one is written to only when poll(2) says there is room: at least a page, which a line of at most
// maxLine fits, so that only another writer in between could make it wait.
type eventLog struct {
	path  string // "" is stderr
	fd    int    // -1 is closed
	write func(fd int, line []byte) error
	dev   uint64
	ino   uint64
	lost  int
	torn  bool // the last line was written in part, as on a disk that became full

	gapEnd time.Duration // when the last gap that was reported here ended, by the engine's clock
}

// maxLine is the longest line in bytes (see maxWords). With the newline that mends a torn one it is PIPE_BUF on Linux (pipe(7)),
// which a pipe takes whole or not at all.
const maxLine = 4095

// openLog opens a log file for appending, or takes stderr where path is "" or "stderr".
func openLog(path string) (*eventLog, error) {
	if path == "" || path == "stderr" {
		return openStderr(2), nil
	}
	l := &eventLog{path: path, fd: -1, write: writeAll}
	if err := l.reopen(); err != nil {
		return nil, err
	}
	// Nothing is written, but what takes no line at all, /dev/full, says so here. A disk that is full or becomes
	// so does not: what is lost then is reported when there is room again.
	if err := writeAll(l.fd, nil); err != nil {
		l.close()
		return nil, fmt.Errorf("log file %q cannot be written: %w", path, err)
	}
	return l, nil
}

// CheckLog says whether the log can be opened, for a start that is refused where it cannot.
func CheckLog(cfg Config) error {
	l, err := openLog(cfg.Log.To)
	if err == nil {
		l.close()
	}
	return err
}

// openStderr prepares a descriptor that is shared with the target.
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

// errTorn says that a part of a line was written.
var errTorn = errors.New("a part of the line was written")

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

// logMode is the mode of a log file that the watch creates, whatever the target's umask is.
const logMode = 0o640

// openFile opens a log file for appending. O_NONBLOCK is for a FIFO without a reader; a regular file ignores it.
func openFile(path string) (int, error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open(path, flags, 0)
	if err != unix.ENOENT {
		return fd, err
	}
	if fd, err = unix.Open(path, flags|unix.O_CREAT|unix.O_EXCL, logMode); err == nil {
		_ = unix.Fchmod(fd, logMode)
	}
	if err == unix.EEXIST { // a link that leads to no file yet, or somebody was faster
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

// followRotation opens the log file again when its name no longer leads to it. Where that fails the old
// one is written to, and the next event tries again.
func (l *eventLog) followRotation() {
	var st unix.Stat_t
	if l.path == "" || unix.Stat(l.path, &st) == nil && st.Dev == l.dev && st.Ino == l.ino {
		return
	}
	_ = l.reopen()
}

// put writes one line, or nil for none. lost makes the line that says how many were lost before it.
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

// putWhole writes one line. After one that was torn it begins with a newline, so that only the torn one is no
// line; others may append to the file as well, so nothing is cut off it.
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

// close closes what is the log's own, never the stderr that it was given.
func (l *eventLog) close() {
	if l.fd > 2 {
		_ = unix.Close(l.fd)
	}
	l.fd = -1
}

// closeStderr closes the target's stderr, so that a reader that waits for its end does not wait for the watch.
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
