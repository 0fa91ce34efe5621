package main

// This file has the command unit.

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/origin"
	"arenacap/launcher/unit"
	"arenacap/policy"
)

func unitCommand() *cli.Command {
	return &cli.Command{
		Name:      "unit",
		Usage:     "print or write a drop-in that puts arenacap in front of a systemd service",
		UsageText: "arenacap unit [--write] [--policy FILE] [--service NAME] [--supervise] NAME|FILE\n   arenacap unit --remove NAME|FILE|--all",
		Description: "NAME is a unit in systemd's search path, FILE a path with a slash. Existing\n" +
			"drop-ins apply as in systemd. Each command of ExecStart= keeps its prefixes,\n" +
			"quoting, variables and specifiers byte for byte. The drop-in always names a\n" +
			"--service, and has --policy and --supervise if you give them here. It does not\n" +
			"use $ARENACAP_POLICY and $ARENACAP_SERVICE of this shell. Notes for the\n" +
			"operator are on stderr and in the comments of the drop-in.\n\n" +
			"Without --service the drop-in names the section that 'watch --services' uses\n" +
			"for the unit ([match] unit). If there is none, it names the unit itself, not an\n" +
			"alias, and \"NAME@\" for a template and its instances.\n\n" +
			"--write writes the drop-in to /etc/systemd/system/NAME.service.d/ in place of\n" +
			"the one that arenacap made before. Lines that you added or uncommented in the\n" +
			"earlier drop-in are kept. For the unit of a user, root does not write into the\n" +
			"user's home directory: run --write as that user.\n\n" +
			"--remove disables the drop-ins that arenacap made by adding \".removed\" to their\n" +
			"names; only --write undoes that, not an upgrade of arenacap. --remove also\n" +
			"lists commands that start through arenacap because of other files.\n\n" +
			"Exit status: 0; 1 if no drop-in would work or help: then nothing is printed or\n" +
			"written, and the reason is on stderr.",
		Flags: []cli.Flag{
			boolFlag("write", "write the drop-in instead of printing it"),
			boolFlag("remove", "disable the drop-ins that arenacap made for the service"),
			boolFlag("all", "with --remove: disable the drop-ins of all system services"),
			boolFlag("json", "print one JSON object: what changed, or whether --write is needed"),
			boolFlag("supervise", "keep arenacap as the parent of the service"),
			textFlag("path", "the service starts arenacap as `FILE` (default: this binary, or with --root: /usr/bin/arenacap)"),
			textFlag("root", "read units, policy and arenacap below `DIR`; programs are not examined"),
		},
		Action: unitDropIn,
	}
}

// usageInUnit adapts the usage of a common flag, whose default comes from the unit and not from this shell.
func usageInUnit(usage string) string {
	return strings.NewReplacer("$ARENACAP_POLICY", "the unit's $ARENACAP_POLICY", "$ARENACAP_SERVICE", "the unit's name").Replace(usage)
}

func unitDropIn(c *cli.Context) error {
	if err := refuseFlags(c); err != nil {
		return err
	}
	switch {
	case c.Bool("remove"):
		return removeDropIns(c)
	case c.Bool("all"):
		return badFlag(c, "all", errors.New("the flag works only with --remove"))
	case c.NArg() != 1:
		return say.Usage("unit", fmt.Sprintf("unit takes one NAME or FILE, not %d", c.NArg()))
	}
	wish, own, err := unitWish(c)
	if err != nil {
		return err
	}
	u, err := unit.Load(wish.Root, c.Args().First())
	if err != nil {
		return err
	}
	v := speaker(c)
	for _, file := range u.Files {
		v.Explain("read %s", file)
	}
	if err := unitPolicy(c, u, &wish); err != nil {
		return err
	}
	if wish.Root != "" {
		v.Explain("programs below --root are not examined, because the paths of their libraries lead to files of this system")
	}
	found := unit.Look(u, wish, own, environ.Apply(u.Environment(), wish.Plan).Env)
	dropIn, err := unit.Plan(u, wish, found)
	if err != nil {
		return err
	}
	v.Notes(wish.Plan.Policy.Notes)
	explainPrograms(v, found)
	if !c.Bool("write") && !c.Bool("json") && dropIn.Nothing == "" {
		return printDropIn(c, v, dropIn)
	}
	change, err := changeOf(u, wish, dropIn, c.Bool("write"))
	if err != nil {
		return err
	}
	return change.tell(c, v)
}

func explainPrograms(v say.Voice, found unit.Found) {
	for i, p := range found.Programs {
		for _, line := range slices.Concat(p.Target.Why, p.Target.Notes) {
			v.Explain("command %d: the cap works: %s; %s", i+1, p.Target.CanCap, line)
		}
	}
}

