package arena

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// perm is the access column of /proc/PID/maps.
type perm uint8

const (
	permRead perm = 1 << iota
	permWrite
	permExec
	permShared
)

// mapping is one line of /proc/PID/maps: a stretch of address space with one owner and one access.
type mapping struct {
	start, end uint64 // bytes; end is exclusive
	perm       perm
	offset     uint64 // in the file, bytes
	inode      uint64
	name       string // a path, "[heap]", "[anon:NAME]"; "" is memory without a name
}

func (m mapping) size() uint64 { return m.end - m.start }

// anonymous reports private memory without a file. A name that a program gave by prctl(PR_SET_VMA_ANON_NAME)
// leaves it anonymous, and so do private huge pages, which the kernel backs with a file of its own.
func (m mapping) anonymous() bool {
	return m.perm&permShared == 0 &&
		(m.name == "" && m.inode == 0 || strings.HasPrefix(m.name, "[anon:") || m.name == hugePages)
}

// hugePages is how the kernel names memory that was mapped with MAP_HUGETLB | MAP_ANONYMOUS (mm/hugetlb.c).
const hugePages = "/anon_hugepage (deleted)"

// writable and reserved: what glibc uses and what it keeps for later. The exec bit is ignored, since a
// program with the personality READ_IMPLIES_EXEC has it everywhere.
func (m mapping) writable() bool { return m.perm&(permRead|permWrite) == permRead|permWrite }
func (m mapping) reserved() bool { return m.perm&(permRead|permWrite|permExec) == 0 }

// file reports a mapping that has a path, be it deleted or in no file system.
func (m mapping) file() bool { return strings.HasPrefix(m.name, "/") && m.name != hugePages }

// vsyscall is the one line of maps that is no part of the process: a page of the kernel that every process
// sees at the same place, not counted in VmSize (arch/x86/entry/vsyscall).
const vsyscall = "[vsyscall]"

// layout is the mappings of a process in the order of their addresses, without overlaps.
type layout []mapping

// parseMaps reads the text of /proc/PID/maps, appending to l. Each line (proc_pid_maps(5)):
//
//	7f3c00000000-7f3c00021000 rw-p 00000000 fe:01 123456      /usr/lib/libc.so.6
//
// start and end (hexadecimal, exclusive end), access (r, w, x or -, then p private or s shared), offset in the
// file, device, inode (decimal), blanks, then the name up to the end of the line. The name may hold blanks,
// every byte but a newline, which the kernel writes as \012, and " (deleted)" at its end.
//
// The kernel hands out a page of text at a time. A mapping that grew in between shows up again as one that
// overlaps the last: it is cut, and the caller finds out by comparing the sum with VmSize.
func parseMaps(l layout, text []byte) (layout, error) {
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
		m.name = lastName
		if len(l) > 0 {
			m.start = max(m.start, l[len(l)-1].end)
		}
		if m.start < m.end {
			l = append(l, m)
		}
	}
	return l, nil
}

// parseMapping reads one line without its newline. The name still lies in the line's memory.
func parseMapping(line []byte) (m mapping, name []byte, ok bool) {
	s := scanner{line, true}
	m.start = s.number(16, '-')
	m.end = s.number(16, ' ')
	m.perm = s.perm()
	m.offset = s.number(16, ' ')
	s.number(16, ':') // device
	s.number(16, ' ')
	m.inode = s.number(10, ' ')
	return m, bytes.TrimLeft(s.rest, " "), s.ok && m.start < m.end
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

func (s *scanner) perm() (p perm) {
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

// virtual is VmSize: the sum of the mappings, in bytes.
func (l layout) virtual() (sum uint64) {
	for _, m := range l {
		if m.name != vsyscall {
			sum += m.size()
		}
	}
	return sum
}

// at is the index of the mapping that holds addr.
func (l layout) at(addr uint64) (int, bool) {
	i := sort.Search(len(l), func(i int) bool { return l[i].end > addr })
	return i, i < len(l) && l[i].start <= addr
}

func (l layout) next(addr uint64, has perm, _ bool) (mapping, bool) {
	i, _ := l.at(addr)
	for ; i < len(l); i++ {
		if l[i].perm&has == has && l[i].name != vsyscall {
			return l[i], true
		}
	}
	return mapping{}, false
}

// covers reports whether every byte of [start, end) lies in a mapping that fits.
func (l layout) covers(start, end uint64, fits func(mapping) bool) bool {
	for i, ok := l.at(start); start < end; i++ {
		if !ok || i == len(l) || l[i].start > start || !fits(l[i]) {
			return false
		}
		start = l[i].end
	}
	return true
}

// runEnd is the end of the gapless run of fitting mappings that begins with the one at index i.
func (l layout) runEnd(i int, fits func(mapping) bool) uint64 {
	end := l[i].start
	for ; i < len(l) && l[i].start == end && fits(l[i]); i++ {
		end = l[i].end
	}
	return end
}

// word is the size of a pointer of the process in bytes: no mapping of a 32-bit program reaches over 4 GiB,
// and the stack of every 64-bit one does.
func (l layout) word() uint64 {
	for _, m := range slices.Backward(l) {
		if m.name != vsyscall {
			if m.end <= 1<<32 {
				return 4
			}
			return 8
		}
	}
	return 8
}
