package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/origin"
	"arenacap/launcher/target"
	"arenacap/policy"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "show what would be set here, and why",
		UsageText: "arenacap plan [--json] [--arenas CAP] [--cores N] [PROGRAM [ARG…]]",
		Description: "Prints what run would set on this machine under this policy: each source of cores, the rule that was\n" +
			"applied, what glibc would have done by itself, and the address space that arenas can take at most.\n" +
			"With PROGRAM also what it links and whether the cap can work on it.",
		Flags:  []cli.Flag{boolFlag("json", "print one JSON object")},
		Action: plan,
	}
}

func plan(c *cli.Context) error {
	if err := refuseOwnFlags(c); err != nil {
		return err
	}
	made, err := makePlan(lineOf(c), everything)
	if err != nil {
		return err
	}
	speaker(c).Notes(made.Policy.Notes)
	view := newPlanView(made, origin.Environ())
	if name := c.Args().First(); c.NArg() > 0 {
		if err := view.examine(name); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, view.json())
	}
	return view.print(c.App.Writer)
}

// refuseOwnFlags refuses a flag of plan's own that stands behind PROGRAM without "--" before it: plan runs
// nothing, so it was most likely meant for plan.
func refuseOwnFlags(c *cli.Context) error {
	args := c.Args().Slice()
	if before := len(os.Args) - len(args) - 1; before >= 0 && os.Args[before] == "--" {
		return nil
	}
	for _, arg := range args[min(1, len(args)):] {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
			return say.Usage("plan", fmt.Sprintf("flag %q stands behind PROGRAM; put it first, or \"--\" before PROGRAM", arg))
		}
	}
	return nil
}

// What to look up for a plan: all facts, for a person to read, or only those that the plan depends on.
const (
	everything = machine.Cores | machine.Memory | machine.Library
	onlyNeeded = machine.Need(0)
)

func makePlan(l run.Line, need machine.Need) (policy.Plan, error) {
	return l.Plan(need, gopsutil.Root("/"))
}

// planView is a plan with what is shown beside it.
type planView struct {
	plan   policy.Plan
	env    environ.Result
	target *target.Target
}

func newPlanView(p policy.Plan, env []string) *planView {
	return &planView{plan: p, env: environ.Apply(env, p)}
}

// examine looks at the program that would run.
func (v *planView) examine(name string) error {
	path, err := target.Find(name, origin.Environ())
	if err != nil {
		return err
	}
	t := target.Examine(path, v.env.Env)
	v.target = &t
	return nil
}

// glibc is the version that the target uses, or the zero value.
func (v *planView) glibc() policy.GlibcVersion {
	if v.target == nil {
		return policy.GlibcVersion{}
	}
	major, minor, ok := v.target.GlibcVersion()
	if !ok {
		return policy.GlibcVersion{}
	}
	return policy.GlibcVersion{Major: major, Minor: minor, Bits32: v.target.Bits == 32}
}

func (v *planView) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(label, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	p := v.plan
	row("policy", "%s", run.PolicyName(p.Policy))
	row("cores", "online %s", p.Machine.Online)
	row("", "affinity %s", p.Machine.Affinity)
	row("", "quota %s", p.Machine.Quota)
	row("", "gopsutil %s", p.Machine.Library)
	v.printEnvironment(row)
	for i, reason := range p.Reasons {
		row(first(i, "why"), "%s", reason)
	}
	for i, line := range p.Overrides {
		row(first(i, "overrides"), "%s", line)
	}
	v.printWorstCase(row)
	for i, l := range p.Limits {
		row(first(i, "budget"), "%s %s (%s)", l.Metric, policy.FormatSize(l.Bytes), l.From)
	}
	if len(p.Limits) == 0 {
		row("budget", "none: no watch")
	}
	if v.target != nil {
		printTarget(row, *v.target)
	}
	return t.Flush()
}

type rowPrinter func(label, format string, args ...any)

// first is the label for the first of several rows.
func first(i int, label string) string {
	if i == 0 {
		return label
	}
	return ""
}

func (v *planView) printEnvironment(row rowPrinter) {
	for i, set := range v.env.Set {
		row(first(i, "set"), "%s", set)
	}
	for i, name := range v.env.Removed {
		row(first(i, "removed"), "%s", name)
	}
	if len(v.env.Set)+len(v.env.Removed) == 0 {
		row("set", "nothing: the environment stays as it is")
	}
}

