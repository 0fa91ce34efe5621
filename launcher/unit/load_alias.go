package unit

// This file resolves a name to a unit file through symbolic links: aliases, links to files outside of the search
// path, and links to /dev/null. It also makes the errors for units that are masked or not found.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"arenacap/policy/text"
)

// linksMax limits a chain of links or of aliases, because the chain may be a loop.
const linksMax = 32

// follow returns the end of a chain of links, or the path itself if it is not a link. It stays below the root.
func (f finder) follow(p string) (string, error) {
	for range linksMax {
		to, err := f.link(p)
		if err != nil || to == "" {
			return p, err
		}
		if p = to; p == "/dev/null" { // a link to /dev/null masks a unit or a drop-in; /dev/null is not looked up below the root
			return p, nil
		}
	}
	return "", fmt.Errorf("%q is a chain of over %d links", p, linksMax)
}

// link returns the target of a symbolic link, or "" for a file that is not a link.
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

// fragment finds a unit's file without its drop-ins, and resolves an alias to the unit's name.
func (f finder) fragment(name string) (unit, file string, err error) {
	for _, candidate := range []string{name, template(name)} { // an instance's own file comes before the template's
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

// chain resolves a name to a unit and its file. A link into the search path is an alias: only the target's name matters,
// and it is looked up again, so another file may be found. Any other link is the unit's file, and the name does not change
// (v252: src/basic/unit-file.c, unit_file_resolve_symlink and unit_ids_map_get).
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

// entry finds a name in the first directory of the search path that has it: a file, or an alias.
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
		case strings.HasSuffix(base, path.Ext(name)): // systemd accepts only an alias of the same type
			return "", base, true
		}
	}
	return "", "", false
}

// aliases returns the other names of a unit or of its template: links in the search path.
func (f finder) aliases(name string) []string {
	var all []string
	for _, dir := range f.dirs {
		entries, _ := os.ReadDir(f.at(dir)) // a directory that does not exist has no entries
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
		unmask = fmt.Sprintf("; run '%s unmask %s' first", systemctl, name)
	case strings.HasPrefix(file, "/run/systemd/system/"):
		unmask = fmt.Sprintf("; run '%s unmask --runtime %s' first", systemctl, name)
	}
	return fmt.Errorf("%s is masked (%s): systemd never starts it%s", name, f.at(file), unmask)
}

// notFound is the error for a unit that does not exist. If there is a template, a user unit or an init script of that
// name, the error names it. systemd generates a unit from an init script when it boots, and at each daemon-reload.
func (f finder) notFound(name string) error {
	short := strings.TrimSuffix(name, suffix)
	script := "/etc/init.d/" + short
	if _, _, ok := f.chain(short + "@" + suffix); ok {
		return fmt.Errorf("%s was not found, but there is the template %s@%s; write the name %q, or %q for one instance", name, short, suffix, short+"@", short+"@INSTANCE")
	}
	if home, err := os.UserHomeDir(); err == nil && f.home == "" {
		for _, dir := range userSearch(home) {
			if _, err := os.Lstat(f.at(path.Join(dir, name))); err == nil {
				return fmt.Errorf("%s is a user unit, not a system unit; write its path %q", name, path.Join(dir, name))
			}
		}
	}
	if _, err := os.Stat(f.at(script)); err == nil {
		do := "run this on a system that runs systemd, because systemd generates a unit from the script"
		if _, err := os.Stat(f.at("/run/systemd/system")); err == nil { // systemd runs, sd_booted(3)
			do = "systemd has generated no unit from it; install the service's package again if it was removed, or run 'systemctl daemon-reload' and then this command again"
		}
		return fmt.Errorf("%s has no unit file, only the init script %s; %s; or put 'eval \"$(arenacap env --service %s)\"' into the script or a file that it sources (/etc/default/%s)",
			name, f.at(script), do, short, short)
	}
	var names []string
	for _, service := range f.services() {
		if _, _, ok := f.chain(service); ok {
			names = append(names, strings.TrimSuffix(service, suffix))
		}
	}
	if hint := text.DidYouMean(short, names); hint != "" {
		return fmt.Errorf("%s was not found in the directories that systemd searches; %s", name, hint)
	}
	return fmt.Errorf("%s was not found in the directories that systemd searches (%s … %s); run 'systemctl list-unit-files' to list the units, or write the path of a unit file, with a slash",
		name, f.at(f.dirs[0]), f.at(f.dirs[len(f.dirs)-1]))
}
