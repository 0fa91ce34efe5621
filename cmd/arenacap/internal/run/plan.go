package run

// This file makes the plan of a command line, and its explanation.

import (
	"errors"
	"os"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/launcher/origin"
	"arenacap/launcher/target"
	"arenacap/policy"
)

// ErrNoLibrary means that Plan needs a fact that only the library gopsutil reads (see machine.Host), but its argument
// lib is nil.
var ErrNoLibrary = errors.New("a limit in the policy is a percentage of the host's memory, whose size is unknown")

// Plan resolves the plan from the policy, the flags, the machine and the inherited environment. The argument "need"
// names further facts to look up. Plan has no side effects.
func (l Line) Plan(need machine.Need, lib machine.Host) (policy.Plan, error) {
	p, err := l.Overridden()
	if err != nil {
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

// heapOf returns the size, in bytes, of the address space that glibc reserves for one heap of an arena: it depends on whether
// the program has 32 or 64 bits. 0 means that the program was not found.
func heapOf(program string) uint64 {
	path, err := target.Find(program, origin.Environ())
	if err != nil {
		return 0
	}
	t := target.Quick(path, nil, origin.Environ())
	return glibc.Version{Bits32: t.Bits == 32}.HeapBytes()
}

// Services returns the plan of each service of the policy, in the order of the policy.
func (l Line) Services(lib machine.Host) (plans []policy.Plan, err error) {
	where, err := l.lookup()
	if err != nil {
		return nil, err
	}
	where.Service = ""
	policies, err := where.Services()
	if err != nil {
		return nil, err
	}
	for i := range policies {
		if err := l.apply(&policies[i]); err != nil {
			return nil, err
		}
	}
	return machine.Find("/", machine.Cores|machine.Memory, lib).Plans(policies)
}

// Policy reads the policy for this line, without the flags that override it.
func (l Line) Policy() (policy.Policy, error) {
	where, err := l.lookup()
	if err != nil {
		return policy.Policy{}, err
	}
	return where.Load()
}

// Overridden reads the policy for this line and applies the flags.
func (l Line) Overridden() (policy.Policy, error) {
	p, err := l.Policy()
	if err == nil {
		err = l.apply(&p)
	}
	return p, err
}

// lookup says where the policy of this line is.
func (l Line) lookup() (policy.Lookup, error) {
	named, given := l.Text("policy")
	if given && named == "" { // most likely an unset variable, --policy "$FILE"
		return policy.Lookup{}, l.bad("policy", errors.New(`the file name is empty; leave the flag out for the default files`))
	}
	service, given := l.Text("service")
	if !given {
		service = variable("ARENACAP_SERVICE")
	}
	return policy.Lookup{Named: named, Service: service, Getenv: Variable, Root: os.Geteuid() == 0}, nil
}

// Variable does the same as os.LookupEnv, but searches the list of variables. os.LookupEnv first builds a table of all
// variables, which takes 15 µs, too much for the few variables that a launch reads.
func Variable(name string) (value string, ok bool) { return environ.Lookup(origin.Environ(), name) }

// variable returns an environment variable, "" if it is unset.
func variable(name string) string {
	value, _ := Variable(name)
	return value
}

// apply applies --arenas, --cores, --budget and --supervise to a policy.
func (l Line) apply(p *policy.Policy) error {
	for _, flag := range []string{"arenas", "cores", "budget", "supervise"} {
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
		v.Explain("every glibc since 2.10 keeps this cap")
	}
	for _, limit := range plan.Limits {
		v.Explain("budget: %s", limit)
	}
}

// PolicyName describes the policy and its section, for the explanation.
func PolicyName(p policy.Policy) string {
	name := "built-in (no policy file was found)"
	if p.File != "" {
		name = p.File
	}
	switch {
	case p.Section:
		name += ", section [service." + p.Service + "]"
	case p.Service != "" && p.File != "":
		name += ", which has no section [service." + p.Service + "]: the base tables [arenas], [budget], … apply"
	}
	return name
}
