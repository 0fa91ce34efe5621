// This file finds mappings by their address in a snapshot of all mappings of a process.

package arena

import (
	"slices"
	"sort"

	"arenacap/launcher/proc/vma"
)

type (
	mapping = vma.Mapping
	perm    = vma.Perm
)

// layout is the mappings of a process, ordered by address and without overlaps.
type layout []mapping

// virtual is VmSize: the sum of the mappings without [vsyscall], in bytes.
func (l layout) virtual() (sum uint64) {
	for _, m := range l {
		if !m.Vsyscall() {
			sum += m.Size()
		}
	}
	return sum
}

// at is the index of the mapping that holds addr, or false and the index of the next mapping.
func (l layout) at(addr uint64) (int, bool) {
	i := sort.Search(len(l), func(i int) bool { return l[i].End > addr })
	return i, i < len(l) && l[i].Start <= addr
}

func (l layout) next(addr uint64, perms perm, _ bool) (mapping, bool) {
	i, _ := l.at(addr)
	for ; i < len(l); i++ {
		if l[i].Perm&perms == perms && !l[i].Vsyscall() {
			return l[i], true
		}
	}
	return mapping{}, false
}

// covers reports whether mappings cover all of [start, end) and the function "fits" returns true for each of these mappings.
func (l layout) covers(start, end uint64, fits func(mapping) bool) bool {
	for i, ok := l.at(start); start < end; i++ {
		if !ok || i == len(l) || l[i].Start > start || !fits(l[i]) {
			return false
		}
		start = l[i].End
	}
	return true
}

// runEnd returns the end of a run of adjacent mappings. The run begins at index i; the function "fits" returns true for each of
// its mappings.
func (l layout) runEnd(i int, fits func(mapping) bool) uint64 {
	end := l[i].Start
	for ; i < len(l) && l[i].Start == end && fits(l[i]); i++ {
		end = l[i].End
	}
	return end
}

// word is the size of a pointer of the process in bytes: 8 if the highest mapping ends above 4 GiB, as the stack of every
// 64-bit program does.
func (l layout) word() uint64 {
	for _, m := range slices.Backward(l) {
		if !m.Vsyscall() {
			if m.End <= 1<<32 {
				return 4
			}
			return 8
		}
	}
	return 8
}
