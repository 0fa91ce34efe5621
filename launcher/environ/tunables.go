package environ

import (
	"slices"
	"strings"
)

// This file changes GLIBC_TUNABLES. Its value is a list of NAME=VALUE items separated by colons (glibc: elf/dl-tunables.c,
// parse_tunables_string). glibc up to 2.38 uses all items that it can read. 2.39 and later ignore the whole list if an item
// has two "=" or the last item has none; they skip other items without "=", and reject a number with trailing characters.

// tunableChange says which changes to make.
type tunableChange struct {
	arenas bool // remove the arena items: those that set arena_max or arena_test
	huge   bool // set glibc.malloc.hugetlb to 0
}

const hugeOff = hugeTunable + "=0"

// none reports whether a value needs no change.
func (c tunableChange) none(value string) bool {
	off := false
	for item := range strings.SplitSeq(value, ":") {
		switch name, _, ok := strings.Cut(item, "="); {
		case c.about(item), c.huge && strings.Count(item, "=") > 1:
			return false
		case c.huge && ok && name == hugeTunable:
			if off || item != hugeOff {
				return false
			}
			off = true
		}
	}
	return !c.huge || off && strings.Contains(lastItem(value), "=")
}

// about reports whether an item sets arena_max or arena_test and must be removed.
func (c tunableChange) about(item string) bool {
	name, _, ok := strings.Cut(item, "=")
	return c.arenas && ok && (name == maxTunable || name == testTunable)
}

// setsArenas reports whether a value has an item that sets arena_max or arena_test.
func setsArenas(value string) bool { return !tunableChange{arenas: true}.none(value) }

func lastItem(value string) string { return value[strings.LastIndexByte(value, ':')+1:] }

// join makes one value of GLIBC_TUNABLES, which may be "", from the values of all copies of the variable in an
// environment. If c.arenas is true, join removes the arena items, valid or not. If c.huge is true,
// glibc.malloc.hugetlb=0 replaces the items of that name, at the position of the first, or is appended if there is none.
// The other items keep their bytes and their order, because glibc reads the copies in order and a later item wins.
//
// join also drops items that would make glibc 2.39 and later ignore the joined value:
//   - trailing colons, and items without "=" that a removal left at the end; no glibc reads such items;
//   - with several copies, or if c.huge is true: each item with two "=", and a last item without "=" unless hugetlb=0
//     follows it. Unjoined, such an item makes glibc ignore its own copy only. The other items of a malformed copy are
//     kept, because glibc up to 2.38 uses them.
//
// Known limit: if two copies set the same tunable and glibc rejects the later value, glibc 2.40 and later also lose the
// earlier value. Which values glibc rejects differs by tunable.
func (c tunableChange) join(values []string) (joined string, dropped []string) {
	var kept []string
	strict, off := len(values) > 1 || c.huge, false
	for _, value := range values {
		for item := range strings.SplitSeq(value, ":") {
			name, _, ok := strings.Cut(item, "=")
			switch {
			case c.about(item) || strict && strings.Count(item, "=") > 1:
				dropped = append(dropped, item)
			case c.huge && ok && name == hugeTunable:
				if item != hugeOff || off {
					dropped = append(dropped, item)
				}
				if !off {
					kept, off = append(kept, hugeOff), true
				}
			default:
				kept = append(kept, item)
			}
		}
	}
	if c.huge && !off { // with hugeOff as the last item, an item without "=" before it does no harm
		for len(kept) > 0 && kept[len(kept)-1] == "" {
			kept = kept[:len(kept)-1]
		}
		return strings.Join(append(kept, hugeOff), ":"), dropped
	}
	if last := lastItem(values[len(values)-1]); !strict && last != "" && !c.about(last) { // the last item stays as it was, malformed or not
		return strings.Join(kept, ":"), dropped
	}
	for n := len(kept); n > 0 && !strings.Contains(kept[n-1], "="); n-- {
		if kept[n-1] != "" {
			dropped = append(dropped, kept[n-1])
		}
		kept = kept[:n-1]
	}
	return strings.Join(kept, ":"), dropped
}

// Rejoin restores a GLIBC_TUNABLES that was read from /proc/PID/environ. ld.so of glibc 2.26 to 2.38 overwrites the colon
// after each tunable that it knows with a NUL (elf/dl-tunables.c, parse_tunables), so that the next item looks like a
// separate entry. Rejoin appends entries that start with "glibc." and directly follow GLIBC_TUNABLES. The program's own
// environment, which its children inherit, is not affected. If there is nothing to join, Rejoin returns its argument.
//
// Known limit: an item that does not start with "glibc." is not joined. glibc has no such tunable.
func Rejoin(environ []string) []string {
	isPiece := func(i int) bool { return i < len(environ) && strings.HasPrefix(environ[i], "glibc.") }
	var whole []string
	for i := 0; i < len(environ); i++ {
		entry := environ[i]
		if strings.HasPrefix(entry, tunablesName+"=") && isPiece(i+1) {
			if whole == nil {
				whole = slices.Clone(environ[:i])
			}
			for ; isPiece(i + 1); i++ {
				entry += ":" + environ[i+1]
			}
		}
		if whole != nil {
			whole = append(whole, entry)
		}
	}
	if whole == nil {
		return environ
	}
	return whole
}
