package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

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
	own  bool   // in this layer, not in the one beneath
	bad  bool   // its value was a problem already
}

// keysOf is the keys of a table, in the order in which the manual has them.
func keysOf(table string) []string {
	switch table {
	case "arenas":
		return []string{"cap", "min", "max", "test", "cores", "inherited"}
	case "budget":
		return append(Metrics(), "scope", "warn_at", "interval", "settle", "breach", "action", "signal", "grace", "command", "timeout", "hard")
	case "launch":
		return []string{"mode", "on_unenforceable", "on_watch_failure"}
	case "log":
		return []string{"format", "to"}
	}
	return nil
}

func tables() []string { return []string{"arenas", "budget", "launch", "log"} }

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
		if name == "service" && l.prefix == nil {
			continue
		}
		keys, isTable := raw.(map[string]any)
		switch {
		case !slices.Contains(tables(), name):
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

func (l *layer) set(table, key string, path toml.Key, raw any) {
	v := value{l: l, name: key, setting: table + "." + key, path: path.String(), raw: raw}
	l.said[v.setting] = place{path: v.path, own: true}
	known := false
	switch table {
	case "arenas":
		known = v.arenas(&l.policy.Arenas)
	case "budget":
		known = v.limit(&l.policy.Budget.Limits) || v.reaction(&l.policy.Budget)
	case "launch":
		known = v.launch(&l.policy.Launch)
	case "log":
		known = v.log(&l.policy.Log)
	}
	if !known {
		l.problem(v.path, hinted{fmt.Sprintf("unknown key %q in [%s]", key, table), keyHint(table, key)})
	}
}

func (v value) arenas(a *Arenas) bool {
	switch v.name {
	case "cap":
		a.Cap = v.cap()
	case "min":
		a.Min = v.integer(1, MaxCap)
	case "max":
		a.Max = v.integer(1, MaxCap)
	case "test":
		a.Test = v.integer(1, MaxCap)
	case "cores":
		a.Cores = v.cores()
	case "inherited":
		a.Inherited = v.word("override", "keep")
	default:
		return false
	}
	return true
}

// reaction is the keys of [budget] that say how the limits are watched and what a breach does.
func (v value) reaction(b *Budget) bool {
	switch v.name {
	case "scope":
		b.Scope = v.word("process", "tree", "cgroup")
	case "warn_at":
		b.WarnAt = v.percent()
	case "interval":
		b.Interval = v.duration(10*time.Millisecond, time.Hour)
	case "settle":
		b.Settle = v.duration(0, 24*time.Hour)
	case "breach":
		b.Breach = v.window()
	case "action":
		b.Action = v.word("report", "signal", "terminate")
	case "signal":
		b.Signal = v.signal()
	case "grace":
		b.Grace = v.duration(0, 24*time.Hour)
	case "command":
		b.Command = v.command()
	case "timeout":
		b.Timeout = v.duration(time.Millisecond, time.Hour)
	case "hard":
		b.Hard = v.boolean()
	default:
		return false
	}
	return true
}

func (v value) launch(l *Launch) bool {
	switch v.name {
	case "mode":
		l.Mode = v.word("exec", "supervise", "auto")
	case "on_unenforceable":
		l.OnUnenforceable = v.word("warn", "refuse", "ignore")
	case "on_watch_failure":
		l.OnWatchFailure = v.word("start", "refuse")
	default:
		return false
	}
	return true
}

func (v value) log(l *Log) bool {
	switch v.name {
	case "format":
		l.Format = v.word("text", "json")
	case "to":
		l.To = v.logTo()
	default:
		return false
	}
	return true
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
	if b.Hard && b.Limits[virtual].IsZero() {
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

func (l *layer) unknownTable(name string, path toml.Key, raw any) {
	what := fmt.Sprintf("unknown key %q outside a table", name)
	if l.prefix != nil {
		what = fmt.Sprintf("unknown key %q in [%s]", name, l.prefix)
	}
	switch raw.(type) {
	case map[string]any, []map[string]any:
		what = fmt.Sprintf("unknown table %q", name)
	}
	l.problem(path.String(), hinted{what, l.tableHint(name)})
}

func (l *layer) tableHint(name string) string {
	known := tables()
	if l.prefix == nil {
		known = append(known, "service")
	}
	for _, table := range tables() {
		if slices.Contains(keysOf(table), name) {
			return fmt.Sprintf("%s belongs in [%s]", name, append(slices.Clip(l.prefix), table))
		}
	}
	if hint := DidYouMean(name, known); hint != "" {
		return hint
	}
	return "the tables are " + quoteList(known)
}

// wrongTable reports a value or a list of tables where a table is wanted.
func (l *layer) wrongTable(name string, path toml.Key, raw any) {
	hint := fmt.Sprintf("write [%s] and its keys beneath", path)
	if name == "service" {
		hint = "write [service.NAME] and its tables beneath"
	}
	l.problem(path.String(), hinted{fmt.Sprintf("%s is %s; it wants a table", name, typeName(raw)), hint})
}

// keyHint says what an unknown key may have been meant to be.
func keyHint(table, key string) string {
	known := keysOf(table)
	if lower := strings.ToLower(key); slices.Contains(known, lower) {
		return fmt.Sprintf("keys are in lower case: write %q", lower)
	}
	if hint := DidYouMean(key, known); hint != "" {
		return hint
	}
	for _, other := range tables() {
		if slices.Contains(keysOf(other), key) {
			return fmt.Sprintf("it belongs in [%s]", other)
		}
	}
	return fmt.Sprintf("[%s] has %s", table, strings.Join(known, ", "))
}
