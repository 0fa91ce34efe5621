package main

// The JSON of plan.

import (
	"strings"

	"arenacap/launcher/sweep/ordered"
	"arenacap/launcher/target"
)

// json is what programs rely on; see the design. null is what is not known.
func (v *planView) json() ordered.Object {
	p, m, g := v.plan, v.plan.Machine, v.glibc()
	limit, limited := g.DefaultArenas(m.Online.N)
	capped, uncapped := p.WorstCase(g)
	budget := []ordered.Object{}
	for _, l := range p.Limits {
		budget = append(budget, ordered.Object{"metric", l.Metric, "limit_bytes", l.Bytes})
	}
	return ordered.Object{
		"mode", p.Mode,
		"arena_max", known(p.ArenaMax),
		"arena_test", known(p.ArenaTest),
		"cores", ordered.Object{"online", known(m.Online.N), "affinity", known(m.Affinity.N), "quota", known(m.Quota.CPUs),
			"gopsutil", known(m.Library.N), "used", known(p.Cores)},
		"reasons", list(p.Reasons),
		"overrides", list(p.Overrides),
		"policy_file", known(p.Policy.File),
		"service", known(p.Policy.Service),
		"section_applied", p.Policy.Section,
		"environment", ordered.Object{"set", assignments(v.env.Set), "removed", list(v.env.Removed)},
		"default_arenas", knownIf(limited && m.Online.N != 0, limit),
		"worst_case_bytes", ordered.Object{"capped", knownIf(p.ArenaMax != 0 || capped != 0, capped), "uncapped", known(uncapped)},
		"budget", budget,
		"target", targetJSON(v.target),
	}
}

func targetJSON(t *target.Target) any {
	if t == nil {
		return nil
	}
	return ordered.Object{
		"path", t.Path,
		"interpreters", list(t.Interpreters),
		"libc", known(t.Libc),
		"libc_version", known(t.LibcVersion),
		"allocator", known(t.Allocator),
		"at_secure", t.AtSecure,
		"can_cap", t.CanCap,
		"why", list(t.Why),
		"notes", list(t.Notes),
		"hints", list(t.Hints),
	}
}

// assignments are NAME=value entries by name.
func assignments(entries []string) map[string]string {
	set := map[string]string{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		set[name] = value
	}
	return set
}
