// This file finds the mounts of control groups in /proc/PID/mountinfo.

package cgroup

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Mount is a mount of a control group hierarchy.
type Mount struct {
	Version int    // version of control groups, 1 or 2
	Options string // options of the hierarchy; in version 1 they include its controllers: "rw,cpu,cpuacct"
	Root    string // path of the group at the mount point, relative to the reader's cgroup namespace
	Point   string
}

// ParseMountinfo finds the mounts of control groups in /proc/PID/mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//	(1)(2)(3)   (4)   (5)      (6)      (7)   (8) (9)   (10)         (11)
//
// (4) root of the mount within its file system, (5) mount point, (7) any number of optional fields, (8) their end,
// (9) type: "cgroup2", or "cgroup" with the controllers of its hierarchy among the options in (11). One space separates
// fields, and the source (10) may be empty. Spaces, tabs, newlines and backslashes in a field are octal escapes such as
// "\040", except in a release_agent in (11) before Linux 4.3 (kernel/cgroup.c).
func ParseMountinfo(text []byte) ([]Mount, error) {
	var mounts []Mount
	for line := range bytes.Lines(text) {
		head, tail, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" - "))
		kind, tail, _ := bytes.Cut(tail, []byte(" "))
		version := 0
		switch string(kind) {
		case "cgroup":
			version = 1
		case "cgroup2":
			version = 2
		}
		if !ok || version == 0 {
			continue
		}
		_, options, _ := bytes.Cut(tail, []byte(" "))
		m := Mount{Version: version, Options: string(options)}
		if m.Root, m.Point, ok = rootAndPoint(string(head)); !ok {
			return nil, fmt.Errorf("line %.120q contains no root and mount point", head)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// rootAndPoint parses the root and the mount point, which are fields (4) and (5) of the line. head is the part of the line
// before the separator (8).
func rootAndPoint(head string) (root, point string, ok bool) {
	rest := head
	for range 3 {
		_, rest, _ = strings.Cut(rest, " ")
	}
	root, rest, _ = strings.Cut(rest, " ")
	point, _, _ = strings.Cut(rest, " ")
	root, ok1 := unescape(root)
	point, ok2 := unescape(point)
	return root, point, ok1 && ok2 && strings.HasPrefix(root, "/") && strings.HasPrefix(point, "/")
}

// unescape replaces each octal escape (a backslash and three digits) by its byte.
func unescape(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !found {
			return b.String(), true
		}
		if len(rest) < 3 {
			return "", false
		}
		c, err := strconv.ParseUint(rest[:3], 8, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		s = rest[3:]
	}
}
