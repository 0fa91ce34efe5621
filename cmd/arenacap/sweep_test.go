package main

import (
	"testing"
	"time"

	"arenacap/launcher/sweep"
)

func TestSweepProgressText(t *testing.T) {
	p := &sweepProgress{x: sweep.Experiment{Rounds: 10}}
	until := &sweepProgress{x: sweep.Experiment{Rounds: 10, Until: 0.02}}
	for _, c := range []struct {
		p    *sweepProgress
		now  sweep.Progress
		left time.Duration
		want string
	}{
		{p, sweep.Progress{Cap: "off", Round: 0, Total: 44}, 0, "                        ▏  0%  warming up, cap off"},
		{p, sweep.Progress{Cap: "1/core", Round: 3, Done: 22, Total: 44, LeftOK: true}, 90*time.Second + time.Millisecond,
			"████████████            ▏ 50%  round 3 of 10, cap 1/core, about 1m30s left"},
		{p, sweep.Progress{Cap: "4", Round: 10, Done: 43, Total: 44, LeftOK: true}, -time.Second, "███████████████████████▍▏ 97%  round 10 of 10, cap 4, about 0s left"},
		{until, sweep.Progress{Cap: "4", Round: 12, Done: 50, LeftOK: true, AtMost: true}, time.Minute, "round 12, cap 4, at most 1m0s left"},
	} {
		if got := c.p.text(c.now, c.left); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestWord(t *testing.T) {
	for arg, want := range map[string]string{"--caps": "--caps", "a=b": "a=b", "": "''", "it's": `'it'\''s'`, "$x": "'$x'", "a b": "'a b'", "é": "'é'", "~": "'~'", "{a,b}": "'{a,b}'"} {
		if got := word(arg); got != want {
			t.Errorf("%q is %s, want %s", arg, got, want)
		}
	}
}

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234567: "1234567", 999.96: "1000.0", 12.345678: "12.35", 0.00123456: "0.001235", -3: "-3.000"} {
		if got := sweep.Significant(v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}

func TestParsePercent(t *testing.T) {
	if p, err := parsePercent("2.5%"); err != nil || p != 0.025 {
		t.Error(p, err)
	}
	for _, bad := range []string{"", "%", "2", "0%", "-1%", "100%", "NaN%", "x%", "2%%"} {
		if p, err := parsePercent(bad); err == nil {
			t.Errorf("%q is %g", bad, p)
		}
	}
}
