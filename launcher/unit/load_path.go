package unit

// This file has the search paths for units: that of the system manager and that of a user manager, preceded by the
// directory of a file given as operand (systemd.unit(5), "UNIT FILE LOAD PATH").

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// systemPath is the search path of the system manager.
var systemPath = [...]string{
	"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
	"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached",
	"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
	"/run/systemd/generator.late",
}

// systemEtc is the administrator's directory for system units.
const systemEtc = "/etc/systemd/system"

// userPath is the part of a user manager's search path after the user's own directories.
var userPath = [...]string{
	"/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/local/share/systemd/user", "/usr/lib/systemd/user",
	"/usr/share/systemd/user",
}

// userDirs returns a user's own unit directories. Drop-ins are written to the first.
func userDirs(home string) []string {
	return []string{home + "/.config/systemd/user", home + "/.local/share/systemd/user"}
}

// userSearch is the search path of a user manager.
func userSearch(home string) []string { return append(userDirs(home), userPath[:]...) }

// searchPath is the system manager's search path. At the real root $SYSTEMD_UNIT_PATH replaces it, or precedes it if
// the last entry of $SYSTEMD_UNIT_PATH is empty.
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

// ofUser returns a finder with the search path of a user manager if the operand is in a directory for user units.
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
	f.dirs = userSearch(f.home)
	return f
}

// searchFirst puts the operand's directory first in the search path. If the operand is a symbolic link in a directory
// of the search path, the order stays: the link is an alias, and is resolved like a unit name.
func (f finder) searchFirst(operand string) finder {
	dir := path.Dir(operand)
	if _, err := os.Readlink(f.at(operand)); err != nil || !f.searched(dir) {
		f.dirs = append([]string{dir}, f.dirs...)
	}
	return f
}

// searched reports whether a directory is in the search path.
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

// services returns the names of all services that have a file or a directory of drop-ins in the search path.
func (f finder) services() []string {
	var names []string
	for _, dir := range f.dirs {
		entries, _ := os.ReadDir(f.at(dir))
		for _, e := range entries {
			if name := strings.TrimSuffix(e.Name(), ".d"); strings.HasSuffix(name, suffix) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// at returns the path of a file below the root.
func (f finder) at(p string) string {
	if path.IsAbs(p) {
		return f.root + p
	}
	return p
}
