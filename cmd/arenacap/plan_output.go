package main

// This file has the output of plan, as text and as JSON, the text of run --dry-run, and makePlan, which env, check and
// watch use too.

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/ordered"
	"arenacap/launcher/origin"
	"arenacap/launcher/target"
	"arenacap/launcher/unit"
	"arenacap/policy"
	"arenacap/policy/text"
)

// everything names all facts about the machine that can be looked up, also those that are only shown.
const everything = machine.Cores | machine.Memory | machine.Library

// makePlan resolves the plan of a command line. It looks up the facts that the plan depends on, and those that the
// parameter "need" lists, which may be for display only.
func makePlan(l run.Line, need machine.Need) (policy.Plan, error) {
	return l.Plan(need, gopsutil.Root("/"))
}

// planView is a plan with the facts that are shown beside it.
type planView struct {
	plan     policy.Plan
	env      environ.Result
	target   *target.Target
	glibc    glibc.Version // the target's version, or the one that --glibc sets; the zero value means unknown
	supposed policy.Plan   // the plan for a machine with as many cores as --cores says
	asked    bool          // --glibc or --32 was given
}

func newPlanView(p policy.Plan) *planView {
	return &planView{plan: p, env: environ.Apply(origin.Environ(), p), supposed: p}
}

// examine inspects the program that would run.
func (v *planView) examine(args []string) error {
	path, err := target.Find(args[0], origin.Environ())
	if err != nil {
		return err
	}
	t := target.Examine(path, args, v.env.Env)
	v.target, v.glibc = &t, t.Glibc()
	return nil
}

// suppose applies --glibc (nil if not given), --32 and --cores.
func (v *planView) suppose(version *string, bits32 bool) (err error) {
	if cores := v.plan.Policy.Arenas.Cores; cores.From == "--cores" && cores.N != 0 {
		v.supposed.Machine.Online = policy.Reading[int]{N: cores.N, From: cores.From}
	}
	v.asked = bits32 || version != nil
	bits32 = bits32 || v.glibc.Bits32
	if version != nil {
		v.glibc, err = glibc.Parse(*version)
	}
	v.glibc.Bits32 = bits32
	return err
}

// rows are lines of text with labels.
type rows [][]string

// add appends lines, of which the first gets the label.
func (r *rows) add(label string, lines ...string) {
	for _, line := range lines {
		*r = append(*r, []string{label, line})
		label = ""
	}
}

func (v *planView) print(w io.Writer) error {
	var r rows
	p, m := v.plan, v.plan.Machine
	r.add("policy", run.PolicyName(p.Policy))
	r.add("cores", append(m.CPUs(), "for comparison "+comparison(m.Library))...)
	r.add("set", v.env.Set...)
	r.add("removed", v.env.Removed...)
	if len(v.env.Set)+len(v.env.Removed) == 0 {
		r.add("set", "nothing: the environment stays as it is")
	}
	r.add("why", p.Reasons...)
	r.add("overrides", p.Overrides...)
	r.add("uncapped", v.byItself())
	if v.asked {
		r.add("with plan", v.withPlan()...)
	}
	r.add("worst case", v.worstCase())
	r.add("limit", v.limit()...)
	r.add("huge pages", v.hugePages()...)
	r.add("budget", v.budget()...)
	r.add("limits", v.lowLimits()...)
	if v.target != nil {
		r.addTarget(*v.target, v.judgedWith())
	}
	r.add("tunables", slices.Concat(v.systemWide())...)
	_, err := io.WriteString(w, r.text(terminalWidth(w)))
	return err
}

// text formats the rows, folded to width columns, 0 for no limit. The rest of a folded line is indented by 2 more
// columns, to tell it from the next line.
func (r rows) text(width int) string {
	indent := 0
	for _, row := range r {
		indent = max(indent, len(row[0])+2)
	}
	var b strings.Builder
	for _, row := range r {
		fmt.Fprintf(&b, "%-*s%s\n", indent, row[0], fold(row[1], width, indent+2))
	}
	return b.String()
}

// comparison formats the number of cores that gopsutil counts, which the plan shows beside arenacap's own count.
func comparison(library policy.Reading[int]) string {
	if library.N == 0 {
		return library.String()
	}
	return fmt.Sprintf("%d (as the library gopsutil counts; the plan does not use it)", library.N)
}

// byItself describes glibc's own limit.
func (v *planView) byItself() string {
	online := v.supposed.Machine.Online
	cpus, said := max(1, online.N), ""
	if online.From == "--cores" {
		said = " (--cores)"
	}
	if n, ok := v.glibc.DefaultArenas(cpus); ok {
		return fmt.Sprintf("%s would allow %d arenas on %d online CPUs%s", v.glibcName(), n, cpus, said)
	}
	return v.glibcName() + " has no limit"
}

