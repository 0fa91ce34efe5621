// This file parses /proc/PID/smaps.

package vma

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// Smap is one mapping of /proc/PID/smaps. Its Name is not filled in.
type Smap struct {
	Mapping
	Resident uint64 // bytes, including MAP_HUGETLB pages, which Rss does not include
	Huge     uint64 // the part of Resident in huge pages of any kind, in bytes

	copied      uint64 // bytes in private copies of the file's pages
	copiedKnown bool
}

// Clean reports a mapping whose pages all equal its file: private, not writable, without copied pages.
func (s Smap) Clean() bool {
	return s.Inode != 0 && s.Perm&(Read|Write|Shared) == Read && s.copiedKnown && s.copied == 0
}

// ParseSmaps parses /proc/PID/smaps as a stream, because the file of a large process has tens of megabytes. A mapping is a
// line as in maps, followed by lines with a name and a size (proc_pid_smaps(5)), of which these are used:
//
//	7f3c00000000-7f3c00021000 rw-p 00000000 00:00 0
//	Rss:                  12 kB
//	Anonymous:             8 kB
//	AnonHugePages:         0 kB
//	ShmemPmdMapped:        0 kB
//	FilePmdMapped:         0 kB
//	Shared_Hugetlb:        0 kB
//	Private_Hugetlb:    2048 kB
func ParseSmaps(r io.Reader, each func(Smap)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var s Smap
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if len(line) == 0 && err == io.EOF {
			break
		}
		if err != nil && err != io.EOF {
			return err
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if beginsMapping(line) {
			if s.End != 0 {
				each(s)
			}
			m, _, ok := parseMapping(line)
			if !ok {
				return fmt.Errorf("smaps:%d: %q is not a mapping", n, line)
			}
			s = Smap{Mapping: m}
		} else if !s.add(line) {
			return fmt.Errorf("smaps:%d: %q is not a size", n, line)
		}
	}
	if s.End != 0 {
		each(s)
	}
	return nil
}

// beginsMapping reports whether a line begins with an address, whose hexadecimal digits are in lower case. The other lines
// begin with the name of a field, and so with a capital letter.
func beginsMapping(line []byte) bool {
	return len(line) > 0 && (line[0] >= '0' && line[0] <= '9' || line[0] >= 'a' && line[0] <= 'f')
}

// add adds a line with a name and a size; ok is false if the size of a field that is used is malformed.
func (s *Smap) add(line []byte) (ok bool) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	size, isSize := Kibibytes(bytes.TrimLeft(value, " "))
	switch string(name) {
	case "Rss":
		s.Resident += size
	case "Shared_Hugetlb", "Private_Hugetlb":
		s.Resident += size
		s.Huge += size
	case "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped":
		s.Huge += size
	case "Anonymous":
		s.copied, s.copiedKnown = size, isSize
	default:
		return true
	}
	return isSize
}

// Kibibytes parses "12 kB" into bytes. It refuses 1 EiB and more, so that sums of a few sizes do not overflow.
func Kibibytes(text []byte) (size uint64, ok bool) {
	s := scanner{text, true}
	n := s.number(10, ' ')
	return n << 10, s.ok && string(s.rest) == "kB" && n < 1<<50
}
