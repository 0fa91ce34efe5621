package main

// The JSON of plan.

import (
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// planJSON is what programs rely on; see the design. null is what is not known.
type planJSON struct {
	Mode        policy.Mode     `json:"mode"`
	ArenaMax    *int            `json:"arena_max"`
	ArenaTest   *int            `json:"arena_test"`
	Cores       coresJSON       `json:"cores"`
	Reasons     []string        `json:"reasons"`
	Overrides   []string        `json:"overrides"`
	PolicyFile  *string         `json:"policy_file"`
	Service     *string         `json:"service"`
	Section     bool            `json:"section_applied"`
	Environment environmentJSON `json:"environment"`
	Default     *int            `json:"default_arenas"`
	WorstCase   worstCaseJSON   `json:"worst_case_bytes"`
	Budget      []limitJSON     `json:"budget"`
	Target      *targetJSON     `json:"target"`
}

type coresJSON struct {
	Online   *int     `json:"online"`
	Affinity *int     `json:"affinity"`
	Quota    *float64 `json:"quota"`
	Gopsutil *int     `json:"gopsutil"`
	Used     *int     `json:"used"`
}

type environmentJSON struct {
	Set     map[string]string `json:"set"`
	Removed []string          `json:"removed"`
}

type worstCaseJSON struct {
	Capped   *uint64 `json:"capped"`
	Uncapped *uint64 `json:"uncapped"`
}

type limitJSON struct {
	Metric string `json:"metric"`
	Bytes  uint64 `json:"limit_bytes"`
}

type targetJSON struct {
	Path         string        `json:"path"`
	Interpreters []string      `json:"interpreters"`
	Libc         *string       `json:"libc"`
	LibcVersion  *string       `json:"libc_version"`
	Allocator    *string       `json:"allocator"`
	AtSecure     target.Answer `json:"at_secure"`
	CanCap       target.Answer `json:"can_cap"`
	Why          []string      `json:"why"`
	Notes        []string      `json:"notes"`
	Hints        []string      `json:"hints"`
}

func (v *planView) json() planJSON {
	p, g := v.plan, v.glibc()
	out := planJSON{
		Mode: p.Mode, ArenaMax: known(p.ArenaMax), ArenaTest: known(p.ArenaTest),
		Cores: coresJSON{known(p.Machine.Online.N), known(p.Machine.Affinity.N), known(p.Machine.Quota.CPUs),
			known(p.Machine.Library.N), known(p.Cores)},
		Reasons: list(p.Reasons), Overrides: list(p.Overrides),
		PolicyFile: known(p.Policy.File), Service: known(p.Policy.Service), Section: p.Policy.Section,
		Environment: environmentJSON{assignments(v.env.Set), list(v.env.Removed)},
		Budget:      []limitJSON{},
	}
	if n, ok := g.DefaultArenas(p.Machine.Online.N); ok && p.Machine.Online.N != 0 {
		out.Default = &n
	}
	capped, uncapped := p.WorstCase(g)
	out.WorstCase = worstCaseJSON{&capped, known(uncapped)}
	if p.ArenaMax == 0 {
		out.WorstCase.Capped = known(capped)
	}
	for _, l := range p.Limits {
		out.Budget = append(out.Budget, limitJSON{l.Metric, l.Bytes})
	}
	if t := v.target; t != nil {
		out.Target = &targetJSON{t.Path, list(t.Interpreters), known(t.Libc), known(t.LibcVersion), known(t.Allocator), t.AtSecure, t.CanCap, list(t.Why), list(t.Notes), list(t.Hints)}
	}
	return out
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