func (v *planView) glibcName() string {
	name := "glibc 2.16 to 2.43"
	if v.glibc.Known() {
		name = "glibc " + v.glibc.String()
	}
	if v.asked && v.glibc.Bits32 {
		name = "32-bit " + name
	}
	return name
}

// withPlan describes the effect of the plan under the glibc of --glibc or --32.
func (v *planView) withPlan() []string {
	lines := []string{"no limit"}
	if n, ok := v.glibc.PlannedArenas(v.supposed); ok {
		lines[0] = text.Count(n, "arena")
	}
	if _, why := v.glibc.Ignores(); why != "" {
		lines = append(lines, v.glibcName()+" "+why)
	}
	if v.glibc.Racy() {
		lines = append(lines, v.glibcName()+" can exceed the cap if threads start at the same moment, and some builds of it have no limit (--enable-experimental-malloc); RHEL 6's build has neither problem")
	}
	return lines
}

func (v *planView) worstCase() string {
	capped, uncapped := v.glibc.WorstCase(v.supposed)
	if _, limited := v.glibc.PlannedArenas(v.supposed); !limited {
		return "unknown: the number of arenas has no known limit"
	}
	if uncapped == 0 {
		return text.Size(capped) + " of arenas with the plan, no limit without it"
	}
	return fmt.Sprintf("%s of address space for arenas with the plan, %s without it (one heap per arena)", text.Size(capped), text.Size(uncapped))
}

// limit describes the limit on address space, and whether the arenas fit into it.
func (v *planView) limit() []string {
	room := v.room()
	lines := []string{room.String()}
	if warning := room.Warning(); warning != "" {
		lines = append(lines, warning)
	}
	return lines
}

// hugePages describes the effect of huge_pages = "off", or what it would change.
func (v *planView) hugePages() []string {
	why, mapped := environ.HugePages(origin.Environ(), v.glibc)
	mode := machine.HugePageMode("/")
	if mapped { // glibc then uses MAP_HUGETLB, which the kernel's mode of transparent huge pages does not affect
		mode = ""
	}
	line := hugePagesLine(v.plan.Policy.Arenas.HugePages == "off", mode, why, v.glibc.Known())
	if line == "" {
		return nil
	}
	return []string{line}
}

// hugePagesLine returns "" if there is nothing to report. The parameter "why" is a text about what requests huge pages, and
// "known" is false for an unknown glibc.
func hugePagesLine(off bool, mode, why string, known bool) string {
	switch {
	case mode == "always" && off:
		return `huge_pages = "off" does not help, because the kernel's mode is "always": ` + machine.HugePagesHelp
	case mode == "always":
		return `arenas get huge pages, because the kernel's mode is "always": ` + machine.HugePagesHelp
	case mode == "never" && off:
		return `huge_pages = "off" changes nothing, because the kernel's mode is "never"`
	case mode == "never":
		return ""
	case off && why != "":
		return `huge_pages = "off" helps: ` + why
	case off && known:
		return `huge_pages = "off" changes nothing: this glibc requests no huge pages`
	case off:
		return `huge_pages = "off" helps where glibc requests huge pages: from 2.43 on aarch64, and where GLIBC_TUNABLES has glibc.malloc.hugetlb=1`
	case why != "":
		return why + `; huge_pages = "off" in [arenas] prevents that`
	}
	return ""
}

func (v *planView) room() run.Room { return run.NewRoom(v.supposed, v.target, v.glibc) }

func (v *planView) budget() (lines []string) {
	for _, l := range v.plan.Limits {
		lines = append(lines, l.String())
	}
	if lines == nil {
		return []string{"none, so there is no watch"}
	}
	return lines
}

// lowLimits reports the resource limits of this process that are too low for arenacap itself.
func (v *planView) lowLimits() (lines []string) {
	stays := len(v.plan.Limits) > 0 || v.plan.Policy.Launch.Mode == "supervise"
	for _, n := range unit.Needs {
		var limit unix.Rlimit
		if n.Rlimit < 0 || n.Bits != 0 && n.Bits != strconv.IntSize || n.NotRoot && os.Geteuid() == 0 || unix.Getrlimit(n.Rlimit, &limit) != nil {
			continue
		}
		if n.Hard {
			limit.Cur = limit.Max
		}
		if text, _ := n.Judge(limit.Cur, stays); text != "" {
			lines = append(lines, fmt.Sprintf("RLIMIT_%s is %s: %s", strings.TrimPrefix(n.Setting, "Limit"), n.Format(limit.Cur), text))
		}
	}
	return lines
}

