package unit

// The folders in which systemd looks for units: the system's, a user's, and that of a file that was named
// (systemd.unit(5), "UNIT FILE LOAD PATH").

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// systemPath is where the system's manager looks for units (systemd.unit(5), "UNIT FILE LOAD PATH").
var systemPath = [...]string{
	"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
	"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached",
	"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
	"/run/systemd/generator.late",
}

// systemEtc is the administrator's folder.
const systemEtc = "/etc/systemd/system"

// userPath is where a user's manager looks for units, behind the user's own folders.
var userPath = [...]string{
	"/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/local/share/systemd/user", "/usr/lib/systemd/user",
	"/usr/share/systemd/user",
}

// userDirs are a user's own folders for units, the one that is written to first.
func userDirs(home string) []string {
	return []string{home + "/.config/systemd/user", home + "/.local/share/systemd/user"}
}

// userSearch is the search path of a user's manager.
func userSearch(home string) []string { return append(userDirs(home), userPath[:]...) }

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
	f.dirs = userSearch(f.home)
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

// at is where a path of the system lies.
func (f finder) at(p string) string {
	if path.IsAbs(p) {
		return f.root + p
	}
	return p
}
