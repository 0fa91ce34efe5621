package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"arenacap/launcher/sweep"
)

// sweepProgress shows on a terminal what is running and the time left; under --verbose it is a line a run.
type sweepProgress struct {
	v    voice
	x    sweep.Experiment
	bars *mpb.Progress // nil where nobody looks
	bar  *mpb.Bar
	now  atomic.Pointer[underWay]
}

// underWay is a run and when the sweep will be over, as far as is known.
type underWay struct {
	sweep.Progress
	over time.Time
}

func newSweepProgress(v voice, x sweep.Experiment) *sweepProgress {
	p := &sweepProgress{v: v, x: x}
	if v.quiet || v.verbose || !isTerminal(os.Stderr) {
		return p
	}
	p.now.Store(&underWay{})
	p.bars = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(24), mpb.WithRefreshRate(200*time.Millisecond))
	p.bar = p.bars.AddBar(0, mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.text(*p.now.Load(), time.Now()) })))
	return p
}

// next hears of each run before it starts.
func (p *sweepProgress) next(now sweep.Progress) {
	if p.bars == nil {
		p.v.explain("%s", p.what(now))
		return
	}
	p.now.Store(&underWay{now, time.Now().Add(now.Left)})
	p.bar.SetTotal(int64(max(now.Total, now.Done+1)), false)
	p.bar.SetCurrent(int64(now.Done))
}

// end takes the bar away.
func (p *sweepProgress) end() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

// text is what stands beside the bar.
func (p *sweepProgress) text(u underWay, now time.Time) string {
	if u.Cap == "" {
		return ""
	}
	text := p.what(u.Progress)
	switch left := u.over.Sub(now).Round(time.Second); {
	case u.LeftOK && u.AtMost:
		text += fmt.Sprintf(", at most %s left", max(0, left))
	case u.LeftOK:
		text += fmt.Sprintf(", about %s left", max(0, left))
	}
	return text
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
