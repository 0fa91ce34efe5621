package unit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// systemEtc is the administrator's folder.
const systemEtc = "/etc/systemd/system"

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

// fileName is the unit's name of a file. One that is no service's own file is refused.
func fileName(operand string) (string, error) {
	name, dir := path.Base(operand), path.Base(path.Dir(operand))
	if of, ok := strings.CutSuffix(dir, ".d"); ok && strings.HasSuffix(name, ".conf") {
		return "", fmt.Errorf("%q is a drop-in; ask for %q", operand, of)
	}
	if _, err := serviceName(name); err != nil {
		return "", err
	}
	if !strings.HasSuffix(name, suffix) {
		return "", fmt.Errorf("%q is no service's file: its name would end in %q", operand, suffix)
	}
	return name, nil
}

// userPath is where a user's manager looks for units, behind the user's own folders.
var userPath = [...]string{
	"/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/local/share/systemd/user", "/usr/lib/systemd/user",
	"/usr/share/systemd/user",
}

// userDirs are a user's own folders for units, the one that is written to first.
func userDirs(home string) []string {
	return []string{home + "/.config/systemd/user", home + "/.local/share/systemd/user"}
}

// ofUser takes the search path of a user's manager for a file that lies in such a folder.
func (f finder) ofUser(operand string) finder {
	dir, err := filepath.Abs(path.Dir(operand))
	if err != nil || !strings.HasSuffix(dir, "/systemd/user") {
		return f
	}
	home, _ := os.UserHomeDir()
	f.home, f.etc = cmp.Or(home, "/"), userPath[0]
	for _, own := range userDirs("") {
		if home, ok := strings.CutSuffix(dir, own); ok {
			f.home, f.etc = home, userDirs(home)[0]
		}
	}
	f.dirs = append(userDirs(f.home), userPath[:]...)
	return f
}

// beside looks into a file's folder first. A link in a folder of the search path is looked for as its name is.
func (f finder) beside(operand string) finder {
	dir := path.Dir(operand)
	if _, err := os.Readlink(f.at(operand)); err != nil || !f.searched(dir) {
		f.dirs = append([]string{dir}, f.dirs...)
	}
	return f
}

// searched reports whether a folder is in the search path.
func (f finder) searched(dir string) bool {
	info, err := os.Stat(f.at(dir))
	return slices.ContainsFunc(f.dirs, func(d string) bool {
		if d == dir {
			return true
		}
		there, missing := os.Stat(f.at(d))
		return err == nil && missing == nil && os.SameFile(info, there)
	})
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
	stem := strings.TrimSuffix(name, suffix)
	ext := path.Ext(name)
	switch {
	case ext != "" && strings.Contains(unitTypes, ext+" "):
		return "", fmt.Errorf("%q is no service, and only services have ExecStart=; write %q", name, strings.TrimSuffix(name, ext)+suffix)
	case strings.Trim(stem, ".@") == "" || strings.HasPrefix(stem, "@") || strings.ContainsFunc(name, notInName) || len(stem) > 255-len(suffix):
		return "", fmt.Errorf("%q is no unit's name (letters, digits and :-_.\\@; systemd-escape(1) writes others so)", name)
	}
	return stem + suffix, nil
}

// notInName is what no unit's name has (systemd.unit(5)).
func notInName(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(`:-_.\@`, r)
}

// at is where a path of the system lies.
func (f finder) at(p string) string {
	if path.IsAbs(p) {
		return f.root + p
	}
	return p
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
	case errors.Is(err, fs.ErrPermission):
		return "", closedTo(f.at(p))
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%q is a directory, not a unit's file", f.at(p))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is no regular file", f.at(p))
	case info.Size() > fileMax:
		return "", fmt.Errorf("%q has over %d bytes, which no unit's file has", f.at(p), fileMax)
	}
	text, err := os.ReadFile(f.at(file))
	if errors.Is(err, fs.ErrPermission) {
		err = closedTo(f.at(p))
	}
	return string(text), err
}

func closedTo(file string) error {
	return fmt.Errorf("%q cannot be read (permission denied); ask again as root", file)
}

// linksMax bounds a chain of links, or of aliases.
const linksMax = 32

// follow is where a chain of links ends, or the path itself. It stays below the root.
func (f finder) follow(p string) (string, error) {
	for range linksMax {
		to, err := f.link(p)
		if err != nil || to == "" {
			return p, err
		}
		if p = to; p == "/dev/null" { // the manager's, not the root's
			return p, nil
		}
	}
	return "", fmt.Errorf("%q has too many links", p)
}

// link is where a link leads to; "" is no link.
func (f finder) link(p string) (to string, err error) {
	if to, err = os.Readlink(f.at(p)); err != nil {
		if errors.Is(err, syscall.EINVAL) {
			return "", nil
		}
		return "", err
	}
	if !path.IsAbs(to) {
		to = path.Join(path.Dir(p), to)
	}
	return path.Clean(to), nil
}

// fragment finds a unit's own file and, where the name is an alias, the unit's name.
func (f finder) fragment(name string) (unit, file string, err error) {
	for _, candidate := range names(name) {
		if unit, file, ok := f.chain(candidate); ok {
			unit = ofTemplate(unit, name)
			switch real, err := f.follow(file); {
			case err != nil:
				continue
			case real == "/dev/null":
				return "", "", f.masked(unit, file)
			}
			return unit, file, nil
		}
	}
	return "", "", f.notFound(name)
}

