package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// This file combines the layers of a policy: the built-in policy, the base tables of the file and the section of a
// service. Each layer overrides the layers before it. This file also finds contradictions between settings.

// layer is a policy under construction: the base tables over the built-in policy, or the section of one service over a
// copy of the base.
type layer struct {
	doc    *document
	policy Policy
	prefix toml.Key         // the path of the tables: empty, or service.NAME
	said   map[string]place // the settings that were written, by name ("budget.hard")
}

// place is where a setting was written.
type place struct {
	path string // key into the field "at" of the document
	raw  any    // the value, from the TOML parser
	own  bool   // the setting was written in this layer, not in the base
	bad  bool   // a problem with its value was reported
}

// settings reads the base and every service. It adds problems to the document.
func (d *document) settings() (base layer, services map[string]layer) {
	base = layer{doc: d, policy: Builtin(), said: make(map[string]place)}
	base.policy.File = d.file
	base.read(d.tree)
	base.contradictions()
	services = make(map[string]layer)
	sections, isTable := d.tree["service"].(map[string]any)
	if raw, there := d.tree["service"]; there && !isTable {
		base.wrongTable("service", toml.Key{"service"}, raw)
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		services[name] = base.overlay(name, sections[name])
	}
	d.problems.sort()
	return base, services
}

// overlay applies a service's section to a copy of the base. It drops two settings of the base that belong to a
// setting that the section replaces: test if the section sets cap (as --arenas does), and signal if the section sets an
// action other than "signal". Any other conflict is a contradiction.
func (base layer) overlay(name string, raw any) layer {
	l := layer{doc: base.doc, policy: base.policy, prefix: toml.Key{"service", name}, said: make(map[string]place)}
	for setting, p := range base.said {
		l.said[setting] = place{path: p.path, bad: p.bad}
	}
	tree, isTable := raw.(map[string]any)
	if !isTable {
		l.wrongTable("service."+name, l.prefix, raw)
		return l
	}
	if name == "" {
		l.problem(l.prefix.String(), hinted{"a section has no service name", "write [service.NAME]"})
	}
	if _, said := lookup(tree, "arenas", "cap"); said {
		l.policy.Arenas.Test = 0
		delete(l.said, "arenas.test")
	}
	if action, said := lookup(tree, "budget", "action"); said && action != "signal" {
		l.policy.Budget.Signal = ""
		delete(l.said, "budget.signal")
	}
	l.read(tree)
	l.contradictions()
	return l
}

func lookup(tree map[string]any, table, key string) (value any, ok bool) {
	t, _ := tree[table].(map[string]any)
	value, ok = t[key]
	return value, ok
}

// read reads the tables of a layer.
func (l *layer) read(tree map[string]any) {
	for name, raw := range tree {
		path := append(slices.Clip(l.prefix), name)
		keys, isTable := raw.(map[string]any)
		switch {
		case name == "service" && l.prefix == nil:
		case !slices.Contains(tableNames(), name):
			l.unknownTable(name, path, raw)
		case !isTable:
			l.wrongTable(name, path, raw)
		default:
			for key, raw := range keys {
				l.set(name, key, append(slices.Clip(path), key), raw)
			}
		}
	}
}

func (l *layer) set(table, name string, path toml.Key, raw any) {
	v := value{l: l, name: name, setting: table + "." + name, path: path.String(), raw: raw}
	l.said[v.setting] = place{path: v.path, raw: raw, own: true}
	keys := keysOf(table)
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		l.problem(v.path, hinted{fmt.Sprintf("unknown key %q in [%s]", name, path[:len(path)-1]), l.keyHint(table, name)})
		return
	}
	keys[i].read(v, &l.policy)
}

