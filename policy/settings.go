package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"arenacap/policy/text"
)

// This file has the keys of the policy file, and the messages for unknown keys and tables. To add a key, add a row
// here; a limit of [budget] is a row in metric.go. value.go parses the values.

// key is one setting. The function "read" parses its value and stores it in the policy.
type key struct {
	name string
	read func(v value, p *Policy)
}

type table struct {
	name string
	keys []key
}

// tables is in the order of the manual.
var tables = []table{
	{"arenas", []key{
		{"cap", func(v value, p *Policy) { p.Arenas.Cap = v.cap() }},
		{"min", func(v value, p *Policy) { p.Arenas.Min = v.capNumber() }},
		{"max", func(v value, p *Policy) { p.Arenas.Max = v.capNumber() }},
		{"max_reserved", func(v value, p *Policy) { p.Arenas.MaxReserved = v.limit(true) }},
		{"test", func(v value, p *Policy) { p.Arenas.Test = v.capNumber() }},
		{"cores", func(v value, p *Policy) { p.Arenas.Cores = v.cores() }},
		{"inherited", func(v value, p *Policy) { p.Arenas.Inherited = v.word("override", "keep") }},
		{"huge_pages", func(v value, p *Policy) { p.Arenas.HugePages = v.word("keep", "off") }},
	}},
	{"budget", append(limitKeys(), []key{
		{"scope", func(v value, p *Policy) { p.Budget.Scope = v.word("process", "tree", "cgroup") }},
		{"warn_at", func(v value, p *Policy) { p.Budget.WarnAt = v.percent() }},
		{"interval", func(v value, p *Policy) { p.Budget.Interval = v.duration(10*time.Millisecond, time.Hour) }},
		{"settle", func(v value, p *Policy) { p.Budget.Settle = v.duration(0, 24*time.Hour) }},
		{"breach", func(v value, p *Policy) { p.Budget.Breach = v.window() }},
		{"action", func(v value, p *Policy) { p.Budget.Action = v.word("report", "signal", "terminate") }},
		{"signal", func(v value, p *Policy) { p.Budget.Signal = v.signal() }},
		{"grace", func(v value, p *Policy) { p.Budget.Grace = v.duration(0, 24*time.Hour) }},
		{"command", func(v value, p *Policy) { p.Budget.Command = v.command() }},
		{"timeout", func(v value, p *Policy) { p.Budget.Timeout = v.duration(time.Millisecond, time.Hour) }},
		{"hard", func(v value, p *Policy) { p.Budget.Hard = v.boolean() }},
	}...)},
	{"launch", []key{
		{"mode", func(v value, p *Policy) { p.Launch.Mode = v.word("exec", "supervise", "auto") }},
		{"on_unenforceable", func(v value, p *Policy) { p.Launch.OnUnenforceable = v.word("warn", "refuse", "ignore") }},
		{"on_watch_failure", func(v value, p *Policy) { p.Launch.OnWatchFailure = v.word("start", "refuse") }},
	}},
	{"log", []key{
		{"format", func(v value, p *Policy) { p.Log.Format = v.word("text", "json") }},
		{"to", func(v value, p *Policy) { p.Log.To = v.logTo() }},
	}},
	{"match", []key{
		{"unit", func(v value, p *Policy) { p.Match.Unit = v.unit() }},
		{"exe", func(v value, p *Policy) { p.Match.Exe = v.exe() }},
		{"name", func(v value, p *Policy) { p.Match.Name = v.processName() }},
		{"user", func(v value, p *Policy) {
			p.Match.User = v.filled("a user's name or number in quotes", `write for example "hdfs"`)
			p.Match.From = v.l.doc.origin(v.path)
		}},
	}},
}

func tableNames() (names []string) {
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// keysOf returns the keys of a table, or nil if the table is unknown.
func keysOf(name string) []key {
	for _, t := range tables {
		if t.name == name {
			return t.keys
		}
	}
	return nil
}

// TableOf returns the name of the table that contains a key, or "".
func TableOf(key string) string {
	for _, t := range tables {
		if slices.Contains(keyNames(t.name), key) {
			return t.name
		}
	}
	return ""
}

func keyNames(table string) (names []string) {
	for _, k := range keysOf(table) {
		names = append(names, k.name)
	}
	return names
}

func (l *layer) unknownTable(name string, path toml.Key, raw any) {
	if l.prefix != nil && name == "service" && serviceWithin(raw) {
		l.problem(path.String(), hinted{fmt.Sprintf("a service section is nested in [%s]", l.prefix), "write the settings of that service in a table of its own, such as [service.NAME.arenas]"})
		return
	}
	if l.prefix != nil && l.nameInParts(path, raw) {
		return
	}
	what := fmt.Sprintf("unknown key %q outside a table", name)
	if l.prefix != nil {
		what = fmt.Sprintf("unknown key %q in [%s]", name, l.prefix)
	}
	switch raw.(type) {
	case map[string]any, []map[string]any:
		what = fmt.Sprintf("unknown table %q", name)
	}
	l.problem(path.String(), hinted{what, cmp.Or(l.serviceHint(name, raw), l.tableHint(name))})
}

// serviceWithin reports whether a table "service" inside a section contains sections of services. Otherwise "service"
// is the last part of a unit's name without quotes, as in [service.mariadb.service].
func serviceWithin(raw any) bool {
	tree, _ := raw.(map[string]any)
	return len(tree) > 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(tree)), isLikeTable)
}

