package watch

import (
	"bytes"
	"strconv"
)

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
