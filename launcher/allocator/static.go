package allocator

import (
	"bytes"
	"strconv"
)

// StaticGlibc finds out which glibc is linked into a program, from what stands in the program's constants. The zero
// value has seen nothing.
type StaticGlibc struct {
	said  map[string]bool // versions that may be its own
	least int             // it is 2.least at the least
}

// tunableSince are tunables by the release that brought them (elf/dl-tunables.list), where one changed how settings
// are read. A static program has the names of all of its glibc's.
var tunableSince = [...]struct {
	name  string
	minor int
}{
	{"glibc.malloc.arena_max", 26}, {"glibc.mem.decorate_maps", 39}, {"glibc.rtld.enable_secure", 40}, {"glibc.elf.thp", 44},
}

// Overlap is how many bytes the pieces given to Add have in common.
const Overlap = 64

// Add looks at a piece of the constants. In each program with threads stands nptl_version, from which libthread_db
// tells the release: "2.36", a text of its own (nptl/pthread_create.c).
func (g *StaticGlibc) Add(b []byte) {
	for _, t := range tunableSince {
		if bytes.Contains(b, []byte(t.name)) {
			g.AtLeast(t.minor)
		}
	}
	for {
		_, after, ok := bytes.Cut(b, []byte("\x002."))
		if !ok {
			return
		}
		b = after
		text, _, ok := bytes.Cut(after[:min(len(after), len("36.9000")+1)], []byte{0})
		if ok && len(bytes.TrimLeft(bytes.TrimSuffix(text, []byte(".9000")), "0123456789")) == 0 && len(text) >= 2 {
			if g.said == nil {
				g.said = map[string]bool{}
			}
			g.said["2."+string(text)] = true
		}
	}
}

// AtLeast adds that it is 2.minor or later.
func (g *StaticGlibc) AtLeast(minor int) { g.least = max(g.least, minor) }

// Version is the release, where there is one text that can be it, or "". least is the earliest release that it can
// be, or "".
func (g *StaticGlibc) Version() (version, least string) {
	n := 0
	for v := range g.said {
		minor, _ := strconv.Atoi(v[2:4])
		if minor >= g.least && (minor < g.next() || g.next() == 0) {
			version, n = v, n+1
		}
	}
	if g.least != 0 {
		least = "2." + strconv.Itoa(g.least)
	}
	if n != 1 {
		return "", least
	}
	return version, version
}

// next is the release that brought the first of the tunables that are not there; 0 is none.
func (g *StaticGlibc) next() int {
	for _, t := range tunableSince {
		if t.minor > g.least {
			return t.minor
		}
	}
	return 0
}