// serviceHint is the hint for a section header without "service" or without the service's name.
func (l *layer) serviceHint(name string, raw any) string {
	tree, isTable := raw.(map[string]any)
	inside := func(table string) bool { _, there := tree[table]; return there }
	switch {
	case l.prefix == nil && isTable && slices.ContainsFunc(tableNames(), inside):
		return fmt.Sprintf("write the header of a service's section as [%s]", toml.Key{"service", name})
	case l.prefix != nil && slices.Contains(keyNames(l.prefix[1]), name):
		return fmt.Sprintf("write the service's name too: [service.NAME.%s]", l.prefix[1])
	}
	return ""
}

// nameInParts reports an unquoted service name with dots, which TOML reads as nested tables.
func (l *layer) nameInParts(path toml.Key, raw any) (found bool) {
	tree, isTable := raw.(map[string]any)
	last := path[len(path)-1]
	if !isTable || isLikeTable(last) {
		return false
	}
	ends := len(tree) == 0
	for key, raw := range tree {
		_, deeper := raw.(map[string]any)
		ends = ends || !deeper || isLikeTable(key)
		found = l.nameInParts(append(slices.Clip(path), key), raw) || found
	}
	if !ends {
		return found
	}
	l.problem(path.String(), hinted{fmt.Sprintf("unknown table %q in [%s], because a dot separates tables", last, path[:len(path)-1]),
		fmt.Sprintf("put a name with a dot in quotes: [%s]", toml.Key{"service", strings.Join(path[1:], ".")})})
	return true
}

// isLikeTable reports whether a name is a table of the policy, perhaps misspelt.
func isLikeTable(name string) bool {
	return slices.Contains(tableNames(), name) || text.DidYouMean(name, tableNames()) != ""
}

func (l *layer) tableHint(name string) string {
	known := tableNames()
	if l.prefix == nil {
		known = append(known, "service")
	}
	if table := TableOf(name); table != "" {
		return fmt.Sprintf("the key %q belongs in [%s]", name, append(slices.Clip(l.prefix), table))
	}
	if hint := cmp.Or(text.DidYouMean(name, known), otherNames[strings.ToLower(name)]); hint != "" {
		return hint
	}
	return "the tables are " + quoteList(known)
}

// wrongTable reports a value or a list of tables in the place of a table.
func (l *layer) wrongTable(name string, path toml.Key, raw any) {
	hint := fmt.Sprintf("write [%s] and its keys below it", path)
	if name == "service" {
		hint = "write a table for each service, for example [service.NAME.arenas]"
	}
	l.problem(path.String(), hinted{fmt.Sprintf("%q is %s, not a table", name, typeName(raw)), hint})
}

// otherNames maps the names that glibc and tools such as ps use for a setting, in lower case, to a hint with the key here.
var otherNames = map[string]string{
	"malloc_arena_max": `write the key "cap" in [arenas]`, "arena_max": `write the key "cap" in [arenas]`, "arenas_max": `write the key "cap" in [arenas]`,
	"malloc_arena_test": `write the key "test" in [arenas]`, "arena_test": `write the key "test" in [arenas]`,
	"vsize": `write the key "virtual" in [budget]`, "vmem": `write the key "virtual" in [budget]`, "vmsize": `write the key "virtual" in [budget]`, "virt": `write the key "virtual" in [budget]`, "vsz": `write the key "virtual" in [budget]`,
	"rss": `write the key "resident" in [budget]`, "vmrss": `write the key "resident" in [budget]`,
	"memory": `write the key "resident" or "virtual" in [budget]`, "limit": `write the key "virtual" or that of another limit in [budget]`,
}

// keyHint suggests a correction for an unknown key.
func (l *layer) keyHint(table, key string) string {
	known := keyNames(table)
	if lower := strings.ToLower(key); slices.Contains(known, lower) {
		return fmt.Sprintf("write the key in lower case: %q", lower)
	}
	if hint := cmp.Or(text.DidYouMean(key, known), otherNames[strings.ToLower(key)]); hint != "" {
		return hint
	}
	if other := TableOf(key); other != "" {
		return fmt.Sprintf("the key belongs in [%s]", append(slices.Clip(l.prefix), other))
	}
	return fmt.Sprintf("[%s] has the keys %s", table, strings.Join(known, ", "))
}

// quoteList formats words for a hint: "a", "b" or "c".
func quoteList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
