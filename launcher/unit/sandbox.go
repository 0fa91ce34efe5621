package unit

// The file system that a unit's processes see (systemd.exec(5), "PATHS" and "SANDBOXING"), as far as its settings tell.

import (
	"path"
	"strings"
)

// Paths that one setting stands for.
var (
	homes     = []string{"/home", "/root", "/run/user"} // ProtectHome=
	temporary = []string{"/tmp", "/var/tmp"}            // PrivateTmp=
	programs  = []string{"/usr", "/boot", "/efi"}       // ProtectSystem=
	apis      = []string{"/proc", "/sys", "/dev"}       // MountAPIVFS=
)

// barrier is a setting that hides what lies below some paths, or makes it read-only.
type barrier struct {
	setting string
	paths   []string
	hard    bool // what is bound to a place below is hidden too
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

// privateTmp is the setting for which /tmp is the unit's own; DynamicUser= implies it.
func (u Unit) privateTmp() string {
	switch {
	case u.set("PrivateTmp"):
		return "PrivateTmp=" + u.last("PrivateTmp")
	case u.yes("DynamicUser"):
		return "DynamicUser=yes"
	}
	return ""
}

// hiddenBy is what hides a file from the unit; without a setting nothing does. MountAPIVFS= mounts /proc, /sys and /dev anew.
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

// readOnlyBy is the setting for which the unit cannot write a file, or "".
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

// serviceFolders are where the settings for folders of a service's own put them (systemd.exec(5), RuntimeDirectory=).
var serviceFolders = map[string]string{
	"LogsDirectory": "/var/log/", "StateDirectory": "/var/lib/", "CacheDirectory": "/var/cache/", "RuntimeDirectory": "/run/",
}

// writable are the paths that the unit may write whatever is read-only above them.
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

// binds reads these settings. Format of an entry: [-]FROM[:TO[:OPTION]].
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

// rooted reports whether the unit has another root than ours.
func (u Unit) rooted() bool {
	dir := u.last("RootDirectory")
	return dir != "" && dir != "/" || u.last("RootImage") != ""
}

// Outside is where a file lies that the unit sees under this path: RootDirectory= and what is bound into it count. Of
// RootImage= nothing is known.
func (u Unit) Outside(file string) string {
	longest, at := 0, path.Join("/", u.last("RootDirectory"), file)
	for _, b := range u.binds("BindPaths", "BindReadOnlyPaths") {
		if n := below(file, []string{b.to}); n > longest {
			longest, at = n, path.Join(b.from, strings.TrimPrefix(file, b.to))
		}
	}
	return at
}

// below is the length of the longest of these paths, as settings write them, that is the file's or a folder's above it;
// 0 is none.
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
