package main

// This file prints the plan as lines of /etc/tunables.conf, which glibc reads since 2.44 and which needs no
// environment variable.

import (
	"fmt"
	"path/filepath"
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// systemWide returns the lines of /etc/tunables.conf that apply the plan to exactly this program (tunables.conf(5)),
// and notes on their effect. For a static program, or one that the file cannot name, it returns no lines and a note
// that says so. It returns neither lines nor notes if there is no program, if the plan sets no tunables, or if the
// glibc (that of the program, or of --glibc) is not known or does not read the file.
func (v *planView) systemWide() (conf, notes []string) {
	if v.target == nil || !v.glibc.Known() || v.glibc.Before(44) {
		return nil, nil
	}
	tunables := tunablesOf(v.plan)
	program, err := filepath.Abs(v.target.Program())
	if real, err := filepath.EvalSymlinks(program); err == nil { // glibc compares with the path in /proc/self/exe, which has no links
		program = real
	}
	switch {
	case tunables == nil || v.target.Program() == "" || err != nil || v.target.Libc != "glibc":
		return nil, nil
	case v.target.Static:
		return nil, []string{fmt.Sprintf("/etc/tunables.conf has no effect on %q: it is static", program)}
	case strings.ContainsAny(program, "]#\n"):
		return nil, []string{fmt.Sprintf("/etc/tunables.conf cannot name %q: the path contains ], # or a line break", program)}
	}
	conf = confLines(program, tunables, v.target.AtSecure == target.Yes)
	notes = []string{"for the same effect on exactly this program, however it is started, add these lines to /etc/tunables.conf and run ldconfig; the program's environment overrides the lines",
		"the lines have no effect on static programs, or in containers, which have their own /etc/tunables.conf; a C library loaded with dlmopen has its own arenas, up to the same number"}
	if len(v.target.Interpreters) > 0 {
		notes = append(notes, fmt.Sprintf("the lines apply to every script that %q runs", program))
	}
	return conf, notes
}

// tunablesOf returns the tunables that the plan sets, without arena_test, which has no effect under a cap.
func tunablesOf(plan policy.Plan) (tunables []string) {
	if plan.ArenaMax != 0 {
		tunables = append(tunables, fmt.Sprintf("glibc.malloc.arena_max=%d", plan.ArenaMax))
	}
	if plan.Policy.Arenas.HugePages == "off" {
		tunables = append(tunables, "glibc.malloc.hugetlb=0")
	}
	return tunables
}

// confLines restricts tunables to the program; "[]" ends the filter. In secure mode glibc reads only tunables marked
// with "*", which apply in every mode.
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
