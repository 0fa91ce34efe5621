package unit

// The user and the groups of a service, and what the modes of files let them do.

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

// Bits of a file's mode for its owner, its group or others.
const (
	mayExecute fs.FileMode = 1 << iota
	mayWrite
	mayRead
)

// identity is who a service's processes are. Of a dynamic user only its groups are known.
type identity struct {
	uid  int64 // -1 is not known
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

// ask is what a command prints about a user or a group, "" where there is none of that name; it knows what nsswitch.conf(5)
// says, LDAP for one. Go's os/user knows it only through cgo, which makes a plain build dynamic, and every launch by it a
// third slower.
func ask(command string, args ...string) string {
	if args[len(args)-1] == "" {
		return ""
	}
	out, _ := exec.Command(command, args...).Output()
	return strings.TrimSpace(string(out))
}

// may reports whether a file's mode lets in; an ACL is not looked at.
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

// closed is the part of a path at which one gets no further; want is what one needs of the file itself.
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
