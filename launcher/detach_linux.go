// This file starts the detached watch: a separate process, for a target that replaces arenacap by exec.

package launcher

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/watch"
)

// detached is a started watch; config is the write end of its configuration pipe.
type detached struct{ config int }

// abandon tells the watch that the target did not start; the watch then exits without a message.
func (d *detached) abandon() {
	if d != nil {
		_, _ = unix.Write(d.config, []byte{'x'})
		_ = unix.Close(d.config)
	}
}

// detach forks the watch and passes it the configuration. If wait is true, detach waits for the watch's answer and returns
// an error unless the watch works.
func detach(cfg watch.Config, wait bool) (*detached, error) {
	if err := CanDetach(); err != nil {
		return nil, fmt.Errorf("%w; use --supervise", err)
	}
	var h handover
	defer h.close()
	w, err := h.configPipe(cfg.Encode())
	if err != nil {
		return nil, err
	}
	d := &detached{w}
	if err := h.start(cfg, wait); err != nil {
		d.abandon()
		return nil, err
	}
	return d, nil
}

// start forks the watch and, if the argument "wait" is true, reads the watch's answer.
func (h *handover) start(cfg watch.Config, wait bool) error {
	if err := h.open(cfg.PID, wait); err != nil {
		return err
	}
	f, err := newDoubleFork(h, cfg)
	if err != nil {
		return err
	}
	if err := f.fork(); err != nil || !wait {
		return err
	}
	h.close() // closes this process's write end of the answer's pipe, so that awaitReady reads end of file if the watch dies
	return awaitReady(h.ready)
}

// CanDetach returns an error if the watch would become a child of the target. The kernel makes an orphan a child of its
// nearest living sub-reaper or of PID 1 of the namespace (Linux: kernel/exit.c, find_new_reaper). This process, which
// becomes the target, must be neither.
func CanDetach() error {
	if os.Getpid() == 1 {
		return errors.New("arenacap is PID 1 here, so the watch would become a child of the target")
	}
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0)
	if err == nil && subreaper != 0 {
		return errors.New("arenacap is a child sub-reaper here, so the watch would become a child of the target")
	}
	return nil
}

// readyTimeout bounds how long a start waits for its watch under on_watch_failure = "refuse".
const readyTimeout = 10_000 // milliseconds

// awaitReady waits for the watch's answer: "ready", or the reason why it cannot work.
func awaitReady(ready int) error {
	defer unix.Close(ready)
	fds := []unix.PollFd{{Fd: int32(ready), Events: unix.POLLIN}}
	n, err := proc.Retry(func() (int, error) { return unix.Poll(fds, readyTimeout) })
	if n == 0 && err == nil {
		return fmt.Errorf("the watch did not answer within %d s", readyTimeout/1000)
	}
	answer := make([]byte, 512)
	n, _ = unix.Read(ready, answer)
	switch word := strings.TrimSpace(string(answer[:max(n, 0)])); word {
	case "ready":
		return nil
	case "":
		return errors.New("the watch ended before it was ready")
	default:
		return errors.New(word)
	}
}
