package unit

// This file finds the user and the groups of a service, and whether file modes give them access.

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// These are bits of a file's mode for its owner, its group or others.
const (
	mayExecute fs.FileMode = 1 << iota
	mayWrite
	mayRead
)

// identity is the user and the groups of a service's processes. The uid of a dynamic user is not known.
type identity struct {
	uid  int64 // UID; -1 if not known
	gids []string
}

func (u Unit) identity() identity {
	as := identity{uid: -1}
	name := u.last("User")
	if uid, err := strconv.ParseInt(ask("id", "-u", "--", name), 10, 64); err == nil {
		as.uid = uid
		as.gids = strings.Fields(ask("id", "-G", "--", name))
	}
	for _, name := range append(u.words("SupplementaryGroups"), u.last("Group")) {
		if fields := strings.Split(ask("getent", "group", "--", name), ":"); len(fields) > 2 {
			name = fields[2] // group_name:password:GID:user_list (group(5))
		}
		as.gids = append(as.gids, name)
	}
	return as
}

// ask returns the output of a command about a user or a group, or "" if the name does not exist. The commands use
// nsswitch.conf(5), so they find users in LDAP. Go's os/user does that only with cgo, which links arenacap dynamically
// and makes each launch a third slower.
func ask(command string, args ...string) string {
	if args[len(args)-1] == "" {
		return ""
	}
	out, _ := exec.Command(command, args...).Output()
	return strings.TrimSpace(string(out))
}

// may reports whether a file's mode permits an access. ACLs are ignored.
func (as identity) may(info fs.FileInfo, want fs.FileMode) bool {
	mode := info.Mode()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case as.uid == int64(stat.Uid):
			mode >>= 6
		case slices.Contains(as.gids, strconv.FormatUint(uint64(stat.Gid), 10)):
			mode >>= 3
		}
	}
	return mode&want == want
}

// closed returns the file, or the topmost directory above it, to which the identity has no access; "" if it has
// access to all. The mode "want" is the access needed to the file itself; the directories above it need mayExecute.
func (as identity) closed(file string, want fs.FileMode) string {
	part := ""
	for p := file; ; p, want = path.Dir(p), mayExecute {
		if info, err := os.Stat(p); err == nil && !as.may(info, want) {
			part = p
		}
		if p == "/" || p == "." {
			return part
		}
	}
}
