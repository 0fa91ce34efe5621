// Package vma parses the memory mappings of a process, which the kernel calls virtual memory areas: /proc/PID/maps and smaps.
package vma

import (
	"bytes"
	"fmt"
	"strings"
)

// Perm is the access column of /proc/PID/maps.
type Perm uint8

// The access of a mapping. The ioctl PROCMAP_QUERY has the same bits.
const (
	Read Perm = 1 << iota
	Write
	Exec
	Shared
)

// Mapping is one line of /proc/PID/maps.
type Mapping struct {
	Start, End uint64 // bytes; End is exclusive
	Perm       Perm
	Offset     uint64 // offset in the file, bytes
	Inode      uint64
	Name       string // a path, "[heap]", "[anon:NAME]"; "" is unnamed memory
}

func (m Mapping) Size() uint64 { return m.End - m.Start }

// Anonymous reports private memory without a file and without a name of the kernel such as "[heap]". It includes memory
// with a name from prctl(PR_SET_VMA_ANON_NAME), and private huge pages, for which the kernel uses an internal file.
func (m Mapping) Anonymous() bool {
	return m.Perm&Shared == 0 && (m.Name == "" && m.Inode == 0 || strings.HasPrefix(m.Name, "[anon:") || m.HugePages())
}

// HugePages reports memory that was mapped with MAP_HUGETLB | MAP_ANONYMOUS (Linux: HUGETLB_ANON_FILE).
func (m Mapping) HugePages() bool { return m.Name == "/anon_hugepage (deleted)" }

// Writable reports memory that can be read and written. The exec bit is ignored, because with the personality
// READ_IMPLIES_EXEC all readable memory has it.
func (m Mapping) Writable() bool { return m.Perm&(Read|Write) == Read|Write }

// Reserved reports inaccessible memory (PROT_NONE).
func (m Mapping) Reserved() bool { return m.Perm&(Read|Write|Exec) == 0 }

// File reports a mapping with a path, even if the file is deleted or, like a memfd, was never in a folder.
func (m Mapping) File() bool { return strings.HasPrefix(m.Name, "/") && !m.HugePages() }

// Vsyscall reports the vsyscall page: a kernel page at the same address in every process, which VmSize does not include
// (Linux: arch/x86/entry/vsyscall).
func (m Mapping) Vsyscall() bool { return m.Name == "[vsyscall]" }

// ParseMaps parses /proc/PID/maps and appends to l. Each line is (proc_pid_maps(5)):
//
//	7f3c00000000-7f3c00021000 rw-p 00000000 fe:01 123456      /usr/lib/libc.so.6
//
// start and end (hexadecimal, end exclusive), access (r, w, x or -, then p private or s shared), offset in the
// file, device, inode (decimal), spaces, then the name up to the end of the line. The name may contain any byte
// except a newline, which the kernel writes as \012, and may end in " (deleted)".
//
// One read(2) returns at most a page of text. A mapping that grew between two reads appears again and overlaps the
// previous one. The overlap is cut off; the caller can detect the change by comparing the sum with VmSize.
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
			return l, fmt.Errorf("maps:%d: %q is not a mapping", n, line)
		}
		if string(name) != lastName { // consecutive lines of one file share one string
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

// parseMapping parses one line without its newline. The result "name" is a part of the line, not a copy.
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

// scanner consumes the fields of a line; ok stays false after the first malformed field.
type scanner struct {
	rest []byte
	ok   bool
}

// number consumes digits and the byte end. A decimal number may also end at the end of the line, because old kernels write
// no space after the inode of an unnamed mapping.
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
