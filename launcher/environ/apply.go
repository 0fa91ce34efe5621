package environ

// This file computes the environment of the target from the inherited environment and a plan.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arenacap/policy"
)

// Result is the environment of the target and the changes to the inherited one. Removed and Conflicts are lines for people:
// a value with control or non-ASCII characters is quoted.
type Result struct {
	Env     []string
	Set     []string // the entries that were set, as NAME=value: the arena variables, and GLIBC_TUNABLES if it was changed
	Removed []string // what was removed, such as "MALLOC_ARENA_TEST" or "glibc.malloc.arena_max=3 in GLIBC_TUNABLES"

	// Conflicts are the contradictions within the inherited environment, one line each. policy.Plan.Overrides has the
	// differences between the plan and the inherited environment.
	Conflicts []string

	unset []string // variables to remove; MALLOC_ARENA_TEST is listed even if the environment lacks it
}

// Apply returns the environment of the target under the plan. Each variable that the plan governs occurs at most once:
// at the position of its first copy, or at the end if there was none. A plan with a cap or mode "glibc" governs
// MALLOC_ARENA_MAX, MALLOC_ARENA_TEST and GLIBC_TUNABLES, and huge_pages = "off" governs GLIBC_TUNABLES. If the plan
// governs no variable, Env is env itself, else a new slice. Apply never writes to env.
func Apply(env []string, plan policy.Plan) Result {
	change := changeOf(plan)
	if change == (tunableChange{}) {
		return Result{Env: env}
	}
	in := find(env)
	r := Result{Env: make([]string, 0, len(env)+3), Set: make([]string, 0, 3)}
	own := map[string]string{} // new entry by variable; "" removes the variable
	if change.arenas {
		own[maxName] = maxName + "=" + strconv.Itoa(plan.ArenaMax) // ArenaMax is 0 in mode "glibc"
		r.Set = append(r.Set, own[maxName])
		own[testName] = ""
		if plan.ArenaTest != 0 {
			own[testName] = testName + "=" + strconv.Itoa(plan.ArenaTest)
			r.Set = append(r.Set, own[testName])
		} else {
			r.remove(testName, len(in.test) != 0)
		}
		r.Conflicts = in.conflicts()
	}
	own[tunablesName] = r.settleTunables(in.tunables, change)
	r.fill(env, own)
	return r
}

// changeOf returns the changes that a plan makes to GLIBC_TUNABLES. If "arenas" is true, the plan also sets the other
// variables.
func changeOf(plan policy.Plan) tunableChange {
	return tunableChange{
		arenas: plan.Mode == policy.Fixed || plan.Mode == policy.PerCore || plan.Mode == policy.Glibc,
		huge:   plan.Policy.Arenas.HugePages == "off",
	}
}

// found holds the values of the arena variables. A variable that is set several times has several values.
type found struct{ max, test, tunables []string }

func find(env []string) found {
	var in found
	for _, entry := range env {
		switch name, value := arenaVariable(entry); name {
		case maxName:
			in.max = append(in.max, value)
		case testName:
			in.test = append(in.test, value)
		case tunablesName:
			in.tunables = append(in.tunables, value)
		}
	}
	return in
}

// conflicts describes settings whose effect depends on the glibc version or on glibc's precedence rules.
func (in found) conflicts() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, v := range [...]struct {
		name   string
		values []string
	}{{maxName, in.max}, {testName, in.test}} {
		if slices.ContainsFunc(v.values, func(value string) bool { return value != v.values[0] }) {
			say("%s is set %d times, first to %q and last to %q; glibc versions differ in which one they use, so the plan's setting replaces all of them",
				v.name, len(v.values), v.values[0], v.values[len(v.values)-1])
		}
	}
	if n := len(in.tunables); n > 1 {
		say("%s is set %d times; glibc reads all copies, so they are joined into one", tunablesName, n)
	}
	if tuned, n, differ := in.tunedApart(); differ {
		say("%s sets %s=%d, but %s is %d; glibc would use the tunable, and the plan's setting replaces both", tunablesName, maxTunable, tuned, maxName, n)
	}
	return lines
}

// tunedApart returns the caps of the tunable and of the variable, and whether both are valid and unequal.
func (in found) tunedApart() (tuned, n int, differ bool) {
	if len(in.tunables) == 0 || len(in.max) == 0 {
		return 0, 0, false
	}
	a := Inherited([]string{tunablesName + "=" + strings.Join(in.tunables, ":")})
	b := Inherited([]string{maxName + "=" + in.max[0]})
	return a.Max, b.Max, a.MaxOK && b.MaxOK && a.Max != b.Max
}

// settleTunables returns the new entry for GLIBC_TUNABLES, "" for none. If the environment has one GLIBC_TUNABLES, and its
// value needs no change, the entry is kept byte for byte, even if the value is malformed or empty.
func (r *Result) settleTunables(values []string, change tunableChange) string {
	switch {
	case len(values) == 0 && !change.huge:
		return ""
	case len(values) == 0:
		values = []string{""}
	case len(values) == 1 && change.none(values[0]):
		return tunablesName + "=" + values[0]
	}
	joined, dropped := change.join(values)
	for _, item := range dropped {
		r.Removed = append(r.Removed, shown(item)+" in "+tunablesName)
	}
	if joined == "" {
		r.remove(tunablesName, true)
		return ""
	}
	entry := tunablesName + "=" + joined
	r.Set = append(r.Set, entry)
	return entry
}

// shown formats an item for one line: quoted if it has bytes other than printable ASCII, and cut after 200 bytes.
func shown(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return strconv.Quote(s)
		}
	}
	return s
}

// remove records a variable that the target must not have.
func (r *Result) remove(name string, there bool) {
	r.unset = append(r.unset, name)
	if there {
		r.Removed = append(r.Removed, name)
	}
}

// fill writes Env: the variables in the map "own", each at the position of its first copy in env, without those that
// are removed, and all other entries unchanged.
func (r *Result) fill(env []string, own map[string]string) {
	for _, entry := range env {
		name, _ := arenaVariable(entry)
		if _, ours := own[name]; ours {
			r.put(own, name)
		} else {
			r.Env = append(r.Env, entry)
		}
	}
	r.put(own, maxName)
	r.put(own, testName)
	r.put(own, tunablesName)
}

// put appends the entry of a variable, once.
func (r *Result) put(own map[string]string, name string) {
	if own[name] != "" {
		r.Env = append(r.Env, own[name])
		own[name] = ""
	}
}

// Change sets or removes one variable. It is for a shell or a program that builds the target's environment itself.
type Change struct {
	Name, Value string
	Unset       bool // remove the variable; an empty value has the same effect in every glibc
}

// Changes returns the changes that turn env into the target's environment: first the variables that Apply sets, then
// those to remove. The removal of MALLOC_ARENA_TEST is listed even if env does not have the variable, because the
// changes may be applied to another environment.
func Changes(env []string, plan policy.Plan) []Change {
	r := Apply(env, plan)
	var changes []Change
	for _, entry := range r.Set {
		name, value, _ := strings.Cut(entry, "=")
		changes = append(changes, Change{Name: name, Value: value})
	}
	for _, name := range r.unset {
		changes = append(changes, Change{Name: name, Unset: true})
	}
	return changes
}
