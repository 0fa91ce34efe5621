package unit

// From a name to a unit's file, through symbolic links: aliases, links to elsewhere, links to /dev/null; and what is said
// where a unit is masked or was not found.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

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
	switch to, err = os.Readlink(f.at(p)); {
	case errors.Is(err, syscall.EINVAL):
		return "", nil
	case err != nil:
		return "", err
	case !path.IsAbs(to):
		to = path.Join(path.Dir(p), to)
	}
	return path.Clean(to), nil
}

// fragment finds a unit's own file and, where the name is an alias, the unit's name.
func (f finder) fragment(name string) (unit, file string, err error) {
	for _, candidate := range []string{name, template(name)} { // for an instance its own file first
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

// aliases are the links in the search path that lead to a unit, or to its template, under another name.
func (f finder) aliases(name string) []string {
	var all []string
	for _, dir := range f.dirs {
		entries, _ := os.ReadDir(f.at(dir)) // of a folder that is not there, none
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
		for _, dir := range userSearch(home) {
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
