// /proc/PID/maps.

package proc

import (
	"bytes"
	"fmt"
	"strings"
)

// Perm is the access column of /proc/PID/maps.
type Perm uint8

// The access of a mapping. The ioctl PROCMAP_QUERY has the same bits.
const (
	PermRead Perm = 1 << iota
	PermWrite
	PermExec
	PermShared
)

// Mapping is one line of /proc/PID/maps: a stretch of address space with one owner and one access.
type Mapping struct {
	Start, End uint64 // bytes; End is exclusive
	Perm       Perm
	Offset     uint64 // in the file, bytes
	Inode      uint64
	Name       string // a path, "[heap]", "[anon:NAME]"; "" is memory without a name
}

func (m Mapping) Size() uint64 { return m.End - m.Start }

// Anonymous reports private memory without a file. A name that a program gave by prctl(PR_SET_VMA_ANON_NAME)
// leaves it anonymous, and so do private huge pages, which the kernel backs with a file of its own.
func (m Mapping) Anonymous() bool {
	return m.Perm&PermShared == 0 && (m.Name == "" && m.Inode == 0 || strings.HasPrefix(m.Name, "[anon:") || m.HugePages())
}

// HugePages reports memory that was mapped with MAP_HUGETLB | MAP_ANONYMOUS (Linux: mm/hugetlb.c).
func (m Mapping) HugePages() bool { return m.Name == "/anon_hugepage (deleted)" }

// Writable reports memory that can be read and written. Its exec bit is ignored, since a program with the personality
// READ_IMPLIES_EXEC has it everywhere.
func (m Mapping) Writable() bool { return m.Perm&(PermRead|PermWrite) == PermRead|PermWrite }

// Reserved reports memory without access.
func (m Mapping) Reserved() bool { return m.Perm&(PermRead|PermWrite|PermExec) == 0 }

// File reports a mapping that has a path, be it deleted or in no file system.
func (m Mapping) File() bool { return strings.HasPrefix(m.Name, "/") && !m.HugePages() }

// Vsyscall reports the one line of maps that is no part of the process: a page of the kernel that every process
// sees at the same place, not counted in VmSize (Linux: arch/x86/entry/vsyscall).
func (m Mapping) Vsyscall() bool { return m.Name == "[vsyscall]" }

// ParseMaps reads the text of /proc/PID/maps, appending to l. Each line (proc_pid_maps(5)):
//
//	7f3c00000000-7f3c00021000 rw-p 00000000 fe:01 123456      /usr/lib/libc.so.6
//
// start and end (hexadecimal, exclusive end), access (r, w, x or -, then p private or s shared), offset in the
// file, device, inode (decimal), blanks, then the name up to the end of the line. The name may hold blanks,
// every byte but a newline, which the kernel writes as \012, and " (deleted)" at its end.
//
// The kernel hands out a page of text at a time. A mapping that grew in between shows up again as one that
// overlaps the last: it is cut, and the caller finds out by comparing the sum with VmSize.
func ParseMaps(l []Mapping, text []byte) ([]Mapping, error) {
	var lastName string
	for n := 1; len(text) > 0; n++ {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		m, name, ok := parseMapping(line)
		if !ok {
			return l, fmt.Errorf("maps:%d: %q is no mapping", n, line)
		}
		if string(name) != lastName { // the lines of one file follow each other: one string for them all
			lastName = string(name)
		}
		m.Name = lastName
		if len(l) > 0 {
			m.Start = max(m.Start, l[len(l)-1].End)
		}
		if m.Start < m.End {
			l = append(l, m)
		}
	}
	return l, nil
}

// parseMapping reads one line without its newline. The name still lies in the line's memory.
func parseMapping(line []byte) (m Mapping, name []byte, ok bool) {
	s := scanner{line, true}
	m.Start = s.number(16, '-')
	m.End = s.number(16, ' ')
	m.Perm = s.perm()
	m.Offset = s.number(16, ' ')
	s.number(16, ':') // device
	s.number(16, ' ')
	m.Inode = s.number(10, ' ')
	return m, bytes.TrimLeft(s.rest, " "), s.ok && m.Start < m.End
}

// scanner takes fields off the front of a line; ok stays false after the first that does not fit.
type scanner struct {
	rest []byte
	ok   bool
}

// number takes digits and the byte that ends them. The end of the line ends them too: old kernels write no
// blank behind the inode of a mapping without a name.
func (s *scanner) number(base uint64, end byte) (n uint64) {
	for i, c := range s.rest {
		digit := uint64(c - '0')
		if c >= 'a' && c <= 'f' {
			digit = uint64(c-'a') + 10
		}
		if c == end {
			s.ok = s.ok && i > 0
			s.rest = s.rest[i+1:]
			return n
		}
		if digit >= base || n > (1<<64-1-digit)/base {
			break
		}
		n = n*base + digit
		if i == len(s.rest)-1 && base == 10 {
			s.rest = nil
			return n
		}
	}
	s.ok = false
	return 0
}

func (s *scanner) perm() (p Perm) {
	if len(s.rest) < 5 || s.rest[4] != ' ' {
		s.ok = false
		return 0
	}
	for i, want := range []byte("rwxs") {
		switch s.rest[i] {
		case want:
			p |= 1 << i
		case '-', 'p':
		default:
			s.ok = false
		}
	}
	s.rest = s.rest[5:]
	return p
}
