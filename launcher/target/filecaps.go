package target

// This file parses file capabilities and applies the rules by which the kernel starts a program in secure mode.

import (
	"encoding/binary"
	"errors"
)

// fileCaps is the xattr security.capability (man 7 capabilities, "File capabilities").
type fileCaps struct {
	effective              bool // the gained capabilities are also effective
	permitted, inheritable uint64
	rootUID                uint32 // root of the user namespace in which they count; 0: this namespace
}

var errBadCaps = errors.New("malformed file capabilities")

// parseFileCaps reads struct vfs_cap_data of <linux/capability.h>, u32 little-endian throughout:
//
//	magic: revision << 24 | 1 if effective; permitted, inheritable (bits 0 to 31)
//	revision 2 and later: permitted, inheritable (bits 32 to 63); revision 3: the UID of a namespace's root
func parseFileCaps(b []byte) (fileCaps, error) {
	if len(b) < 4 {
		return fileCaps{}, errBadCaps
	}
	u32 := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	revision := u32(0) >> 24
	if revision < 1 || revision > 3 || len(b) != []int{12, 20, 24}[revision-1] {
		return fileCaps{}, errBadCaps
	}
	c := fileCaps{effective: u32(0)&1 != 0, permitted: u32(1), inheritable: u32(2)}
	if revision >= 2 {
		c.permitted |= u32(3) << 32
		c.inheritable |= u32(4) << 32
	}
	if revision == 3 {
		c.rootUID = uint32(u32(5))
	}
	return c, nil
}

// credentials are the properties of this process from which, together with the privileges of the program's file, the kernel
// decides whether it starts the program in secure mode.
type credentials struct {
	uid, euid, gid, egid uint32
	noNewPrivs           bool
	permitted            uint64 // capability sets of this process
	inheritable          uint64
	bounding             uint64
}

// privileges are the properties of the program's file.
type privileges struct {
	setUID, setGID bool
	uid, gid       uint32 // the owner
	caps           *fileCaps
	nosuid         bool // the file system of the program is mounted nosuid
}

// secure returns the reason why the kernel sets AT_SECURE for the program, or "" if it does not (Linux:
// security/commoncap.c, cap_bprm_creds_from_file; fs/exec.c, bprm_fill_uid). Transitions of SELinux and other security
// modules are not seen.
func (p privileges) secure(c credentials) string {
	euid, egid := c.euid, c.egid
	if !p.nosuid && !c.noNewPrivs {
		if p.setUID {
			euid = p.uid
		}
		if p.setGID {
			egid = p.gid
		}
	}
	switch {
	case euid != c.uid && euid != c.euid:
		return "is set-uid"
	case egid != c.gid && egid != c.egid:
		return "is set-gid"
	case euid != c.uid || egid != c.gid:
		return "starts with an effective user or group other than the real one"
	case c.uid != 0 && p.gainsCaps(c):
		return "has file capabilities"
	}
	return ""
}

// gainsCaps reports whether file capabilities of this user namespace add capabilities. The caller excludes root:
// file capabilities do not make the kernel start a program of root in secure mode.
func (p privileges) gainsCaps(c credentials) bool {
	if p.caps == nil || p.nosuid || p.caps.rootUID != 0 {
		return false
	}
	gained := p.caps.permitted&c.bounding | p.caps.inheritable&c.inheritable
	if c.noNewPrivs {
		gained &= c.permitted
	}
	return p.caps.effective || gained != 0
}
