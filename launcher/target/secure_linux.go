package target

// This file reads the facts that filecaps.go needs about a program's file and about this process.

import (
	"golang.org/x/sys/unix"
)

// stNosuid is ST_NOSUID of statfs(2).
const stNosuid = 2

// judgeSecurity sets AtSecure. It works even if the program's file is not readable.
func (fs fsys) judgeSecurity(t *Target, f *facts) {
	path := fs.path(t.Program())
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return
	}
	p, c := privilegesOf(path, &st), ownCredentials()
	if p.setUID || p.setGID || p.caps != nil {
		p.nosuid = nosuid(path)
		c.addCapabilities()
	}
	f.secure = p.secure(c)
	f.rootCaps = p.caps != nil && c.uid == 0 && f.secure == ""
	t.AtSecure = answer(f.secure != "")
}

func privilegesOf(path string, st *unix.Stat_t) privileges {
	p := privileges{
		setUID: st.Mode&unix.S_ISUID != 0,
		setGID: st.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP,
		uid:    st.Uid, gid: st.Gid,
	}
	var buf [32]byte
	if n, err := unix.Getxattr(path, "security.capability", buf[:]); err == nil {
		if caps, err := parseFileCaps(buf[:n]); err == nil {
			p.caps = &caps
		}
	}
	return p
}

// nosuid reports whether the file system ignores set-uid bits and file capabilities.
func nosuid(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&stNosuid != 0
}

// ownCredentials returns the users and groups of this process, which starts the program.
func ownCredentials() credentials {
	return credentials{
		uid: uint32(unix.Getuid()), euid: uint32(unix.Geteuid()), gid: uint32(unix.Getgid()), egid: uint32(unix.Getegid()),
	}
}

// addCapabilities reads the other credentials, which matter only for set-uid files, set-gid files and file
// capabilities.
func (c *credentials) addCapabilities() {
	on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	c.noNewPrivs = err == nil && on == 1
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&head, &data[0]) == nil {
		c.permitted = uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
		c.inheritable = uint64(data[0].Inheritable) | uint64(data[1].Inheritable)<<32
	}
	for i := range 64 {
		if on, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0); err == nil && on == 1 {
			c.bounding |= 1 << i
		}
	}
}
