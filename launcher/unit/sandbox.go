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
)

// hider is a setting that hides what lies below some paths.
type hider struct {
	setting string
	paths   []string
	hard    bool // what is bound to a place below is hidden too
}

func (u Unit) hiders() []hider {
	home := u.last("ProtectHome")
	all := []hider{
		{"InaccessiblePaths", u.words("InaccessiblePaths"), true},
		{"TemporaryFileSystem", u.words("TemporaryFileSystem"), false},
	}
	if u.set("ProtectHome") && home != "read-only" {
		all = append(all, hider{"ProtectHome=" + home, homes, home != "tmpfs"})
	}
	if setting := u.privateTmp(); setting != "" {
		all = append(all, hider{setting, temporary, false})
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

// hiddenBy is the setting that hides a file from the unit, or "".
func (u Unit) hiddenBy(file string) string {
	bound := 0
	for _, b := range u.binds("BindPaths", "BindReadOnlyPaths") {
		bound = max(bound, below(file, []string{b.to}))
	}
	for _, h := range u.hiders() {
		if n := below(file, h.paths); n > 0 && (h.hard || bound < n) {
			return h.setting
		}
	}
	return ""
}

// readOnlyBy is the setting for which the unit cannot write a file, or "".
func (u Unit) readOnlyBy(file string) string {
	readOnly, by := below(file, u.words("ReadOnlyPaths")), "ReadOnlyPaths"
	switch protect := strings.ToLower(u.last("ProtectSystem")); {
	case protect == "strict", u.yes("DynamicUser"):
		if readOnly == 0 {
			readOnly, by = len("/"), "ProtectSystem=strict"
		}
		if protect != "strict" {
			by = "DynamicUser=yes"
		}
	case protect == "full" && below(file, []string{"/etc"}) > readOnly:
		readOnly, by = len("/etc"), "ProtectSystem=full"
	case u.set("ProtectSystem") && below(file, programs) > readOnly:
		readOnly, by = len("/efi"), "ProtectSystem="+protect
	}
	if home := u.last("ProtectHome"); (home == "read-only" || u.yes("DynamicUser")) && below(file, homes) > readOnly {
		readOnly, by = len("/home"), "ProtectHome=read-only"
	}
	if readOnly == 0 || below(file, u.writable()) > readOnly {
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
