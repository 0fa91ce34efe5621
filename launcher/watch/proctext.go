package watch

import (
	"bytes"
	"fmt"
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
