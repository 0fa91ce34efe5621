package environ

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arenacap/policy"
)

// Result is the environment of the target and what became of the inherited one. The lines are for people;
// a value that would spoil a line is quoted.
type Result struct {
	Env     []string
	Set     []string // NAME=value: the arena variables, and GLIBC_TUNABLES where it was changed
	Removed []string // "MALLOC_ARENA_TEST", "glibc.malloc.arena_max=3 in GLIBC_TUNABLES"

	// Conflicts are the contradictions of the inherited environment within itself, a line each. That the
	// plan differs from what was inherited is in policy.Plan.Overrides.
	Conflicts []string

	unset []string // variables that the target must not have, whether they were there or not
}

// Apply gives the environment of the target under the plan. MALLOC_ARENA_MAX and MALLOC_ARENA_TEST stand
// in it once, in the place of their first copy, else at the end, and so does GLIBC_TUNABLES. Where the plan touches nothing,
// Env is env itself, else a fresh list; env is never written to.
func Apply(env []string, plan policy.Plan) Result {
	change := changeOf(plan)
	if change == (tunableChange{}) {
		return Result{Env: env}
	}
	in := find(env)
	r := Result{Env: make([]string, 0, len(env)+3), Set: make([]string, 0, 3)}
	own := map[string]string{} // the entry of each variable that is written, "" for none
	if change.arenas {
		own[maxName] = maxName + "=" + strconv.Itoa(plan.ArenaMax) // 0 under mode "glibc"
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

// changeOf is what a plan does to GLIBC_TUNABLES.
func changeOf(plan policy.Plan) tunableChange {
	return tunableChange{
		arenas: plan.Mode == policy.Fixed || plan.Mode == policy.PerCore || plan.Mode == policy.Glibc,
		huge:   plan.Policy.Arenas.HugePages == "off",
	}
}

// found is what the environment holds about arenas: the value of every copy.
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

// conflicts are what a reader of the environment could not have told without knowing the glibc.
func (in found) conflicts() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, v := range [...]struct {
		name   string
		values []string
	}{{maxName, in.max}, {testName, in.test}} {
		if slices.ContainsFunc(v.values, func(value string) bool { return value != v.values[0] }) {
			say("%s stands %d times, first as %q and last as %q; glibc versions differ in which one counts, and one is left",
				v.name, len(v.values), v.values[0], v.values[len(v.values)-1])
		}
	}
	if n := len(in.tunables); n > 1 {
		say("%s stands %d times; glibc reads all of them, and they are joined into one", tunablesName, n)
	}
	if tuned, n, differ := in.tunedApart(); differ {
		say("%s asks for %s=%d and %s for %d; glibc takes the former", tunablesName, maxTunable, tuned, maxName, n)
	}
	return lines
}

// tunedApart gives the two caps that are asked for where the tunable and the variable have valid values that
// are not the same.
func (in found) tunedApart() (tuned, n int, differ bool) {
	if len(in.tunables) == 0 || len(in.max) == 0 {
		return 0, 0, false
	}
	a := Inherited([]string{tunablesName + "=" + strings.Join(in.tunables, ":")})
	b := Inherited([]string{maxName + "=" + in.max[0]})
	return a.Max, b.Max, a.MaxOK && b.MaxOK && a.Max != b.Max
}

// settleTunables gives the one entry for GLIBC_TUNABLES, "" for none. A single copy in which there is nothing to change
// stays byte for byte, malformed or empty.
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

// shown is an item on one line: quoted where anything but printable ASCII is in it, and cut where it is
// long.
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

// remove notes a variable that the target must not have.
func (r *Result) remove(name string, there bool) {
	r.unset = append(r.unset, name)
	if there {
		r.Removed = append(r.Removed, name)
	}
}

// fill writes Env: each variable of our own in the place of its first copy, every other entry as it was.
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

// put appends an entry that was not put yet.
func (r *Result) put(own map[string]string, name string) {
	if own[name] != "" {
		r.Env = append(r.Env, own[name])
		own[name] = ""
	}
}

// Change is one step for a shell or a program that makes the target's environment itself.
type Change struct {
	Name, Value string
	Unset       bool // the variable has to go; where it cannot, an empty value does the same in every glibc
}

// Changes are the steps that make the target's environment out of env, sets first: what Apply sets, and
// what the target must not have. Such a removal is listed even where the variable is not there now, since
// the steps may be taken in another place.
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
