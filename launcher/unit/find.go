package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const suffix = ".service"

// unitTypes are the suffixes of the other kinds of units.
const unitTypes = ".socket .target .timer .mount .automount .swap .path .slice .scope .device .snapshot "

// systemPath is where the system's manager looks for units (systemd.unit(5), "UNIT FILE LOAD PATH").
var systemPath = [...]string{
	"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
	"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached",
	"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
	"/run/systemd/generator.late",
}

// finder looks for units below a root.
type finder struct {
	root string // "" is the real one
	dirs []string
}

// Load reads a service as the system's systemd would. operand is a unit's name, with or without ".service", or, with a
// slash in it, a file, whose folder then comes first in the search path as with systemd-analyze(1) verify. All other
// files are looked for below root; "" is the real one, where $SYSTEMD_UNIT_PATH counts too. A drop-in that arenacap
// made before is left out, so that it can be made again.
//
// An error says why there is nothing that arenacap could stand in front of.
func Load(root, operand string) (Unit, error) {
	return finder{strings.TrimSuffix(root, "/"), searchPath(root)}.load(operand)
}

func (f finder) load(operand string) (Unit, error) {
	name, file := operand, ""
	if strings.Contains(operand, "/") {
		var err error
		if name, file, err = f.linked(operand); err != nil {
			return Unit{}, err
		}
		f.dirs = append([]string{path.Dir(operand)}, f.dirs...)
	}
	name, err := serviceName(name)
	if err != nil {
		return Unit{}, err
	}
	alias := name
	if file == "" {
		if name, file, err = f.fragment(name); err != nil {
			return Unit{}, err
		}
	}
	return f.read(name, alias, file)
}

// searchPath is the system's, or what $SYSTEMD_UNIT_PATH says; with an empty last entry the system's follows.
func searchPath(root string) []string {
	env := os.Getenv("SYSTEMD_UNIT_PATH")
	if env == "" || strings.Trim(root, "/") != "" {
		return systemPath[:]
	}
	dirs := slices.DeleteFunc(strings.Split(env, ":"), func(d string) bool { return d == "" })
	if strings.HasSuffix(env, ":") {
		dirs = append(dirs, systemPath[:]...)
	}
	return dirs
}

// serviceName completes a name as systemctl(1) does.
func serviceName(name string) (string, error) {
	if strings.HasSuffix(name, suffix) && name != suffix {
		return name, nil
	}
	if ext := path.Ext(name); ext != "" && strings.Contains(unitTypes, ext+" ") {
		return "", fmt.Errorf("%q is no service: only services have ExecStart=", name)
	}
	return name + suffix, nil
}

// at is where a path of the system lies.
func (f finder) at(p string) string {
	if path.IsAbs(p) {
		return f.root + p
	}
	return p
}

// linked follows a file that is a link to a unit of another name: an alias.
func (f finder) linked(operand string) (name, file string, err error) {
	name = path.Base(operand)
	if real, err := f.follow(operand); err == nil && strings.HasSuffix(real, suffix) {
		return path.Base(real), operand, nil
	}
	if info, err := os.Stat(f.at(operand)); err != nil {
		return "", "", err
	} else if info.IsDir() {
		return "", "", fmt.Errorf("%q is a directory, not a unit's file", operand)
	}
	return name, operand, nil
}

// follow is where a chain of links ends, or the path itself. It stays below the root.
func (f finder) follow(p string) (string, error) {
	for range 32 {
		if p == "/dev/null" { // the manager's, not the root's
			return p, nil
		}
		to, err := os.Readlink(f.at(p))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			return p, nil // no link
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(p), to)
		}
		p = to
	}
	return "", fmt.Errorf("%q has too many links", p)
}

// fragment finds a unit's own file and, where the name is an alias, the unit's name.
func (f finder) fragment(name string) (unit, file string, err error) {
	for _, candidate := range names(name) {
		for _, dir := range f.dirs {
			p := path.Join(dir, candidate)
			real, err := f.follow(p)
			if err != nil {
				continue
			}
			if real == "/dev/null" {
				return "", "", masked(name, f.at(p))
			}
			if base := path.Base(real); base != candidate && strings.HasSuffix(base, suffix) {
				return ofTemplate(base, name), real, nil
			}
			return name, real, nil
		}
	}
	return "", "", f.notFound(name)
}

// names are the ones under which a unit's file is looked for: an instance's own, then its template's.
func names(name string) []string {
	if t := template(name); t != name {
		return []string{name, t}
	}
	return []string{name}
}

// template is the name of an instance's template, "foo@.service" for "foo@bar.service".
func template(name string) string {
	prefix, instance, ok := strings.Cut(name, "@")
	if !ok || instance == suffix {
		return name
	}
	return prefix + "@" + suffix
}

// ofTemplate is a real name with the instance of the alias that led to it.
func ofTemplate(real, alias string) string {
	_, instance, ok := strings.Cut(alias, "@")
	if before, after, isTemplate := strings.Cut(real, "@"); ok && isTemplate && after == suffix {
		return before + "@" + instance
	}
	return real
}

func masked(name, file string) error {
	return fmt.Errorf("%s is masked (%s): systemd never starts it; 'systemctl unmask %s' first", name, file, name)
}

// notFound says what there is instead: an init script, of which systemd makes a unit when it starts.
func (f finder) notFound(name string) error {
	short := strings.TrimSuffix(name, suffix)
	script := "/etc/init.d/" + short
	if _, err := os.Stat(f.at(script)); err == nil {
		return fmt.Errorf("%s has no unit file, only the init script %s, of which systemd makes a unit while it runs: ask again there, or put 'eval \"$(arenacap env --service %s)\"' into the script or a file that it sources (/etc/default/%s)",
			name, f.at(script), short, short)
	}
	return fmt.Errorf("%s was not found in %d folders from %s to %s; 'systemctl list-unit-files' lists what is there, and a path with a slash is taken as a file",
		name, len(f.dirs), f.at(f.dirs[0]), f.at(f.dirs[len(f.dirs)-1]))
}

