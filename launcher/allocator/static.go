package allocator

// This file determines the version of a glibc that is statically linked into a program.

import (
	"bytes"
	"strconv"
)

// StaticGlibc determines the version of a statically linked glibc from the program's constants, its read-only data. The
// zero value is ready for use.
type StaticGlibc struct {
	said  map[string]bool // version strings that were found
	least int             // minor version: glibc is 2.N or later, where N is this number
}

// tunableSince lists the releases that changed how glibc reads settings, each with a tunable that it introduced
// (elf/dl-tunables.list). A static program contains the names of all tunables of its glibc.
var tunableSince = [...]struct {
	name  string
	minor int
}{
	{"glibc.malloc.arena_max", 26}, {"glibc.mem.decorate_maps", 39}, {"glibc.rtld.enable_secure", 40}, {"glibc.elf.thp", 44},
}

// Overlap is the number of bytes by which consecutive parts passed to Add must overlap.
const Overlap = 64

// Add searches a part of the program's constants for the names of tunables and for version strings. Every program with
// threads contains nptl_version, a separate string such as "2.36", which libthread_db reads (nptl/pthread_create.c).
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

// AtLeast adds the fact that the version is 2.N or later, where N is the argument "minor".
func (g *StaticGlibc) AtLeast(minor int) { g.least = max(g.least, minor) }

// Version returns the only version string that the tunables allow, or "" if there are none or several. The second result is
// the earliest possible version, or "".
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

// next is the minor version of the first release in tunableSince after 2.least: the program lacks the tunable of that
// release. It is 0 if there is no such release.
func (g *StaticGlibc) next() int {
	for _, t := range tunableSince {
		if t.minor > g.least {
			return t.minor
		}
	}
	return 0
}
