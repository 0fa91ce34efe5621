package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"

	"arenacap/policy"
)

// globalFlags may stand before or after the command's name, so the app and every command have them.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "policy", Usage: "read the policy from `FILE` (default: $ARENACAP_POLICY, then the user's and the system's)"},
		&cli.StringFlag{Name: "service", Usage: "lay the section [service.`NAME`] over the policy (default: $ARENACAP_SERVICE)"},
		&cli.BoolFlag{Name: "q", Usage: "say nothing but errors", DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Usage: "explain each decision", DisableDefaultText: true},
		&cli.BoolFlag{Name: "version", Usage: "print the version and the commit, and exit", DisableDefaultText: true},
	}
}

// capFlags are those of the commands that make a plan.
func capFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "arenas", Usage: "the cap: `CAP` is a number, a factor such as 2/core, off or glibc"},
		&cli.StringFlag{Name: "cores", Usage: "multiply a per-core cap by `N` cores, or by auto, online or affinity"},
	}
}

func budgetFlag() cli.Flag {
	return &cli.StringFlag{Name: "budget", Usage: "limit the virtual size to `SIZE` (4GiB, 500M, …); off: no budget at all"}
}

// stringFlag and boolFlag know their name. Those of the library take their names apart with a regular
// expression at each look-up, and there are hundreds in a start. They have no aliases, and no environment
// variable or file of their own.
type (
	stringFlag struct{ *cli.StringFlag }
	boolFlag   struct{ *cli.BoolFlag }
)

func (f stringFlag) Names() []string { return []string{f.Name} }
func (f boolFlag) Names() []string   { return []string{f.Name} }

func (f stringFlag) Apply(set *flag.FlagSet) error {
	set.String(f.Name, f.Value, f.Usage)
	return nil
}

func (f boolFlag) Apply(set *flag.FlagSet) error {
	set.Bool(f.Name, f.Value, f.Usage)
	return nil
}

// named replaces the flags by those that know their name.
func named(flags []cli.Flag) []cli.Flag {
	for i, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			flags[i] = stringFlag{f}
		case *cli.BoolFlag:
			flags[i] = boolFlag{f}
		}
	}
	return flags
}

// given reports whether a command's own flag was given. The library's IsSet also asks every flag for its
// environment variables.
func given(c *cli.Context, name string) bool { return slices.Contains(c.LocalFlagNames(), name) }

// flagContext is where a flag that may stand in two places was given: behind the command, or before it.
func flagContext(c *cli.Context, name string) *cli.Context {
	for _, at := range c.Lineage() {
		if at.Command != nil && slices.Contains(at.LocalFlagNames(), name) {
			return at
		}
	}
	return nil
}

func globalString(c *cli.Context, name string) (value string, given bool) {
	if at := flagContext(c, name); at != nil {
		return at.String(name), true
	}
	return "", false
}

func globalBool(c *cli.Context, name string) bool {
	at := flagContext(c, name)
	return at != nil && at.Bool(name)
}

func speaker(c *cli.Context) voice { return newVoice(globalBool(c, "q"), globalBool(c, "verbose")) }

// applyCapFlags lays --arenas, --cores and --budget over a policy. A flag that sets the cap also sets
// aside the file's test; min and max still clamp a per-core cap.
func applyCapFlags(c *cli.Context, p *policy.Policy) error {
	if s := c.String("arenas"); given(c, "arenas") {
		limit, err := policy.ParseCap(s)
		if err != nil {
			return badFlag(c, "arenas", err)
		}
		limit.From = policy.FlagArenas
		p.Arenas.Cap, p.Arenas.Test = limit, 0
	}
	if s := c.String("cores"); given(c, "cores") {
		cores, err := parseCores(s)
		if err != nil {
			return badFlag(c, "cores", err)
		}
		p.Arenas.Cores = cores
	}
	return applyBudgetFlag(c, p)
}

func parseCores(s string) (policy.Cores, error) {
	if s == "auto" || s == "online" || s == "affinity" {
		return policy.Cores{Rule: s, From: "--cores"}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > policy.MaxCap || s[0] == '+' {
		return policy.Cores{}, fmt.Errorf(`%q is not a number from 1 to %d, "auto", "online" or "affinity"`, s, policy.MaxCap)
	}
	return policy.Cores{N: n, From: "--cores"}, nil
}

func applyBudgetFlag(c *cli.Context, p *policy.Policy) error {
	if !given(c, "budget") {
		return nil
	}
	b := &p.Budget
	if s := c.String("budget"); s != "off" {
		size, err := policy.ParseSize(s)
		if err == nil && size.Percent != 0 {
			err = fmt.Errorf(`size %q: a percentage works for the data and resident limits of a policy file only; write bytes, for example "4GiB"`, s)
		}
		if err != nil {
			return badFlag(c, "budget", err)
		}
		size.From = "--budget"
		b.Virtual = size
		return nil
	}
	b.Virtual, b.Growth, b.Data, b.Resident, b.Arenas, b.Hard = policy.Size{}, policy.Size{}, policy.Size{}, policy.Size{}, policy.Size{}, false
	return nil
}

func badFlag(c *cli.Context, name string, err error) error {
	return &usageError{c.Command.Name, "--" + name + ": " + err.Error()}
}

// wrongUse turns what the flag parser says into this tool's words.
func wrongUse(c *cli.Context, err error, sub bool) error {
	command := ""
	if sub && c.Command != nil {
		command = c.Command.Name
	}
	return asLaunch(command, &usageError{command, flagMessage(err.Error(), c)})
}

func flagMessage(text string, c *cli.Context) string {
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		message := "unknown flag " + quote(dashes(name))
		if near := nearestFlag(name, c); near != "" {
			message += "; did you mean " + quote(dashes(near)) + "?"
		}
		return message
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "flag " + quote(dashes(strings.TrimLeft(name, "-"))) + " needs an argument"
	}
	return strings.TrimSuffix(strings.Replace(text, " for -", " for --", 1), ": parse error")
}

// dashes is the flag as people type it.
func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + strings.TrimPrefix(name, "-")
}

func nearestFlag(name string, c *cli.Context) string {
	var names []string
	if c.Command != nil {
		for _, f := range c.Command.Flags {
			names = append(names, f.Names()...)
		}
	}
	return closest(strings.TrimLeft(name, "-"), names)
}

func nearest(name string, commands []*cli.Command) string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return closest(name, names)
}

// closest is the name that a typing mistake may have meant, or "".
func closest(name string, names []string) string {
	best, bestDistance := "", 3
	for _, n := range names {
		if d := smetrics.WagnerFischer(name, n, 1, 1, 1); d < bestDistance && d < len(n) {
			best, bestDistance = n, d
		}
	}
	return best
}

func quote(s string) string { return strconv.Quote(s) }

// refuseFlags refuses operands that look like flags: the flag parser stops at the first operand, and
// "inspect 1 --json" must not silently ignore --json.
func refuseFlags(c *cli.Context) error {
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			return &usageError{c.Command.Name, "flag " + quote(arg) + " stands behind an operand; put flags first"}
		}
	}
	return nil
}

// asLaunch marks a mistake in the use of run: its status is 125, not 2.
func asLaunch(command string, err error) error {
	if command == "run" {
		return launchError{err}
	}
	return err
}