// chained shows the carriers, what each does to the environment, and the server behind them.
func chained(t target.Target) string {
	var b strings.Builder
	for _, link := range t.Chain {
		words := map[string]string{"changed": " (changes the cap)", "cleared": " (clears the environment)",
			"elsewhere": " (asks another process to start the program)", "unknown": " (unknown whether the environment is kept)"}
		b.WriteString(link.Name + words[link.Environment] + " → ")
	}
	if t.User != "" {
		b.WriteString(t.User + "'s ")
	}
	return b.String() + cmp.Or(t.Server, "unknown")
}

// judgedWith returns a suffix for the row "can cap", which is always about the glibc that the program links. With
// --glibc or --32 the rows about limits are about another glibc, so the suffix then names the one that the program
// links.
func (v *planView) judgedWith() string {
	if v.asked && v.target.Libc == "glibc" {
		return " (judged for the glibc that the program links on this machine)"
	}
	return ""
}

// addTarget adds the rows about the target. The suffix follows the verdict in the row "can cap" (see judgedWith).
func (r *rows) addTarget(t target.Target, suffix string) {
	libc := cmp.Or(t.LibcRelease, strings.TrimSpace(cmp.Or(t.Libc, "unknown")+" "+t.LibcVersion))
	r.add("target", strings.Join(append([]string{chained(t)}, t.Interpreters...), " → "),
		fmt.Sprintf("libc: %s; allocator: %s", libc, cmp.Or(t.Allocator, "unknown")))
	r.add("can cap", t.CanCap.String()+suffix)
	r.add("", slices.Concat(t.Why, t.Notes, t.Hints)...)
}

// json's keys are a contract with other programs. null means unknown, or that there is none.
func (v *planView) json() ordered.Object {
	p, m, online := v.plan, v.plan.Machine, v.supposed.Machine.Online.N
	limit, limited := v.glibc.DefaultArenas(online)
	planned, _ := v.glibc.PlannedArenas(v.supposed)
	capped, uncapped := v.glibc.WorstCase(v.supposed)
	conf, _ := v.systemWide()
	budget := []ordered.Object{}
	for _, l := range p.Limits {
		budget = append(budget, ordered.Object{"metric", l.Metric, "limit_bytes", l.Bytes})
	}
	return ordered.Object{
		"mode", p.Mode,
		"arena_max", known(p.ArenaMax),
		"arena_test", known(p.ArenaTest),
		"cores", ordered.Object{"online", known(m.Online.N), "affinity", known(m.Affinity.N), "quota", known(m.Quota.N),
			"gopsutil", known(m.Library.N), "used", known(p.Cores)},
		"reasons", list(p.Reasons),
		"overrides", list(p.Overrides),
		"policy_file", known(p.Policy.File),
		"service", known(p.Policy.Service),
		"section_applied", p.Policy.Section,
		"environment", ordered.Object{"set", assignments(v.env.Set), "removed", list(v.env.Removed)},
		"glibc", v.glibcJSON(),
		"default_arenas", knownIf(limited && online != 0, limit),
		"planned_arenas", known(planned),
		"worst_case_bytes", ordered.Object{"capped", knownIf(p.ArenaMax != 0 || capped != 0, capped), "uncapped", known(uncapped)},
		"address_space", v.addressJSON(),
		"huge_pages", list(v.hugePages()),
		"tunables_conf", knownIf(conf != nil, conf),
		"budget", budget,
		"target", targetJSON(v.target),
	}
}

// glibcJSON describes the glibc whose limits are shown. obeys is null if it depends on the patches of the build.
func (v *planView) glibcJSON() any {
	if !v.glibc.Known() {
		return nil
	}
	ignored, why := v.glibc.Ignores()
	return ordered.Object{"version", v.glibc.String(), "obeys", knownIf(ignored || why == "", !ignored), "why", known(why)}
}

// addressJSON is null if the address space has no limit.
func (v *planView) addressJSON() any {
	room := v.room()
	if room.Limit.N == 0 {
		return nil
	}
	return ordered.Object{"limit_bytes", room.Limit.N, "left_bytes", knownIf(room.Mapped != 0, room.Left()), "fits", room.Fits()}
}

func targetJSON(t *target.Target) any {
	if t == nil {
		return nil
	}
	return ordered.Object{
		"path", t.Path,
		"chain", append([]target.Link{}, t.Chain...),
		"server", known(t.Server),
		"interpreters", list(t.Interpreters),
		"libc", known(t.Libc),
		"libc_version", known(t.LibcVersion),
		"allocator", known(t.Allocator),
		"at_secure", t.AtSecure,
		"can_cap", t.CanCap,
		"why", list(t.Why),
		"notes", list(t.Notes),
		"hints", list(t.Hints),
	}
}

// assignments maps names to values.
func assignments(entries []string) map[string]string {
	set := map[string]string{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		set[name] = value
	}
	return set
}