func printDropIn(c *cli.Context, v say.Voice, dropIn unit.DropIn) error {
	v.Notes(dropIn.Notes)
	v.Explain("the drop-in belongs into %s", dropIn.Place)
	if dropIn.Behind != "" {
		v.Note("write the drop-in to %s, or use --write, because systemd must read it after the drop-in %s", dropIn.Place, dropIn.Behind)
	}
	if before, ok := origin.Found(); ok && before.Closed&(1<<1) != 0 {
		return errors.New("stdout is closed, so the drop-in cannot be printed")
	}
	_, err := c.App.Writer.Write([]byte(dropIn.Text))
	return err
}

// unitWish returns what the flags of the command line request for the drop-in, and the path of the arenacap that the service
// starts.
func unitWish(c *cli.Context) (wish unit.Wish, own string, err error) {
	// The drop-in quotes this command line. --json is left out, so that it does not change the text of the drop-in.
	made := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return arg == "--json" })
	wish = unit.Wish{Command: "arenacap " + shellWords(made), Supervise: c.Bool("supervise")}
	if c.IsSet("root") {
		if wish.Root, err = rootFolder(c.String("root")); err != nil {
			return wish, "", badFlag(c, "root", err)
		}
	}
	own = c.String("path")
	switch {
	case c.IsSet("path") && !filepath.IsAbs(own):
		return wish, "", badFlag(c, "path", fmt.Errorf("the path %q is relative, and a service does not run in your folder; write an absolute path", own))
	case c.IsSet("path"):
		own = filepath.Clean(own)
	case wish.Root != "":
		own = "/usr/bin/arenacap"
	default:
		if own, err = os.Executable(); err != nil {
			return wish, "", fmt.Errorf("arenacap's own path is unknown (%w); give it with --path", err)
		}
	}
	return wish, own, nil
}

// rootFolder returns the absolute path without a trailing slash: "" for "/".
func rootFolder(dir string) (string, error) {
	if dir == "" {
		return "", errors.New(`the folder name is empty; leave the flag out to use the files of this system`)
	}
	if info, err := os.Stat(dir); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("%q is not a folder", dir)
	}
	dir, err := filepath.Abs(dir)
	return strings.TrimSuffix(dir, "/"), err
}

// unitPolicy makes the plan that arenacap will make in the service: from the flags in the drop-in and the unit's
// environment, not from the environment of this shell.
func unitPolicy(c *cli.Context, u unit.Unit, wish *unit.Wish) error {
	lookup, err := unitLookup(c, u, wish)
	if err != nil {
		return err
	}
	p := policy.Builtin()
	if lookup.Named != "" || wish.Root+u.Outside(systemPolicy) == systemPolicy {
		note := ""
		if _, given := lineOf(c).Text("service"); !given {
			sections, _ := lookup.Services() // Load reports the same problems
			lookup.Service, note = sectionFor(u, sections)
		}
		if p, err = lookup.Load(); err != nil {
			return err
		}
		if note != "" {
			p.Notes = []string{note} // this note says more than Load's note about a section with a similar name
		}
	}
	wish.Flags = append(wish.Flags, "--service", lookup.Service)
	switch {
	case wish.Supervise:
		wish.Flags = append(wish.Flags, "--supervise")
	case c.IsSet("supervise"):
		wish.Flags = append(wish.Flags, "--supervise=false")
		if err := p.Override("supervise", "false"); err != nil {
			return err
		}
	}
	wish.PolicyFile = cmp.Or(wish.PolicyFile, p.File)
	found := machine.Find("/", machine.Cores|machine.Memory, gopsutil.Root("/"))
	found.Inherited = environ.Inherited(u.Environment())
	wish.Plan, err = p.Resolve(found)
	return err
}

const systemPolicy = "/etc/arenacap/policy.toml"

// unitLookup returns how the service will look for its policy. Lookup.Named is the path of the file on this system;
// with --root or RootDirectory= the service sees the file under another path.
func unitLookup(c *cli.Context, u unit.Unit, wish *unit.Wish) (policy.Lookup, error) {
	env := u.Environment()
	if u.Home != "" {
		env = slices.Concat([]string{"HOME=" + u.Home}, env)
	}
	lookup := policy.Lookup{Root: u.AsRoot(), Service: u.Service(), Getenv: func(name string) (string, bool) { return lastEntry(env, name) }}
	if name, given := lineOf(c).Text("service"); given {
		lookup.Service = name
	}
	file, given := lineOf(c).Text("policy")
	at := wish.Root + u.Outside(systemPolicy)
	switch {
	case given && file == "":
		return lookup, badFlag(c, "policy", errors.New(`the file name is empty; leave the flag out for the default files`))
	case given:
		if abs, err := filepath.Abs(file); err == nil {
			file = abs
		}
		wish.Flags = append(wish.Flags, "--policy", file)
		wish.PolicyFile, lookup.Named = file, wish.Root+u.Outside(file)
	case at != systemPolicy && exists(at):
		wish.PolicyFile, lookup.Named = systemPolicy, at
	}
	return lookup, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// lastEntry returns a variable's value. As in systemd, a later assignment replaces an earlier one.
func lastEntry(env []string, name string) (string, bool) {
	for _, entry := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
