package main

// This file has the caps that a sweep compares: the default list, and the number of arenas that each cap means on
// this machine.

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/origin"
	"arenacap/launcher/sweep"
	"arenacap/policy"
	"arenacap/policy/text"
)

// findCandidates makes a candidate of each cap, with the environment that sets the cap.
func (s *sweepPlan) findCandidates(c *cli.Context) error {
	p, err := lineOf(c).Policy()
	if err != nil {
		return err
	}
	if c.IsSet("cores") {
		if err := p.Override("cores", c.String("cores")); err != nil {
			return badFlag(c, "cores", err)
		}
	}
	s.machine = machine.Find("/", machine.Cores|machine.Memory, gopsutil.Root("/"))
	s.machine.Inherited = environ.Inherited(origin.Environ())
	s.limit, _ = s.target.Glibc().DefaultArenas(cmp.Or(p.Arenas.Cores.N, s.machine.Online.N, 1))
	caps := strings.Split(c.String("caps"), ",")
	if !c.IsSet("caps") {
		caps = s.defaultCaps(p)
	}
	for _, name := range caps {
		candidate, err := s.candidate(strings.TrimSpace(name), p)
		if err != nil {
			return badFlag(c, "caps", err)
		}
		s.add(candidate)
	}
	if len(s.experiment.Candidates) < 2 {
		return badFlag(c, "caps", fmt.Errorf("%q is only one cap; give at least two, for example 1,2,off", c.String("caps")))
	}
	return nil
}

// defaultCaps returns "off" and the steps that the function "ladder" returns. If the environment sets a cap, that cap
// becomes a step too, and "glibc" (glibc's own limit) replaces "off".
func (s *sweepPlan) defaultCaps(p policy.Policy) []string {
	limit := s.limit
	if limit == 0 { // this glibc has no limit of its own
		limit = 8 * cmp.Or(p.Arenas.Cores.N, s.machine.Online.N, 1)
	}
	caps, steps := []string{"off"}, ladder(limit)
	if n := s.inherited(); n > 0 {
		caps[0] = "glibc"
		if at, found := slices.BinarySearch(steps, n); !found {
			steps = slices.Insert(steps, at, n)
		}
	}
	for _, n := range steps {
		caps = append(caps, strconv.Itoa(n))
	}
	return caps
}

// ladder returns the numbers below limit of the series 1, 2, 4, 8, 16, 64, 256 and so on.
func ladder(limit int) (steps []int) {
	for n, factor := 1, 2; n < limit; n *= factor {
		steps = append(steps, n)
		if n == 16 {
			factor = 4
		}
	}
	return steps
}

// inherited returns the cap in the environment, 0 for none.
func (s *sweepPlan) inherited() int {
	if in := s.machine.Inherited; in.MaxOK {
		return in.Max
	}
	return 0
}

// candidate resolves a cap as run --arenas does. With a number of cores (--cores), it replaces glibc's own limit by the
// same number as a cap.
func (s *sweepPlan) candidate(name string, p policy.Policy) (sweep.Candidate, error) {
	if err := p.Override("arenas", name); err != nil {
		return sweep.Candidate{}, err
	}
	limit := &p.Arenas.Cap
	uncapped := limit.Mode == policy.Glibc || limit.Mode == policy.Off && s.inherited() == 0
	if uncapped && p.Arenas.Cores.N > 0 {
		if s.limit == 0 {
			return sweep.Candidate{}, fmt.Errorf("--cores cannot simulate the cap %q: the glibc of this program has no limit of its own", name)
		}
		limit.Mode, limit.N = policy.Fixed, s.limit
		s.note("the cap %q means %s here: glibc's own limit on %s", name, text.Count(s.limit, "arena"), text.Count(p.Arenas.Cores.N, "core"))
	}
	plan, err := p.Resolve(s.machine)
	if err != nil {
		return sweep.Candidate{}, err
	}
	candidate := sweep.Candidate{Name: name, ArenaMax: plan.ArenaMax, Default: uncapped, Env: environ.Apply(origin.Environ(), plan).Env}
	if limit.Mode == policy.Off && !uncapped {
		candidate.ArenaMax = s.inherited()
		s.note(`the cap "off" means %s here: %s is in the environment`, text.Count(candidate.ArenaMax, "arena"), s.machine.Inherited.MaxFrom)
	}
	return candidate, nil
}

// add adds a candidate, unless an earlier one has the same environment.
func (s *sweepPlan) add(c sweep.Candidate) {
	for _, other := range s.experiment.Candidates {
		if slices.Equal(other.Env, c.Env) {
			s.note("the cap %q has the same effect as %q here, so it is not run separately", c.Name, other.Name)
			return
		}
	}
	s.experiment.Candidates = append(s.experiment.Candidates, c)
}
