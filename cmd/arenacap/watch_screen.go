package main

// The place of watch's table: the last lines of a terminal, drawn again in place, while other lines scroll up above it.

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"arenacap/launcher/relay"
	"arenacap/launcher/watch"
)

// watchScreen implements watch.View. Between two frames the cursor is at the start of an empty line above the table:
//
//   - What other programs print (an echoed key, wall(1), the shell after SIGKILL) does not damage the table.
//   - When the size of a terminal changes, it moves the cursor with the text, so that the next frame begins at the right line.
//
// Only ECMA-48 sequences and DECAWM are used, so the terminal's settings stay as they are and need no restoring.
type watchScreen struct {
	what    string // the head of the names
	fd      int    // the terminal; writing to it does not block
	signals chan os.Signal
	wg      sync.WaitGroup

	mu    sync.Mutex
	rows  []watch.Row
	at    time.Time // of rows
	drawn bool
	below int // the cursor's distance from the empty line, if the terminal did not take a whole frame
}

// Control sequences of a terminal.
const (
	eraseLine  = "\x1b[K" // ECMA-48 EL and ED: from the cursor on
	eraseBelow = "\x1b[J"
	wrapOff    = "\x1b[?7l" // DECAWM: names may have wide characters, so that a line is longer than its number of characters
	wrapOn     = "\x1b[?7h"
)

// up is ECMA-48 CUU; its parameter 0 would mean 1.
func up(lines int) string {
	if lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA", lines)
}

// newWatchScreen returns nil if stderr is not a terminal for a table. It is none for JSON, which is for programs, and with
// -q. Close it at the end.
func newWatchScreen(what string, configs ...watch.Config) *watchScreen {
	if !isTerminal(os.Stderr) || plainTerminal() || slices.ContainsFunc(configs, func(c watch.Config) bool {
		return c.Quiet || c.Log.Format == "json" && c.Log.To == "stderr"
	}) {
		return nil
	}
	// A new description, because O_NONBLOCK would be set for all that share this one.
	fd, err := unix.Open("/proc/self/fd/2", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	s := &watchScreen{what: what, fd: fd, signals: make(chan os.Signal, 8)}
	signal.Notify(s.signals, syscall.SIGWINCH, syscall.SIGCONT)
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(s.signals, syscall.SIGTSTP)
	}
	s.wg.Go(s.hear)
	return s
}

// view is s as a View, nil if s is nil.
func (s *watchScreen) view() watch.View {
	if s == nil {
		return nil
	}
	return s
}

func (s *watchScreen) close() {
	if s == nil {
		return
	}
	signal.Stop(s.signals)
	close(s.signals)
	s.wg.Wait()
	s.erase()
	_ = unix.Close(s.fd)
}

// hear draws at a new size and after a stop.
func (s *watchScreen) hear() {
	for got := range s.signals {
		s.mu.Lock()
		if got == syscall.SIGTSTP {
			s.erase()
			_ = relay.Stop() // on an error, the key has no effect
		}
		if s.rows != nil {
			s.draw()
		}
		s.mu.Unlock()
	}
}

func (s *watchScreen) Show(rows []watch.Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.at = rows, time.Now()
	s.draw()
}

func (s *watchScreen) Above(write func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	write()
}

// foreground reports whether the terminal shows this process's job. The terminal may be none of this session: then there is
// no job control (ENOTTY).
func (s *watchScreen) foreground() bool {
	group, err := unix.IoctlGetInt(s.fd, unix.TIOCGPGRP)
	return err == unix.ENOTTY || err == nil && group == unix.Getpgrp()
}

func (s *watchScreen) draw() {
	if s.drawn = s.foreground(); !s.drawn {
		return
	}
	width, height, err := term.GetSize(s.fd)
	if err != nil || width == 0 || height == 0 { // a terminal that does not know its size
		width, height = 80, 24
	}
	// The last column stays free, because some terminals wrap there. A quarter of the lines stays for events.
	lines := watchTable(s.what, s.rows, s.at, max(width-1, 1), max(height-1-min(height/4, 6), 1))
	frame := s.start() + wrapOff
	for _, line := range lines {
		frame += "\r\n" + line + eraseLine
	}
	s.write(frame + eraseBelow + wrapOn + up(len(lines)) + "\r")
}

// erase removes the table. The cursor is then on the empty line.
func (s *watchScreen) erase() {
	if s.drawn && s.foreground() {
		s.write(s.start() + eraseBelow)
	}
	s.drawn = false
}

// start clears the empty line.
func (s *watchScreen) start() string { return up(s.below) + "\r" + eraseLine }

// write writes a frame, or as much as the terminal takes.
func (s *watchScreen) write(frame string) {
	switch n, _ := unix.Write(s.fd, []byte(frame)); {
	case n == len(frame):
		s.below = 0
	case n > 0:
		s.below = strings.Count(frame[:n], "\n")
	}
}
