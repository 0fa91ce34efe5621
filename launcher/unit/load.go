package unit

// Reading one service: its file, with its drop-ins laid over it.

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
	root string // "" is the real one
	dirs []string
	etc  string // the administrator's folder, for drop-ins; "" is systemEtc
	home string // of the user whose manager it is about; "" is the system's
}

// Load reads a service as the system's systemd would. operand is a unit's name, with or without ".service", or, with a
// slash in it, a file, whose folder then comes first in the search path as with systemd-analyze(1) verify. All other
// files are looked for below root; "" is the real one, where $SYSTEMD_UNIT_PATH counts too. A drop-in that arenacap
// made before is left out, so that it can be made again; what was added to it counts.
//
// An error says why there is nothing that arenacap could stand in front of.
func Load(root, operand string) (Unit, error) {
	return finder{root: strings.TrimSuffix(root, "/"), dirs: searchPath(root)}.load(operand)
}

func (f finder) load(operand string) (Unit, error) {
	name := operand
	if strings.Contains(operand, "/") {
		if _, err := f.text(operand); err != nil {
			return Unit{}, err
		}
		var err error
		if name, err = fileName(operand); err != nil {
			return Unit{}, err
		}
		f = f.ofUser(operand).beside(operand)
	}
	alias, err := serviceName(name)
	if err != nil {
		return Unit{}, err
	}
	name, file, err := f.fragment(alias)
	if err != nil {
		return Unit{}, err
	}
	return f.read(name, alias, file)
}

// fileMax is more than any unit's file has; systemd bounds a line only.
const fileMax = 1 << 20

// text reads a unit's file or a drop-in.
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
		return "", fmt.Errorf("%q is a directory, not a unit's file", f.at(p))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is no regular file", f.at(p))
	case info.Size() > fileMax:
		return "", fmt.Errorf("%q has over %d bytes, which no unit's file has", f.at(p), fileMax)
	}
	text, err := os.ReadFile(f.at(file))
	return string(text), closedTo(f.at(p), err)
}

// closedTo is an error of a file, with the way out where permission is denied.
func closedTo(file string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%q cannot be read (permission denied); ask again as root", file)
	}
	return err
}

// read reads a unit's file and its drop-ins, those for the alias included that led to it.
func (f finder) read(name, alias, file string) (Unit, error) {
	u := Unit{Name: name, Home: f.home, etc: cmp.Or(f.etc, systemEtc)}
	text, err := f.text(file)
	if err != nil {
		return u, err
	}
	if text == "" {
		return u, f.masked(name, file)
	}
	if err := u.add(f.at(file), text); err != nil {
		return u, err // systemd does not load such a unit
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

// add lays a file over what was read before.
func (u *Unit) add(file, text string) error {
	u.Files = append(u.Files, file)
	settings, err := parse(file, text)
	u.settings = append(u.settings, slices.DeleteFunc(settings, func(s setting) bool { return s.section != "Service" })...)
	return err
}

// keep takes from a drop-in that arenacap made before what arenacap does not write into it: what an operator added, or
// took the "#" from.
func (u *Unit) keep(file, text string) {
	u.older = append(u.older, file)
	settings, _ := parse(file, text)
	for _, s := range settings {
		if s.section == "Service" && slices.Contains(ownKeys[:], s.key) {
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
		return fmt.Errorf("%s has no ExecStart= (%s), so it starts nothing", u.Name, strings.Join(u.Files, ", "))
	}
	return nil
}

// perConnection reports whether a template's instances are one connection each (systemd.socket(5), Accept=).
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
