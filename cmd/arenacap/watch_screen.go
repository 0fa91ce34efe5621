package main

// This file draws watch's table at a terminal, below the last output. The table is drawn again in place, while other
// lines scroll up above it.

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
	"arenacap/launcher/watch/view"
)

// watchScreen implements view.Screen. Between two frames the cursor is at the start of an empty line above the table:
//
//   - What other programs print (an echoed key, wall(1), the shell after SIGKILL) does not damage the table.
//   - A terminal whose size changes moves the cursor with the text, so that the next frame begins at the right line.
//
// Only ECMA-48 sequences and DECAWM are used, so the terminal's settings stay as they are and need no restoring.
type watchScreen struct {
	what    string // the head of the column with the names
	fd      int    // the terminal; writing to it does not block
	signals chan os.Signal
	wg      sync.WaitGroup

	mu    sync.Mutex
	rows  []view.Row
	at    time.Time // time at which rows were computed
	drawn bool
	below int // lines from the empty line above the table down to the cursor, if the terminal took only a part of the last frame
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

// newWatchScreen returns nil if there is to be no table: with -q, under NO_COLOR or TERM=dumb, if stderr is not a
// terminal or cannot be opened again, and if the events on stderr are JSON, which is for programs. Close the screen at
// the end.
func newWatchScreen(what string, configs ...watch.Config) *watchScreen {
	if !takesColours(os.Stderr) || slices.ContainsFunc(configs, func(c watch.Config) bool {
		return c.Quiet || c.Log.Format == "json" && c.Log.To == "stderr"
	}) {
		return nil
	}
	// The terminal is opened again, because O_NONBLOCK is shared by all users of an open file description, also by
	// other processes.
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

// view returns s as a Screen, and a nil Screen if s is nil.
func (s *watchScreen) view() view.Screen {
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

// hear draws the table again when the terminal's size changes, and after a stop.
func (s *watchScreen) hear() {
	for got := range s.signals {
		s.mu.Lock()
		if got == syscall.SIGTSTP {
			s.erase()
			_ = relay.Stop() // if the stop fails, Ctrl-Z has no effect
		}
		if s.rows != nil {
			s.draw()
		}
		s.mu.Unlock()
	}
}

func (s *watchScreen) Show(rows []view.Row) {
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

// foreground reports whether this process's job is in the foreground of the terminal. ENOTTY means that the terminal
// does not belong to this session; then there is no job control.
func (s *watchScreen) foreground() bool {
	group, err := unix.IoctlGetInt(s.fd, unix.TIOCGPGRP)
	return err == unix.ENOTTY || err == nil && group == unix.Getpgrp()
}

func (s *watchScreen) draw() {
	if s.drawn = s.foreground(); !s.drawn {
		return
	}
	width, height, err := term.GetSize(s.fd)
	if err != nil || width == 0 || height == 0 { // some terminals do not report a size
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

// erase removes the table. The cursor is then on the empty line that was above the table.
func (s *watchScreen) erase() {
	if s.drawn && s.foreground() {
		s.write(s.start() + eraseBelow)
	}
	s.drawn = false
}

// start returns the sequence that moves the cursor to the empty line above the table and clears that line.
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
