package main

// This file has the command check.

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/unit"
	"arenacap/policy"
	"arenacap/policy/text"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "validate policy files",
		UsageText: "arenacap check [--service NAME] FILE…",
		Description: "Reports every problem of each file with line, column and a hint, and also a\n" +
			"file that others may write, a command that does not exist, a log that cannot be\n" +
			"opened, and a plan that cannot be made on this machine (with --service, for\n" +
			"that service). The check runs nothing and creates no file. For a service\n" +
			"without a section it checks the plan of the base tables [arenas], [budget], …,\n" +
			"and a line on stderr says so. It is also a problem if a service starts through\n" +
			"arenacap as a user that cannot read the file.\n\n" +
			"Exit status: 0 if all files are valid, 1 if one is not.",
		Action: check,
	}
}

func check(c *cli.Context) error {
	if err := refuseFlags(c); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return say.Usage("check", "no FILE to check")
	}
	v, bad := speaker(c), false
	for _, file := range c.Args().Slice() {
		problems := slices.Concat(policy.Check(file), planProblems(lineOf(c), file, v), readerProblems(file))
		for _, p := range problems {
			fmt.Fprintln(c.App.Writer, p)
		}
		if len(problems) > 0 {
			bad = true
			continue
		}
		v.Explain("%s is valid", file)
	}
	if bad {
		return say.No
	}
	return nil
}

// readerProblems reports services that start through arenacap with the file, but as a user that cannot read it.
func readerProblems(file string) (problems []error) {
	full, err := filepath.Abs(file)
	if err != nil {
		return nil
	}
	for _, problem := range unit.Readers(full, systemPolicy) {
		problems = append(problems, fmt.Errorf("%s: %s", text.Quoted(file), problem))
	}
	return problems
}

// planProblems reports why the policy of a file gives no plan on this machine. If the file has no section for the
// service that --service or $ARENACAP_SERVICE names, planProblems prints a note. It reports nothing for a file that
// is invalid or cannot be read: policy.Check has reported that.
func planProblems(l run.Line, file string, v say.Voice) (problems []error) {
	l.Give("policy", file)
	p, err := l.Policy()
	if err != nil {
		return nil
	}
	if p.Service != "" && !p.Section {
		why := []string{fmt.Sprintf("%s has no section for service %q, so its base tables [arenas], [budget], … apply", text.Quoted(file), p.Service)}
		if len(p.Notes) > 0 { // a note of the policy also says that the section is missing, and names a section with a similar name
			why = p.Notes
		}
		v.Notes(why)
	}
	if _, err := makePlan(l, 0); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", text.Quoted(file), err))
	}
	return problems
}