// contradictions reports settings that are valid one by one but not together.
func (l *layer) contradictions() {
	a, b := l.policy.Arenas, l.policy.Budget
	if a.Min != 0 && a.Max != 0 && a.Min > a.Max {
		l.clash(fmt.Sprintf("min = %d is greater than max = %d", a.Min, a.Max), `lower "min" or raise "max"`, "arenas.min", "arenas.max")
	}
	if most := max(1, a.Cap.N-1); a.Cap.Mode == Fixed && a.Test > most {
		l.clash(fmt.Sprintf("test = %d is greater than %d, which is max(1, cap - 1) for cap = %d", a.Test, most, a.Cap.N),
			`remove the line with "test": its default follows from the cap`, "arenas.test", "arenas.cap")
	}
	if b.Signal != "" && b.Action != "signal" {
		l.clash(fmt.Sprintf("signal = %q has no effect with action = %q", b.Signal, b.Action),
			`write action = "signal", or remove the line with "signal"`, "budget.signal", "budget.action")
	}
	if b.Signal == "" && b.Action == "signal" {
		l.clash(`action = "signal" needs a signal`, `add for example signal = "SIGUSR1"`, "budget.action", "budget.signal")
	}
	if l.has("budget.timeout") && b.Command == nil {
		l.clash(`"timeout" limits the time of budget.command, but that is not set`, `add a line with "command", or remove the line with "timeout"`, "budget.timeout", "budget.command")
	}
	if b.Hard && b.Limits[virtual].isZero() {
		l.clash("hard = true sets RLIMIT_AS to budget.virtual, but that is not set", `add for example virtual = "4GiB", or write hard = false`,
			"budget.hard", "budget.virtual")
	}
	l.matchContradictions()
}

// matchContradictions reports [match] outside of a service, and an action on processes that are selected by name or
// program without a user. Any user can give a process that name or run a copy of the program, so an action needs
// match.user.
func (l *layer) matchContradictions() {
	m, b := l.policy.Match, l.policy.Budget
	if at, ok := l.matched(); ok && l.prefix == nil {
		l.problem(at.path, hinted{"[match] applies to one service", "write its keys under [service.NAME.match]"})
	}
	acts := fmt.Sprintf("action = %q", b.Action)
	if b.Command != nil {
		acts = "budget.command"
	}
	for _, by := range []struct{ key, value string }{{"exe", m.Exe}, {"name", m.Name}} {
		if by.value != "" && m.User == "" && (b.Action != "report" || b.Command != nil) && l.prefix != nil {
			l.clash(fmt.Sprintf("any user can run a process with %s = %q, and %s would act on it", by.key, by.value, acts),
				`add for example match.user = "hdfs"`, "match."+by.key, "budget.action", "budget.command", "match.user")
		}
	}
}

// matched returns the place of the first key of [match] that was written with a valid value.
func (l *layer) matched() (at place, ok bool) {
	for _, key := range keyNames("match") {
		if at, ok = l.wrote("match." + key); ok {
			return at, true
		}
	}
	return place{}, false
}

func (l *layer) has(setting string) bool { _, ok := l.said[setting]; return ok }

// clash reports a contradiction at the first of the settings that this layer wrote, with the lines of the others. It
// reports nothing if only the base wrote them, because the base has reported it, or if one of the values is invalid.
func (l *layer) clash(what, hint string, settings ...string) {
	var at place
	var others []string
	for _, s := range settings {
		p, said := l.said[s]
		switch {
		case p.bad:
			return
		case said && p.own && at.path == "":
			at = p
		case said:
			_, key, _ := strings.Cut(s, ".")
			others = append(others, fmt.Sprintf("%q is on line %d", key, l.doc.lineOf(l.doc.at[p.path].key)))
		}
	}
	if at.path == "" {
		return
	}
	if others != nil {
		what += " (" + strings.Join(others, ", ") + ")"
	}
	l.problem(at.path, hinted{what, hint})
}

// problem adds a problem at the position of a key.
func (l *layer) problem(path string, what hinted) {
	l.doc.problem(l.doc.at[path].key, what)
}
