package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// This file prints the table of launches: the time that "arenacap run … -- true" adds to a bare true, compared with
// env(1), with a Go program that only execs, and with one that also links the libraries of arenacap.

// launchPolicies are the policies of the measured launches.
var launchPolicies = []struct{ name, policy string }{
	{"built-in policy", ""},
	{"fixed cap", "[arenas]\ncap = 4\n"},
	{"per-core cap", "[arenas]\ncap = \"1/core\"\n"},
	{"with a budget", "[arenas]\ncap = \"1/core\"\n[budget]\nvirtual = \"4GiB\"\n"},
}

// launchBounds are upper bounds of the added time, as multiples of the time that another command adds. With a budget the
// added time is the delay of the target's start alone, because the watch starts after the target.
var launchBounds = []struct {
	name, of string
	most     float64
}{
	{"release, per-core cap", "release, linked", 1.25},
	{"release, per-core cap", "release, exec", 1.85},
	{"release, with a budget", "release, linked", 1.6},
	{"release, with a budget", "release, exec", 2.4},
	{"plain build, per-core cap", "plain build, linked", 1.25},
	{"plain build, with a budget", "plain build, linked", 1.6},
}

// launches are the measured commands, in the table's order and by name. The first is "bare", /bin/true alone.
type launches struct {
	commands []*timed
	named    map[string]*timed
}

func (l *launches) add(name, line string) {
	c := words(name, line)
	c.all = true
	l.commands, l.named[name] = append(l.commands, c), c
}

func launchTable(b *built, _ []string) bool {
	l := &launches{named: map[string]*timed{}}
	l.add("bare", "/bin/true")
	l.add("env", "env A=1 /bin/true")
	for _, stripped := range []bool{true, false} {
		l.addBuild(b, stripped)
	}
	takeTurns(l.commands, cmp.Or(*runs, 400), time.Hour)
	fmt.Printf("a bare true takes %s; medians of %d runs in random order\n\n", ms(median(l.commands[0].took)), len(l.commands[0].took))
	head("", "adds", "processor time", "× `env A=1 true`", "× a Go program that only execs", "× that program with the same libraries")
	for _, c := range l.commands[1:] {
		build, _, _ := strings.Cut(c.name, ",")
		wall, cpu := l.added(c)
		row(c.name, ms(wall), ms(cpu), l.multiple(c, "env"), l.multiple(c, build+", exec"), l.multiple(c, build+", linked"))
	}
	fmt.Println()
	return l.judge()
}

// addBuild adds the commands of one build: of the release if the argument "stripped" is true, else of plain go build.
func (l *launches) addBuild(b *built, stripped bool) {
	build, arenacap := "release", b.release
	if !stripped {
		build, arenacap = "plain build", b.plain
	}
	for _, other := range []string{"exec", "linked"} {
		program := b.goBuild(build[:5]+other, "./examples/internal/bench/"+other, stripped)
		l.add(build+", "+other, b.fresh(program)+" /bin/true")
	}
	program := b.fresh(arenacap())
	for _, p := range launchPolicies {
		line := program + " run -- /bin/true"
		if p.policy != "" {
			line = program + " run --policy " + b.write(strings.Fields(p.name)[0]+".toml", p.policy) + " -- /bin/true"
		}
		l.add(build+", "+p.name, line)
	}
}

// added returns how much longer a command takes than /bin/true alone.
func (l *launches) added(c *timed) (wall, cpu time.Duration) {
	bare := l.commands[0]
	return median(c.took) - median(bare.took), median(c.cpu) - median(bare.cpu)
}

func (l *launches) multiple(c *timed, of string) string {
	other := l.named[of]
	if other == nil {
		return ""
	}
	wall, _ := l.added(c)
	base, _ := l.added(other)
	return fmt.Sprintf("%.2f", times(wall, base))
}

// judge divides the time that the command "name" of a bound adds by the time that its command "of" adds: once the
// elapsed times, and once the CPU times. It compares the smaller ratio with the bound, because other work on the
// machine delays a launch but hardly increases its CPU time.
func (l *launches) judge() bool {
	var list []bound
	for _, b := range launchBounds {
		wall, cpu := l.added(l.named[b.name])
		base, baseCPU := l.added(l.named[b.of])
		list = append(list, bound{b.name + " beside " + b.of, min(times(wall, base), times(cpu, baseCPU)), b.most})
	}
	return hold(list...)
}
