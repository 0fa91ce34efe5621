package unit

// This file finds services that start through arenacap and cannot read a policy file.

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"arenacap/policy/text"
)

// Readers finds the system services that cannot start because they run arenacap with this policy file and their user has
// no access to the file. It returns one line for each service. file is an absolute path; system is the path of the policy
// file that arenacap reads without --policy and $ARENACAP_POLICY. If every user may read the file, Readers looks at no
// service.
func Readers(file, system string) (problems []string) {
	if (identity{uid: -1}).closed(file, mayRead) == "" {
		return nil
	}
	f := finder{dirs: searchPath("")}
	for _, name := range f.services() {
		u, err := f.load(name)
		if err != nil || u.Name != name || u.AsRoot() || !u.reads(file, system) {
			continue
		}
		closed := u.identity().closed(file, mayRead)
		info, err := os.Stat(closed)
		if closed == "" || err != nil {
			continue
		}
		part, allow := "", "chmod o+r "
		if info.IsDir() {
			part, allow = fmt.Sprintf("the folder %q has ", closed), "chmod o+x "
		}
		problems = append(problems, fmt.Sprintf("%s starts arenacap with %s, and that user cannot read the file (%smode %04o); type %s",
			u.Name, u.who(), part, info.Mode()&fs.ModePerm, allow+text.ShellWord(closed)))
	}
	return problems
}

// reads reports whether a command of the service starts arenacap with this policy file.
func (u Unit) reads(file, system string) bool {
	named := system
	for _, entry := range u.Environment() {
		if value, ok := strings.CutPrefix(entry, "ARENACAP_POLICY="); ok && value != "" {
			named = value
		}
	}
	commands := slices.DeleteFunc(slices.Clone(u.commands), func(c command) bool { return path.Base(c.name) != "arenacap" })
	for _, s := range u.launches {
		own, _, _ := u.parseCommands(s)
		commands = append(commands, own...)
	}
	return slices.ContainsFunc(commands, func(c command) bool {
		return len(c.args) > 0 && c.args[0].value == "run" && c.boxed() && u.Outside(c.policy(named)) == file
	})
}

// policy is the file of --policy in a command of arenacap, or else the given one.
func (c command) policy(file string) string {
	for i, a := range c.args {
		if a.value == "--" {
			break
		}
		if value, ok := strings.CutPrefix(a.value, "--policy="); ok {
			file = value
		} else if a.value == "--policy" && i+1 < len(c.args) {
			file = c.args[i+1].value
		}
	}
	return file
}