// chain follows a name. A link to somewhere within the search path is another name, which is looked up in its turn; the
// file that it leads to need not be the one that counts. Any other link is the unit's file, and the name stays (v252:
// src/basic/unit-file.c, unit_file_resolve_symlink and unit_ids_map_get).
func (f finder) chain(name string) (unit, file string, ok bool) {
	for range linksMax {
		p, alias, ok := f.entry(name)
		if t := template(name); !ok && t != name {
			p, alias, ok = f.entry(t)
		}
		switch {
		case !ok:
			return "", "", false
		case alias == "":
			return name, p, true
		}
		name = alias
	}
	return "", "", false
}

// entry finds a name in the first folder that has it: a file, or an alias.
func (f finder) entry(name string) (file, alias string, ok bool) {
	for _, dir := range f.dirs {
		p := path.Join(dir, name)
		if _, err := os.Lstat(f.at(p)); err != nil {
			continue
		}
		to, err := f.link(p)
		base := path.Base(to)
		switch {
		case err != nil:
		case to == "" || to == "/dev/null" || base == name || !f.searched(path.Dir(to)):
			return p, "", true
		case strings.HasSuffix(base, path.Ext(name)): // systemd takes no other for an alias
			return "", base, true
		}
	}
	return "", "", false
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

func (f finder) masked(name, file string) error {
	unmask, systemctl := "", "systemctl"
	if f.root != "" {
		systemctl += " --root=" + f.root
	}
	switch {
	case strings.HasPrefix(file, systemEtc+"/"):
		unmask = fmt.Sprintf("; '%s unmask %s' first", systemctl, name)
	case strings.HasPrefix(file, "/run/systemd/system/"):
		unmask = fmt.Sprintf("; '%s unmask --runtime %s' first", systemctl, name)
	}
	return fmt.Errorf("%s is masked (%s): systemd never starts it%s", name, f.at(file), unmask)
}

// notFound says what there is instead: a template, or an init script, of which systemd makes a unit when it starts.
func (f finder) notFound(name string) error {
	short := strings.TrimSuffix(name, suffix)
	script := "/etc/init.d/" + short
	if _, _, ok := f.chain(short + "@" + suffix); ok {
		return fmt.Errorf("%s was not found, but there is the template %s@%s; write %q, or %q for one instance", name, short, suffix, short+"@", short+"@INSTANCE")
	}
	if home, err := os.UserHomeDir(); err == nil && f.home == "" {
		for _, dir := range append(userDirs(home), userPath[:]...) {
			if _, err := os.Lstat(f.at(path.Join(dir, name))); err == nil {
				return fmt.Errorf("%s is no unit of the system's, but one of users' managers; write %q", name, path.Join(dir, name))
			}
		}
	}
	if _, err := os.Stat(f.at(script)); err == nil {
		return fmt.Errorf("%s has no unit file, only the init script %s, of which systemd makes a unit while it runs: ask again there, or put 'eval \"$(arenacap env --service %s)\"' into the script or a file that it sources (/etc/default/%s)",
			name, f.at(script), short, short)
	}
	return fmt.Errorf("%s was not found in %d folders from %s to %s; 'systemctl list-unit-files' lists what is there, and a path with a slash is taken as a file",
		name, len(f.dirs), f.at(f.dirs[0]), f.at(f.dirs[len(f.dirs)-1]))
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
			u.Remarks = append(u.Remarks, err.Error())
		}
		if slices.ContainsFunc(u.settings[before:], func(s setting) bool { return s.key == "ExecStart" }) {
			with = append(with, path.Base(d))
		}
	}
	u.Own, u.behind = ownName(with)
	u.perConnection = f.perConnection(name)
	return u, u.parse()
}

// perConnection reports whether a template's instances are one connection each (systemd.socket(5), Accept=).
func (f finder) perConnection(name string) bool {
	prefix, _, ok := strings.Cut(name, "@")
	if !ok {
		return false
	}
	_, file, ok := f.chain(prefix + ".socket")
	if !ok {
		return false
	}
	text, _ := f.text(file)
	settings, _ := parse(file, text)
	socket := Unit{settings: settings}
	return socket.yes("Accept")
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

// ownName is a name that systemd reads after all of these, and the last of them, if that is why it is not the usual one:
// drop-ins apply in the order of their names' bytes, whatever their folder, and the last one to empty ExecStart= wins.
func ownName(with []string) (name, behind string) {
	if len(with) == 0 || slices.Max(with) < ownFile {
		return ownFile, ""
	}
	behind = slices.Max(with)
	if name = "zz-" + ownFile; behind < name {
		return name, behind
	}
	return strings.TrimSuffix(behind, ".conf") + "_" + ownFile, behind // "_" comes behind "."
}

// isOwn reports whether arenacap made a drop-in.
func isOwn(text string) bool { return strings.HasPrefix(text, ownBegin) }

// dropIns lists the files of a unit's drop-ins in the order in which they apply: by their names; of several with one
// name the first folder's counts, also where it is a link to /dev/null or nowhere (v252: src/shared/dropin.c,
// unit_file_find_dropin_paths).
func (f finder) dropIns(name, alias string) ([]string, error) {
	byName := map[string]string{}
	for _, dir := range f.dropInDirs(name, alias) {
		entries, err := os.ReadDir(f.at(dir))
		if errors.Is(err, fs.ErrPermission) {
			return nil, closedTo(f.at(dir))
		}
		for _, e := range entries {
			base := e.Name()
			if _, taken := byName[base]; !taken && strings.HasSuffix(base, ".conf") && base[0] != '.' {
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
			files = append(files, byName[base])
		}
	}
	return files, nil
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
			real, _, ok := f.chain(e.Name())
			if !ok || real == e.Name() || real != name && real != template(name) {
				continue
			}
			if alias := ofTemplate(e.Name(), name); !slices.Contains(all, alias) {
				all = append(all, alias)
			}
		}
	}
	return all
}
