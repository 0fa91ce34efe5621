package main

// This file shows the progress of a running sweep, and handles the signals that stop it.

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/sweep"
)

// sweepProgress shows the current run and the time left on a terminal; with --verbose it prints a line per run. A
// library for progress bars would slow down the start of every command but "run": mpb takes 0.17 ms to initialise.
type sweepProgress struct {
	v    say.Voice
	x    sweep.Experiment
	w    io.Writer // stderr; nil if it is not a terminal
	stop chan struct{}
	wg   sync.WaitGroup

	mu   sync.Mutex
	now  sweep.Progress
	over time.Time // estimated end of the sweep
	last string    // text that replaces the progress while the sweep stops; "" until a signal arrives
}

func newSweepProgress(v say.Voice, x sweep.Experiment) *sweepProgress {
	p := &sweepProgress{v: v, x: x, stop: make(chan struct{})}
	if !v.Quiet && !v.Verbose && takesSequences(os.Stderr) {
		p.w = os.Stderr
		p.wg.Go(p.redraw)
	}
	return p
}

// redraw updates the time left during a run.
func (p *sweepProgress) redraw() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.draw()
		case <-p.stop:
			return
		}
	}
}

// The method "next" shows the run that is about to start.
func (p *sweepProgress) next(now sweep.Progress) {
	if p.w == nil {
		p.v.Explain("%s", p.what(now))
		return
	}
	p.mu.Lock()
	p.now, p.over = now, time.Now().Add(now.Left)
	p.mu.Unlock()
	p.draw()
}

// stopping shows, after the first signal, that the sweep stops. The current run may still take its whole grace time.
func (p *sweepProgress) stopping(s os.Signal) {
	text := "stopping; a second signal ends the sweep at once"
	if s == os.Interrupt {
		text = "stopping; Ctrl-C again ends the sweep at once"
	}
	if p.w == nil {
		p.v.Note("%s", text)
		return
	}
	p.mu.Lock()
	p.last = text
	p.mu.Unlock()
	p.draw()
}

// end removes the bar.
func (p *sweepProgress) end() {
	close(p.stop)
	p.wg.Wait()
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K") // ECMA-48 "erase in line"
	}
}

func (p *sweepProgress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.Cap == "" && p.last == "" {
		return
	}
	width := terminalWidth(p.w)
	line := []rune(cmp.Or(p.last, p.text(p.now, time.Until(p.over), width)))
	if width > 0 {
		line = line[:min(len(line), width-1)]
	}
	fmt.Fprintf(p.w, "\r%s\x1b[K", string(line))
}

// text returns the progress line. The argument "columns" is the width of the terminal (0 for no limit). The bar takes
// the width that the words leave.
func (p *sweepProgress) text(now sweep.Progress, left time.Duration, columns int) string {
	text := p.what(now)
	about := "about"
	if now.AtMost {
		about = "at most"
	}
	if now.LeftOK {
		text += fmt.Sprintf(", %s %s left", about, max(0, left.Round(time.Second)))
	}
	if now.Total == 0 {
		return text
	}
	text = fmt.Sprintf("▏%3d%%  %s", 100*now.Done/now.Total, text)
	const widest, narrowest = 24, 4
	room := widest
	if columns > 0 {
		room = min(widest, columns-1-utf8.RuneCountInString(text)) // the last column stays free, because a terminal may wrap there
	}
	if room < narrowest {
		return strings.TrimLeft(text, "▏ ")
	}
	return bar(uint64(now.Done), uint64(now.Total), room) + text
}

func (p *sweepProgress) what(now sweep.Progress) string {
	round := fmt.Sprintf("round %d of %d", now.Round, p.x.Rounds)
	switch {
	case now.Round < 1:
		round = "warming up"
	case p.x.Until > 0:
		round = fmt.Sprintf("round %d", now.Round)
	}
	return fmt.Sprintf("%s, cap %s", round, now.Cap)
}

// interruptible returns a context that the first INT, TERM or HUP cancels, after a call of the function "tell". A
// second signal, or QUIT, closes the channel atOnce; one more has its default effect and ends arenacap. The function
// "release" restores the default effects. After that, signals do not call "tell".
//
// A HUP that was ignored at the start stays ignored, as nohup(1) requires.
func interruptible(parent context.Context, tell func(os.Signal)) (ctx context.Context, atOnce <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(parent)
	came, hurry := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(came, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(came, syscall.SIGHUP)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for s := range came {
			if ctx.Err() == nil && s != syscall.SIGQUIT {
				tell(s)
				cancel()
				continue
			}
			signal.Stop(came)
			close(hurry)
			cancel()
			return
		}
	})
	return ctx, hurry, func() {
		signal.Stop(came)
		close(came)
		wg.Wait()
		cancel()
	}
}
