package run

// The plan of a command line, and what is said of it.

import (
	"errors"
	"os"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/origin"
	"arenacap/launcher/target"
	"arenacap/policy"
)

// ErrNoLibrary says that the plan depends on what only a library counts, and that none was given.
var ErrNoLibrary = errors.New("a limit is a share of the host's memory, which nobody counted")

// Plan gathers what a plan depends on and resolves it: the policy and the flags over it, the machine with what
// lib counts, and what the environment already asks for. need is what is to be looked up beyond that. It changes
// nothing.
func (l Line) Plan(need machine.Need, lib machine.Host) (policy.Plan, error) {
	p, err := l.Policy()
	if err != nil {
		return policy.Plan{}, err
	}
	if err := l.apply(&p); err != nil {
		return policy.Plan{}, err
	}
	inherited := environ.Inherited(origin.Environ())
	if p.NeedsCores(inherited) {
		need |= machine.Cores
	}
	if p.NeedsMemory() {
		need |= machine.Memory
	}
	if need&^machine.Cores != 0 && lib == nil {
		return policy.Plan{}, ErrNoLibrary
	}
	found := machine.Find("/", need, lib)
	found.Inherited = inherited
	if p.NeedsProgram() && len(l.Args) > 0 {
		found.Heap = heapOf(l.Args[0])
	}
	return p.Resolve(found)
}

// heapOf is what an arena of a program reserves, 0 where the program is not found.
func heapOf(program string) uint64 {
	path, err := target.Find(program, origin.Environ())
	if err != nil {
		return 0
	}
	t := target.Quick(path, nil, origin.Environ())
	return environ.GlibcVersion{Bits32: t.Bits == 32}.HeapBytes()
}

// Policy reads the policy that counts for this line, without the flags that go over it.
func (l Line) Policy() (policy.Policy, error) {
	named, given := l.Text("policy")
	if given && named == "" { // "$FILE" that is not set, most likely
		return policy.Policy{}, l.bad("policy", errors.New(`"" is no file; leave the flag out for the default places`))
	}
	service, given := l.Text("service")
	if !given {
		service = variable("ARENACAP_SERVICE")
	}
	return policy.Load(policy.Lookup{Named: named, Service: service, Getenv: lookup, Root: os.Geteuid() == 0})
}

// lookup is os.LookupEnv without the table of all variables that its first use makes, 15 µs.
func lookup(name string) (value string, ok bool) { return environ.Lookup(origin.Environ(), name) }

// variable is an environment variable; an unset one is as an empty one.
func variable(name string) string {
	value, _ := lookup(name)
	return value
}

// apply lays --arenas, --cores and --budget over a policy.
func (l Line) apply(p *policy.Policy) error {
	for _, flag := range []string{"arenas", "cores", "budget"} {
		if s, given := l.Text(flag); given {
			if err := p.Override(flag, s); err != nil {
				return l.bad(flag, err)
			}
		}
	}
	return nil
}

// Explain prints the warnings of a plan and, under --verbose, the reasons for it.
func Explain(v say.Voice, plan policy.Plan) {
	v.Notes(plan.Policy.Notes)
	v.Notes(plan.Overrides)
	if !v.Verbose {
		return
	}
	v.Explain("policy: %s", PolicyName(plan.Policy))
	for _, line := range plan.Reasons {
		v.Explain("%s", line)
	}
	if plan.ArenaMax > 1 {
		v.Explain("the cap is exact on every glibc since 2.10")
	}
	for _, limit := range plan.Limits {
		v.Explain("budget: %s", limit)
	}
}

// PolicyName says which policy counts, and which section of it.
func PolicyName(p policy.Policy) string {
	name := "built-in (no policy file was found)"
	if p.File != "" {
		name = p.File
	}
	switch {
	case p.Section:
		name += ", section [service." + p.Service + "]"
	case p.Service != "" && p.File != "":
		name += ", which has no section [service." + p.Service + "]: the base tables apply"
	}
	return name
}
