package environ

import (
	"slices"
	"strings"
)

// The value of GLIBC_TUNABLES is NAME=VALUE items between colons (glibc: elf/dl-tunables.c,
// parse_tunables_string). glibc up to 2.38 takes what it can read. From 2.39 on, an item with two "=" or a
// last item without any voids the whole value, other items without "=" are skipped, and a value is read
// whole or not at all.

// tunableChange is what becomes of GLIBC_TUNABLES.
type tunableChange struct {
	arenas bool // the items about arenas are taken out
	huge   bool // glibc.malloc.hugetlb becomes 0
}

const hugeOff = hugeTunable + "=0"

// none reports whether a value stays as it is.
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

// about reports whether an item is taken out: it sets one of the tunables of arenas.
func (c tunableChange) about(item string) bool {
	name, _, ok := strings.Cut(item, "=")
	return c.arenas && ok && (name == maxTunable || name == testTunable)
}

// setsArenas reports whether an item sets one of the tunables of arenas.
func setsArenas(value string) bool { return !tunableChange{arenas: true}.none(value) }

func lastItem(value string) string { return value[strings.LastIndexByte(value, ':')+1:] }

// join takes the arena items out of the values of GLIBC_TUNABLES, valid or not, sets huge pages, and joins what is
// left into one value; "" is nothing left. Items keep their bytes and their order: in glibc too each copy
// of the variable is read, and a later item wins. glibc.malloc.hugetlb=0 stands where the first of its items stood, else at
// the end.
//
// What is left out besides, so that a good item does not go void from glibc 2.39 on:
//   - the colons at the end, and items without "=" that came to stand there because others were taken out;
//     no glibc reads such items;
//   - with several copies, of which a malformed one is void by itself, and where huge pages are set, the items that
//     would void the whole: those with two "=" and a last one without any. The rest of a malformed copy stays: up to 2.38
//     it counts, and leaving it out would lose settings there.
//
// A known limit: where two copies set the same tunable and the later value is one that glibc refuses, then
// from 2.40 on the earlier value no longer counts. Which values it refuses differs by tunable.
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
	if c.huge && !off { // in front of it an item without "=" voids nothing
		for len(kept) > 0 && kept[len(kept)-1] == "" {
			kept = kept[:len(kept)-1]
		}
		return strings.Join(append(kept, hugeOff), ":"), dropped
	}
	if last := lastItem(values[len(values)-1]); !strict && last != "" && !c.about(last) { // as it is, even where it is malformed
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

// Rejoin undoes what ld.so of glibc 2.26 to 2.38 does to the environment that /proc/PID/environ shows: it
// overwrites the colon after each tunable that it knows with a NUL (elf/dl-tunables.c, parse_tunables), so
// that the items behind it look like entries of their own. An entry that starts with "glibc." right behind
// GLIBC_TUNABLES or another such entry is taken as one. The program's own environment, and so what its
// children inherit, is whole. Where nothing is to be joined, the list that was given comes back.
//
// A known limit: an item of another namespace than "glibc." behind a cut stays an entry of its own. No
// such tunable exists.
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
