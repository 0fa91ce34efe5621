package unit

// This file derives from a unit's settings which files its processes see and may write (systemd.exec(5), "PATHS" and
// "SANDBOXING").

import (
	"path"
	"strings"
)

// Each variable lists the paths that the setting named beside it affects.
var (
	homes     = []string{"/home", "/root", "/run/user"} // ProtectHome=
	temporary = []string{"/tmp", "/var/tmp"}            // PrivateTmp=
	programs  = []string{"/usr", "/boot", "/efi"}       // ProtectSystem=
	apis      = []string{"/proc", "/sys", "/dev"}       // MountAPIVFS=
)

// barrier is a setting that hides files below some paths or makes them read-only.
type barrier struct {
	setting string
	paths   []string
	hard    bool // the setting also hides bind mounts below the paths
}

func (u Unit) hiders() []barrier {
	home := u.last("ProtectHome")
	all := []barrier{
		{"InaccessiblePaths=", u.words("InaccessiblePaths"), true},
		{"TemporaryFileSystem=", u.words("TemporaryFileSystem"), false},
	}
	if u.set("ProtectHome") && home != "read-only" {
		all = append(all, barrier{"ProtectHome=" + home, homes, home != "tmpfs"})
	}
	if setting := u.privateTmp(); setting != "" {
		all = append(all, barrier{setting, temporary, false})
	}
	return all
}

// privateTmp returns the setting that gives the unit its own /tmp, or "". DynamicUser= implies PrivateTmp=.
func (u Unit) privateTmp() string {
	switch {
	case u.set("PrivateTmp"):
		return "PrivateTmp=" + u.last("PrivateTmp")
	case u.yes("DynamicUser"):
		return "DynamicUser=yes"
	}
	return ""
}

// hiddenBy returns the barrier that hides a file from the unit, or a zero barrier. Unless the barrier is hard, a bind
// mount below a hidden path makes a file visible again, and so does MountAPIVFS= for /proc, /sys and /dev, which it
// mounts anew, and PrivateDevices= for /dev.
func (u Unit) hiddenBy(file string) barrier {
	bound := 0
	for _, b := range u.binds("BindPaths", "BindReadOnlyPaths") {
		bound = max(bound, below(file, []string{b.to}))
	}
	if u.yes("MountAPIVFS") || u.rooted() {
		bound = max(bound, below(file, apis))
	}
	if u.yes("PrivateDevices") {
		bound = max(bound, below(file, []string{"/dev"}))
	}
	for _, h := range u.hiders() {
		if n := below(file, h.paths); n > 0 && (h.hard || bound < n) {
			return h
		}
	}
	return barrier{}
}

// readOnlyBy returns the setting that makes a file read-only for the unit, or "".
func (u Unit) readOnlyBy(file string) string {
	all := []barrier{{setting: "ReadOnlyPaths=", paths: u.words("ReadOnlyPaths")}}
	switch protect := strings.ToLower(u.last("ProtectSystem")); {
	case protect == "strict":
		all = append(all, barrier{setting: "ProtectSystem=strict", paths: []string{"/"}})
	case u.yes("DynamicUser"):
		all = append(all, barrier{setting: "DynamicUser=yes", paths: []string{"/"}})
	case protect == "full":
		all = append(all, barrier{setting: "ProtectSystem=full", paths: append([]string{"/etc"}, programs...)})
	case u.set("ProtectSystem"):
		all = append(all, barrier{setting: "ProtectSystem=" + protect, paths: programs})
	}
	if u.last("ProtectHome") == "read-only" || u.yes("DynamicUser") {
		all = append(all, barrier{setting: "ProtectHome=read-only", paths: homes})
	}
	longest, by := 0, ""
	for _, b := range all {
		if n := below(file, b.paths); n > longest {
			longest, by = n, b.setting
		}
	}
	if below(file, u.writable()) > longest {
		return ""
	}
	return by
}

// serviceFolders are the parents of the directories that these settings create (systemd.exec(5), RuntimeDirectory=).
var serviceFolders = map[string]string{
	"LogsDirectory": "/var/log/", "StateDirectory": "/var/lib/", "CacheDirectory": "/var/cache/", "RuntimeDirectory": "/run/",
}

// writable returns the paths that the unit may write even if a parent is read-only.
func (u Unit) writable() []string {
	all := append(u.words("ReadWritePaths"), "/dev", "/proc", "/sys")
	for _, b := range u.binds("BindPaths") {
		all = append(all, b.to)
	}
	if u.privateTmp() != "" {
		all = append(all, temporary...)
	}
	for key, dir := range serviceFolders {
		for _, name := range u.words(key) {
			name, _, _ = strings.Cut(name, ":")
			all = append(all, dir+name)
		}
	}
	return all
}

// bind is one entry of BindPaths= or BindReadOnlyPaths=.
type bind struct{ from, to string }

// binds reads BindPaths=, BindReadOnlyPaths= or both, as keys says. Format of an entry: [-]FROM[:TO[:OPTION]].
func (u Unit) binds(keys ...string) (all []bind) {
	for _, key := range keys {
		for _, entry := range u.words(key) {
			from, to, _ := strings.Cut(strings.TrimPrefix(entry, "-"), ":")
			if to, _, _ = strings.Cut(to, ":"); to == "" {
				to = from
			}
			all = append(all, bind{from, path.Clean(to)})
		}
	}
	return all
}

// rooted reports whether the unit has a root directory of its own.
func (u Unit) rooted() bool {
	dir := u.last("RootDirectory")
	return dir != "" && dir != "/" || u.last("RootImage") != ""
}

// Outside maps a path that the unit sees to the path of the file outside, through RootDirectory= and bind mounts.
// RootImage= is ignored.
func (u Unit) Outside(file string) string {
	longest, at := 0, path.Join("/", u.last("RootDirectory"), file)
	for _, b := range u.binds("BindPaths", "BindReadOnlyPaths") {
		if n := below(file, []string{b.to}); n > longest {
			longest, at = n, path.Join(b.from, strings.TrimPrefix(file, b.to))
		}
	}
	return at
}

// below returns the length of the longest of these paths that is the file itself or a directory above it, or 0. The paths
// are as in settings: with the prefixes "-" and "+" and with options after ":".
func below(file string, paths []string) int {
	longest := 0
	for _, dir := range paths {
		dir, _, _ = strings.Cut(strings.TrimLeft(dir, "-+"), ":")
		if dir = path.Clean(dir); dir == "/" || file == dir || strings.HasPrefix(file, dir+"/") {
			longest = max(longest, len(dir))
		}
	}
	return longest
}
