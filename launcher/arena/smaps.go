package arena

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// parseSmaps reads /proc/PID/smaps and gives each mapping with its resident bytes. A mapping is a line as in
// maps, then lines of a name and a number (proc_pid_smaps(5)), of which these count:
//
//	7f3c00000000-7f3c00021000 rw-p 00000000 00:00 0
//	Rss:                  12 kB
//	Shared_Hugetlb:        0 kB
//	Private_Hugetlb:    2048 kB
//
// Huge pages stand beside Rss, not in it.
func parseSmaps(r io.Reader, each func(start, end, resident uint64)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var m mapping
	var resident uint64
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if len(line) == 0 && err == io.EOF {
			break
		}
		if err != nil && err != io.EOF {
			return err
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(line) > 0 && (line[0] >= '0' && line[0] <= '9' || line[0] >= 'a' && line[0] <= 'f'):
			if m.end != 0 {
				each(m.start, m.end, resident)
			}
			var ok bool
			if m, _, ok = parseMapping(line); !ok {
				return fmt.Errorf("smaps:%d: %q is no mapping", n, line)
			}
			resident = 0
		case string(name) == "Rss" || string(name) == "Shared_Hugetlb" || string(name) == "Private_Hugetlb":
			kib, ok := parseKiB(value)
			if !ok {
				return fmt.Errorf("smaps:%d: %q is no amount", n, line)
			}
			resident += kib << 10
		}
	}
	if m.end != 0 {
		each(m.start, m.end, resident)
	}
	return nil
}

// parseKiB reads "      12 kB".
func parseKiB(b []byte) (uint64, bool) {
	s := scanner{bytes.TrimLeft(b, " "), true}
	n := s.number(10, ' ')
	return n, s.ok && string(s.rest) == "kB" && n < 1<<50
}
