package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// How the tables of a file lie over each other: the base over the built-in policy, each service over the base, and what
// makes no sense together in one of them.

// layer is a policy while it is read from a document: the base tables over the built-in policy, or the
// section of one service over a copy of the base.
type layer struct {
	doc    *document
	policy Policy
	prefix toml.Key         // where the tables stand: none, or service.NAME
	said   map[string]place // what was written, by setting ("budget.hard")
}

// place is where a setting was written.
type place struct {
	path string // key into document.at
	raw  any    // the value, as the TOML parser gives it
	own  bool   // in this layer, not in the one beneath
	bad  bool   // its value was a problem already
}

// settings reads the whole document: the base and, laid over it, every service. Problems go to the document.
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

// overlay lays a service's section over the base. Two settings beneath are set aside, because they belong
// to the one that the section replaces: the base's test where the section has a cap (as --arenas does),
// and the base's signal where the section has another action. Everything else that does not fit together
// is a contradiction.
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
		l.problem(l.prefix.String(), hinted{"a section has no service's name", "write [service.NAME]"})
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

// read takes over the four tables of a layer.
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
		l.problem(v.path, hinted{fmt.Sprintf("unknown key %q in [%s]", name, table), keyHint(table, name)})
		return
	}
	keys[i].read(v, &l.policy)
}

// contradictions reports settings that are fine one by one and make no sense together.
func (l *layer) contradictions() {
	a, b := l.policy.Arenas, l.policy.Budget
	if a.Min != 0 && a.Max != 0 && a.Min > a.Max {
		l.clash(fmt.Sprintf("min = %d is over max = %d", a.Min, a.Max), "lower min or raise max", "arenas.min", "arenas.max")
	}
	if most := max(1, a.Cap.N-1); a.Cap.Mode == Fixed && a.Test > most {
		l.clash(fmt.Sprintf("test = %d is over %d, max(1, cap - 1) for cap = %d", a.Test, most, a.Cap.N),
			"leave test out: it follows from the cap", "arenas.test", "arenas.cap")
	}
	if b.Signal != "" && b.Action != "signal" {
		l.clash(fmt.Sprintf("signal = %q does nothing with action = %q", b.Signal, b.Action),
			`write action = "signal" or take signal away`, "budget.signal", "budget.action")
	}
	if b.Signal == "" && b.Action == "signal" {
		l.clash(`action = "signal" needs a signal`, `add for example signal = "SIGUSR1"`, "budget.action", "budget.signal")
	}
	if l.has("budget.timeout") && b.Command == nil {
		l.clash("timeout is a command's, and there is no command", "add command or take timeout away", "budget.timeout", "budget.command")
	}
	if b.Hard && b.Limits[virtual].isZero() {
		l.clash("hard sets RLIMIT_AS to virtual, and there is no virtual", `add for example virtual = "4GiB" or write hard = false`,
			"budget.hard", "budget.virtual")
	}
}

func (l *layer) has(setting string) bool { _, ok := l.said[setting]; return ok }

// clash reports a contradiction where the layer itself wrote one of the settings, and where the others
// stand. What the layer beneath wrote has been reported there, and a bad value is a problem already.
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
			others = append(others, fmt.Sprintf("%s in line %d", key, l.doc.lineOf(l.doc.at[p.path].key)))
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

// problem reports at a key.
func (l *layer) problem(path string, what hinted) {
	l.doc.problem(l.doc.at[path].key, what)
}
