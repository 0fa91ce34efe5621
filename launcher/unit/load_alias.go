package unit

// From a name to a unit's file, through symbolic links: aliases, links to elsewhere, links to /dev/null.

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