// read reads a unit's file and its drop-ins, those for the alias included that led to it.
func (f finder) read(name, alias, file string) (Unit, error) {
	u := Unit{Name: name}
	text, err := os.ReadFile(f.at(file))
	if err != nil {
		return u, err
	}
	if len(text) == 0 {
		return u, masked(name, f.at(file))
	}
	if err := u.add(f.at(file), string(text)); err != nil {
		return u, err // systemd does not load such a unit
	}
	var with []string
	for _, d := range f.dropIns(name, alias) {
		text, err := os.ReadFile(f.at(d))
		if err != nil {
			return u, err
		}
		before := len(u.settings)
		if err := u.add(f.at(d), string(text)); err != nil {
			u.Remarks = append(u.Remarks, err.Error())
		}
		if slices.ContainsFunc(u.settings[before:], func(s setting) bool { return s.key == "ExecStart" }) {
			with = append(with, path.Base(d))
		}
	}
	u.Own = ownName(with)
	return u, u.parse()
}

// add lays a file over what was read before.
func (u *Unit) add(file, text string) error {
	u.Files = append(u.Files, file)
	settings, err := parse(file, text)
	u.settings = append(u.settings, slices.DeleteFunc(settings, func(s setting) bool { return s.section != "Service" })...)
	return err
}

func (u *Unit) parse() error {
	for _, s := range u.list("ExecStart") {
		commands, remark, err := parseCommands(s)
		if err != nil {
			return err
		}
		if remark != "" {
			u.Remarks = append(u.Remarks, remark)
		}
		u.Commands = append(u.Commands, commands...)
	}
	if len(u.Commands) == 0 {
		return fmt.Errorf("%s has no ExecStart= (%s), so it starts nothing", u.Name, strings.Join(u.Files, ", "))
	}
	return nil
}

const ownFile = "arenacap.conf"

// ownName is a name that systemd reads after all of these: drop-ins apply in the order of their names, whatever their
// folder, and the last one to empty ExecStart= wins.
func ownName(with []string) string {
	name := ownFile
	for z := "zz-"; len(with) > 0 && slices.Max(with) >= name; z = "z" + z {
		name = z + ownFile
	}
	return name
}

func isOwn(name string) bool {
	return strings.TrimLeft(strings.TrimSuffix(name, ownFile), "z") == "-" || name == ownFile
}

// dropIns lists the files of a unit's drop-ins in the order in which they apply: by their names; of several with one
// name the first folder's counts, also where it is a link to /dev/null or nowhere (v252: src/shared/dropin.c,
// unit_file_find_dropin_paths).
func (f finder) dropIns(name, alias string) []string {
	byName := map[string]string{}
	for _, dir := range f.dropInDirs(name, alias) {
		entries, err := os.ReadDir(f.at(dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			base := e.Name()
			if _, taken := byName[base]; !taken && strings.HasSuffix(base, ".conf") && base[0] != '.' && !isOwn(base) {
				byName[base] = path.Join(dir, base)
			}
		}
	}
	var files []string
	for _, base := range slices.Sorted(maps.Keys(byName)) {
		file, err := f.follow(byName[base])
		if err != nil || file == "/dev/null" {
			continue
		}
		if info, err := os.Stat(f.at(file)); err == nil && info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	return files
}

// dropInDirs lists the folders of drop-ins, the most important first: for the unit's name, for its aliases, for all
// services.
func (f finder) dropInDirs(name, alias string) []string {
	var dirs []string
	for _, n := range append([]string{name, alias}, f.aliases(name)...) {
		for _, dir := range f.dirs {
			for _, general := range generalNames(n) {
				dirs = append(dirs, path.Join(dir, general+".d"))
			}
		}
	}
	for _, dir := range f.dirs {
		dirs = append(dirs, path.Join(dir, "service.d"))
	}
	return dirs
}

// generalNames are a name and those that stand for more units: for "foo-bar@x.service" the template's and its own, and
// "foo-@x.service" with its own (systemd.unit(5), "foo-.service.d/"). Of a template without an instance, "foo-@.service",
// systemd makes "foo-.service".
func generalNames(name string) []string {
	all := []string{name}
	prefix, instance, isInstance := strings.Cut(strings.TrimSuffix(name, suffix), "@")
	if isInstance = isInstance && instance != ""; isInstance {
		all = append(all, generalNames(prefix+"@"+suffix)...)
	}
	dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
	switch {
	case dash <= 0:
		return all
	case isInstance:
		return append(all, generalNames(prefix[:dash+1]+"@"+instance+suffix)...)
	}
	return append(all, generalNames(prefix[:dash+1]+suffix)...)
}

// aliases are the links in the search path that lead to a unit, or to its template, under another name.
func (f finder) aliases(name string) []string {
	var all []string
	for _, dir := range f.dirs {
		entries, err := os.ReadDir(f.at(dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.Type()&fs.ModeSymlink == 0 || !strings.HasSuffix(e.Name(), suffix) {
				continue
			}
			real, err := f.follow(path.Join(dir, e.Name()))
			if base := path.Base(real); err != nil || base != name && base != template(name) {
				continue
			}
			if alias := ofTemplate(e.Name(), name); !slices.Contains(all, alias) {
				all = append(all, alias)
			}
		}
	}
	return all
}
