package watch

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stat is what /proc/PID/stat says of a process (proc_pid_stat(5)):
//
//	pid (comm) state ppid pgrp session … starttime …
//
// comm is in parentheses and may hold blanks, parentheses and newlines, so the fields are counted from
// the last closing parenthesis; starttime is field 22, in clock ticks since boot.
type stat struct {
	name  string
	state byte // 'Z' and 'X' have ended
	ppid  int
	start uint64 // clock ticks since boot
}

// ticksPerSecond is the unit of times in /proc: USER_HZ, 100 on every architecture that Go runs on.
const ticksPerSecond = 100

func parseStat(text []byte) (stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("stat %q has no name in parentheses", clip(text))
	}
	fields := strings.Fields(string(text[end+1:]))
	const state, ppid, start = 0, 1, 19 // the first field here is the line's third
	if len(fields) <= start || len(fields[state]) != 1 {
		return stat{}, fmt.Errorf("stat %q has too few fields", clip(text))
	}
	parent, err := strconv.Atoi(fields[ppid])
	if err != nil || parent < 0 {
		return stat{}, fmt.Errorf("stat %q: the parent is no PID", clip(text))
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("stat %q: the start time is no number", clip(text))
	}
	return stat{string(text[open+1 : end]), fields[state][0], parent, ticks}, nil
}

func clip(text []byte) []byte { return text[:min(len(text), 80)] }

// startedAt is a start time on the clock since boot.
func (s stat) startedAt() time.Duration {
	return time.Duration(s.start) * (time.Second / ticksPerSecond)
}

// parseProcs reads cgroup.procs: one PID a line, in no order, perhaps twice. A 0 is a process outside
// this PID namespace (cgroups(7)); it cannot be held and is left out.
func parseProcs(text []byte) (pids []int, err error) {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		pid, err := strconv.ParseUint(line, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("cgroup.procs: %q is no PID", line)
		}
		if pid != 0 {
			pids = append(pids, int(pid))
		}
	}
	return pids, nil
}

// membership is one line of /proc/PID/cgroup (cgroups(7)):
//
//	hierarchy-ID:controller-list:path
//
// Version 2 has ID 0 and no controllers; a named hierarchy of version 1 has "name=systemd".
type membership struct {
	controllers string
	path        string
}

// groupOrder says which hierarchy counts: version 2, then those of version 1 that service managers and
// container engines keep apart.
var groupOrder = [...]string{"", "memory", "name=systemd", "pids"}

// parseCgroup gives the memberships that may count, the best first.
func parseCgroup(text []byte) []membership {
	var found []membership
	for _, wanted := range groupOrder {
		for line := range strings.Lines(string(text)) {
			parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
			if len(parts) == 3 && hasController(parts[0], parts[1], wanted) && strings.HasPrefix(parts[2], "/") {
				found = append(found, membership{wanted, strings.TrimSuffix(parts[2], " (deleted)")})
			}
		}
	}
	return found
}

func hasController(id, list, wanted string) bool {
	if wanted == "" {
		return id == "0" && list == ""
	}
	return slices.Contains(strings.Split(list, ","), wanted)
}

// mount is where a control group hierarchy can be seen, one line of /proc/PID/mountinfo
// (proc_pid_mountinfo(5)):
//
//	ID parent major:minor root mount-point options [optional…] - fstype source super-options
//
// root is the part of the hierarchy that is mounted there. Blanks are written \040.
type mount struct {
	root, point string
	v2          bool
	controllers string // comma-separated super-options of version 1
}

func parseGroupMounts(text []byte) (mounts []mount) {
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || right[0] != "cgroup" && right[0] != "cgroup2" {
			continue
		}
		mounts = append(mounts, mount{unescape(left[3]), unescape(left[4]), right[0] == "cgroup2", right[2]})
	}
	return mounts
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// groupFolder is the folder of a membership below the mounts; ok is false where none shows it. A path with
// ".." is outside the reader's cgroup namespace (cgroup_namespaces(7)).
func groupFolder(m membership, mounts []mount) (folder string, ok bool) {
	for _, at := range mounts {
		if at.v2 != (m.controllers == "") || !at.v2 && !hasController("", at.controllers, m.controllers) {
			continue
		}
		if slices.Contains(strings.Split(m.path, "/"), "..") {
			continue
		}
		below, inside := strings.CutPrefix(m.path, strings.TrimSuffix(at.root, "/"))
		if inside && (below == "" || below[0] == '/') {
			return strings.TrimSuffix(at.point+below, "/"), true
		}
	}
	return "", false
}

// mapping is a range of addresses.
type mapping struct{ from, to uint64 }

// cleanMappings finds in /proc/PID/smaps those mappings of which every page is as it stands in its file: of a file,
// private, never writable, and with no page that was copied. A mapping is a line as in maps and lines with a name
// and a size (proc_pid_smaps(5)):
//
//	from-to permissions offset device inode path
//	Anonymous:             0 kB
//
// Addresses are hexadecimal.
func cleanMappings(smaps []byte) (clean []mapping) {
	var m mapping
	candidate := false
	for line := range bytes.Lines(smaps) {
		fields := bytes.Fields(line)
		switch {
		case len(fields) >= 5 && !bytes.HasSuffix(fields[0], []byte(":")):
			from, to, ok := bytes.Cut(fields[0], []byte("-"))
			var err1, err2 error
			m.from, err1 = strconv.ParseUint(string(from), 16, 64)
			m.to, err2 = strconv.ParseUint(string(to), 16, 64)
			perms := string(fields[1])
			candidate = ok && err1 == nil && err2 == nil && m.from < m.to && (perms == "r--p" || perms == "r-xp") && string(fields[4]) != "0"
		case candidate && len(fields) == 3 && string(fields[0]) == "Anonymous:" && string(fields[1]) == "0":
			clean = append(clean, m)
			candidate = false
		}
	}
	return clean
}
