package unit

// This file reads one service: its unit file and its drop-ins.

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

const suffix = ".service"

// finder looks for units below a root.
type finder struct {
	root string   // "" for the real root
	dirs []string // the search path
	etc  string   // the administrator's directory, for drop-ins; "" for systemEtc
	home string   // home directory of the user whose manager loads the units; "" for the system manager
}

// Load reads a service as the system manager does. operand is a unit's name, with or without ".service", or, if it
// contains a slash, a file. The directory of that file comes first in the search path, as in systemd-analyze(1)
// verify. All files are below root, except an operand that is a relative path; "" is the real root, for which
// $SYSTEMD_UNIT_PATH is used too. From an earlier drop-in of arenacap Load applies only the settings that an operator
// added, so that the drop-in can be made again from the unit's own commands.
//
// Load returns an error if the service has no ExecStart= command.
func Load(root, operand string) (Unit, error) {
	return finder{root: strings.TrimSuffix(root, "/"), dirs: searchPath(root)}.load(operand)
}

func (f finder) load(operand string) (Unit, error) {
	name := operand
	if strings.Contains(operand, "/") {
		if _, err := f.text(operand); err != nil {
			return Unit{}, err
		}
		f, name = f.ofUser(operand).searchFirst(operand), path.Base(operand)
		if _, err := fileName(operand); err != nil && otherType(name) == "" {
			return Unit{}, err
		}
	}
	alias, err := f.serviceName(name)
	if err != nil {
		return Unit{}, err
	}
	name, file, err := f.fragment(alias)
	if err != nil {
		return Unit{}, err
	}
	return f.read(name, alias, file)
}

// fileMax bounds the size of a unit file in bytes. systemd limits only the length of a line.
const fileMax = 1 << 20

// text reads a unit file or a drop-in; it is empty for a link to /dev/null.
func (f finder) text(p string) (string, error) {
	file, err := f.follow(p)
	if err != nil {
		return "", err
	}
	if file == "/dev/null" {
		return "", nil
	}
	info, err := os.Stat(f.at(file))
	switch {
	case err != nil:
		return "", closedTo(f.at(p), err)
	case info.IsDir():
		return "", fmt.Errorf("%q is a directory, not a unit file", f.at(p))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is not a regular file", f.at(p))
	case info.Size() > fileMax:
		return "", fmt.Errorf("%q has over %d bytes, too many for a unit file", f.at(p), fileMax)
	}
	text, err := os.ReadFile(f.at(file))
	return string(text), closedTo(f.at(p), err)
}

// closedTo adds the remedy to an error of a file if permission is denied.
func closedTo(file string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%q cannot be read (permission denied); run this again as root", file)
	}
	return err
}

// read reads a unit's file and the unit's drop-ins, including the drop-ins of the alias by which the unit was named.
func (f finder) read(name, alias, file string) (Unit, error) {
	u := Unit{Name: name, Home: f.home, aliases: f.aliases(name), etc: cmp.Or(f.etc, systemEtc)}
	text, err := f.text(file)
	if err != nil {
		return u, err
	}
	if text == "" {
		return u, f.masked(name, file)
	}
	if err := u.add(f.at(file), text); err != nil {
		return u, err // systemd does not load a unit with this error either
	}
	dropIns, err := f.dropIns(name, alias)
	if err != nil {
		return u, err
	}
	var with []string
	for _, d := range dropIns {
		text, err := f.text(d)
		if err != nil {
			return u, err
		}
		if isOwn(text) {
			u.keep(f.at(d), text)
			continue
		}
		before := len(u.settings)
		if err := u.add(f.at(d), text); err != nil {
			u.remarks = append(u.remarks, err.Error())
		}
		if slices.ContainsFunc(u.settings[before:], func(s setting) bool { return s.key == "ExecStart" }) {
			with = append(with, path.Base(d))
		}
	}
	u.own, u.behind = ownName(with)
	u.perConnection = f.perConnection(name)
	return u, u.parse()
}

// add appends the settings of a file, which override those read before.
func (u *Unit) add(file, text string) error {
	u.Files = append(u.Files, file)
	settings, err := parse(file, text)
	u.settings = append(u.settings, slices.DeleteFunc(settings, func(s setting) bool { return s.section != "Service" })...)
	return err
}

// keep reads an earlier drop-in of arenacap and keeps the settings that arenacap did not write: those that an operator
// added or uncommented.
func (u *Unit) keep(file, text string) {
	u.older = append(u.older, file)
	settings, _ := parse(file, text)
	for _, s := range settings {
		if s.section == "Service" && slices.Contains(ownKeys[:], s.key) {
			if s.key == "ExecStart" {
				u.launches = append(u.launches, s)
			}
			continue
		}
		u.kept = append(u.kept, s)
		if s.section == "Service" {
			u.settings = append(u.settings, s)
		}
	}
}

func (u *Unit) parse() error {
	for _, s := range u.list("ExecStart") {
		commands, remark, err := u.parseCommands(s)
		if err != nil {
			return err
		}
		if remark != "" {
			u.remarks = append(u.remarks, remark)
		}
		u.commands = append(u.commands, commands...)
	}
	if len(u.commands) == 0 {
		return fmt.Errorf("%s has no ExecStart= (%s), so it starts no program", u.Name, strings.Join(u.Files, ", "))
	}
	return nil
}

// perConnection reports whether each instance of a template serves one connection (systemd.socket(5), Accept=).
func (f finder) perConnection(name string) bool {
	if prefix, _, ok := strings.Cut(name, "@"); ok {
		if _, file, ok := f.chain(prefix + ".socket"); ok {
			text, _ := f.text(file)
			settings, _ := parse(file, text)
			return Unit{settings: settings}.yes("Accept")
		}
	}
	return false
}
