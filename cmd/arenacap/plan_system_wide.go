package main

// The cap of a plan in /etc/tunables.conf, which glibc reads since 2.44 without any environment.

import (
	"fmt"
	"path/filepath"
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// systemWide is the lines of /etc/tunables.conf that give exactly this program what the plan would (man 5 tunables.conf), and
// what they do and do not reach. Both are nil where there is nothing to say.
func (v *planView) systemWide() (conf, notes []string) {
	if v.target == nil || !v.glibc.Known() || v.glibc.Before(44) {
		return nil, nil
	}
	tunables := tunablesOf(v.plan)
	program, err := filepath.Abs(v.target.Program())
	if real, err := filepath.EvalSymlinks(program); err == nil { // glibc compares with /proc/self/exe
		program = real
	}
	switch {
	case tunables == nil || v.target.Program() == "" || err != nil || v.target.Libc != "glibc":
		return nil, nil
	case v.target.Static:
		return nil, []string{fmt.Sprintf("no line in /etc/tunables.conf reaches %q: it is static", program)}
	case strings.ContainsAny(program, "]#\n"):
		return nil, []string{fmt.Sprintf("no line in /etc/tunables.conf can name %q", program)}
	}
	conf = confLines(program, tunables, v.target.AtSecure == target.Yes)
	notes = []string{"in /etc/tunables.conf, these lines and ldconfig do the same for exactly this program, whoever starts it; its environment overrides them",
		"they do not reach static programs, nor containers, which have a file of their own; a C library that dlmopen loads gets as many arenas again"}
	if len(v.target.Interpreters) > 0 {
		notes = append(notes, fmt.Sprintf("they are for everything that %q runs", program))
	}
	return conf, notes
}

// tunablesOf is what the plan sets, as tunables. arena_test does not count where there is a cap.
func tunablesOf(plan policy.Plan) (tunables []string) {
	if plan.ArenaMax != 0 {
		tunables = append(tunables, fmt.Sprintf("glibc.malloc.arena_max=%d", plan.ArenaMax))
	}
	if plan.Policy.Arenas.HugePages == "off" {
		tunables = append(tunables, "glibc.malloc.hugetlb=0")
	}
	return tunables
}

// confLines filters tunables by the program, up to a line that ends the filter. In secure mode only a tunable with "*" counts,
// which is for every mode.
func confLines(program string, tunables []string, secure bool) []string {
	lines := []string{"[proc:" + program + "]"}
	for _, t := range tunables {
		if secure {
			t = "*" + t
		}
		lines = append(lines, t)
	}
	return append(lines, "[]")
}