func (v *planView) printWorstCase(row rowPrinter) {
	g := v.glibc()
	version := "glibc 2.16 to 2.43"
	if g.Known() {
		version = "glibc " + g.String()
	}
	if n, ok := g.DefaultArenas(max(1, v.plan.Machine.Online.N)); ok {
		row("by itself", "%s would allow %d arenas on %d online CPUs", version, n, max(1, v.plan.Machine.Online.N))
	} else {
		row("by itself", "%s knows no limit", version)
	}
	capped, uncapped := v.plan.WorstCase(g)
	if uncapped == 0 {
		row("worst case", "%s of arenas with the plan, no limit without", policy.FormatSize(capped))
		return
	}
	row("worst case", "%s of address space for arenas with the plan, %s without (one heap an arena)", policy.FormatSize(capped), policy.FormatSize(uncapped))
}

func printTarget(row rowPrinter, t target.Target) {
	row("target", "%s", strings.Join(append([]string{t.Path}, t.Interpreters...), " → "))
	libc := cmp.Or(t.LibcRelease, strings.TrimSpace(cmp.Or(t.Libc, "unknown")+" "+t.LibcVersion))
	row("", "libc: %s; allocator: %s", libc, cmp.Or(t.Allocator, "unknown"))
	row("can cap", "%s", t.CanCap)
	for _, lines := range [][]string{t.Why, t.Notes, t.Hints} {
		for _, line := range lines {
			row("", "%s", line)
		}
	}
}

// planJSON is what programs rely on; see the design. null is what is not known.
type planJSON struct {
	Mode        policy.Mode     `json:"mode"`
	ArenaMax    *int            `json:"arena_max"`
	ArenaTest   *int            `json:"arena_test"`
	Cores       coresJSON       `json:"cores"`
	Reasons     []string        `json:"reasons"`
	Overrides   []string        `json:"overrides"`
	PolicyFile  *string         `json:"policy_file"`
	Service     *string         `json:"service"`
	Section     bool            `json:"section_applied"`
	Environment environmentJSON `json:"environment"`
	Default     *int            `json:"default_arenas"`
	WorstCase   worstCaseJSON   `json:"worst_case_bytes"`
	Budget      []limitJSON     `json:"budget"`
	Target      *targetJSON     `json:"target"`
}

type coresJSON struct {
	Online   *int     `json:"online"`
	Affinity *int     `json:"affinity"`
	Quota    *float64 `json:"quota"`
	Gopsutil *int     `json:"gopsutil"`
	Used     *int     `json:"used"`
}

type environmentJSON struct {
	Set     map[string]string `json:"set"`
	Removed []string          `json:"removed"`
}

type worstCaseJSON struct {
	Capped   *uint64 `json:"capped"`
	Uncapped *uint64 `json:"uncapped"`
}

type limitJSON struct {
	Metric string `json:"metric"`
	Bytes  uint64 `json:"limit_bytes"`
}

type targetJSON struct {
	Path         string        `json:"path"`
	Interpreters []string      `json:"interpreters"`
	Libc         *string       `json:"libc"`
	LibcVersion  *string       `json:"libc_version"`
	Allocator    *string       `json:"allocator"`
	AtSecure     target.Answer `json:"at_secure"`
	CanCap       target.Answer `json:"can_cap"`
	Why          []string      `json:"why"`
	Notes        []string      `json:"notes"`
	Hints        []string      `json:"hints"`
}

func (v *planView) json() planJSON {
	p, g := v.plan, v.glibc()
	out := planJSON{
		Mode: p.Mode, ArenaMax: known(p.ArenaMax), ArenaTest: known(p.ArenaTest),
		Cores: coresJSON{known(p.Machine.Online.N), known(p.Machine.Affinity.N), known(p.Machine.Quota.CPUs),
			known(p.Machine.Library.N), known(p.Cores)},
		Reasons: list(p.Reasons), Overrides: list(p.Overrides),
		PolicyFile: known(p.Policy.File), Service: known(p.Policy.Service), Section: p.Policy.Section,
		Environment: environmentJSON{assignments(v.env.Set), list(v.env.Removed)},
		Budget:      []limitJSON{},
	}
	if n, ok := g.DefaultArenas(p.Machine.Online.N); ok && p.Machine.Online.N != 0 {
		out.Default = &n
	}
	capped, uncapped := p.WorstCase(g)
	out.WorstCase = worstCaseJSON{&capped, known(uncapped)}
	if p.ArenaMax == 0 {
		out.WorstCase.Capped = known(capped)
	}
	for _, l := range p.Limits {
		out.Budget = append(out.Budget, limitJSON{l.Metric, l.Bytes})
	}
	if t := v.target; t != nil {
		out.Target = &targetJSON{t.Path, list(t.Interpreters), known(t.Libc), known(t.LibcVersion), known(t.Allocator), t.AtSecure, t.CanCap, list(t.Why), list(t.Notes), list(t.Hints)}
	}
	return out
}

// known is a pointer to a value, nil for the zero value: JSON's null, never 0.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// assignments are NAME=value entries by name.
func assignments(entries []string) map[string]string {
	set := map[string]string{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		set[name] = value
	}
	return set
}

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
