package target

// This file derives the verdict and its sentences from the facts.

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/launcher/allocator"
)

// facts is the input of the verdict, in addition to the fields of the Target.
type facts struct {
	thorough bool // the facts come from Examine: an unset field below means that the fact does not hold; after Quick the fact may be unknown
	cap      int  // the cap that the environment sets; 0 if none

	unread    string   // why the program could not be read, a sentence
	lost      string   // why the cap does not reach the server, a sentence
	doubt     string   // why the cap may not reach the server, a sentence
	instead   string   // what to do instead: a hint for the sentence in the field "lost" or "doubt"
	sourced   []string // files that a script sources and that were not read
	tool      string   // the tool of valgrind that runs the program
	secure    string   // why the program runs in secure mode: "is set-uid", …; "" if it does not
	rootCaps  bool     // the program has file capabilities, which do not cause secure mode because root starts it
	replaces  string   // the file whose malloc precedes glibc's
	preloaded bool     // the file in the field "replaces" comes from LD_PRELOAD or ld.so.preload
	libc      string   // path of libc.so.6
	hidden    []string // allocators that are linked in with other symbol names
	mallopt   string   // the file that calls mallopt
	missing   []string // sentences about libraries that were not found
	damaged   []string // sentences about unreadable symbols
	enable    bool     // glibc.rtld.enable_secure=1 is set and, if the program is static, its glibc has this tunable
	locked    string   // a sentence about an entry of /etc/tunables.conf that the environment cannot override

	staticMalloc  bool // the program is static and contains glibc's malloc
	staticTunable bool // the program is static and its glibc is 2.31 or later, which obeys MALLOC_ARENA_MAX (see examineStatic)
	staticOther   bool // the program is static and does not contain glibc's malloc
}

// conclude sets CanCap, Why, Notes and Hints. It reads nothing but t and f.
func (t *Target) conclude(f facts) {
	if t.cannot(f); len(t.Why) > 0 {
		t.CanCap = No
	} else if t.doubt(f); len(t.Why) > 0 || !f.thorough {
		t.CanCap = Unknown
	} else {
		t.CanCap = Yes
		t.confirm(f)
	}
	t.addNotes(f)
}

// toolsWithMalloc lists the tools of valgrind 3.19 that do not replace malloc.
const toolsWithMalloc = " none lackey cachegrind callgrind exp-bbv "

// cannot adds the reasons why a cap has no effect.
func (t *Target) cannot(f facts) {
	program := t.Program()
	if f.lost != "" {
		t.why("%s", f.lost)
		t.hint(f.instead)
	}
	switch {
	case t.Go && !t.Cgo:
		t.why("%q is a Go program without cgo, and Go does not use glibc's malloc", program)
		t.hint("for Go, set GOMEMLIMIT to bound its memory")
	case t.Libc == "musl":
		t.why("%q uses musl, which has no arenas", program)
	case t.Libc == "none":
		t.why("%q needs no C library, so it does not use glibc's malloc", program)
	case f.staticOther && f.replaces == "":
		t.why("%q is static and does not contain glibc's malloc", program)
	case f.replaces != "" && t.Allocator != "":
		t.why("%s, and %s does not read MALLOC_ARENA_MAX", f.replacement(program), t.Allocator)
		t.hint(allocator.Instead(t.Allocator, f.cap))
	case t.Libc == "glibc" && !t.Static && f.tool != "" && !strings.Contains(toolsWithMalloc, " "+f.tool+" "):
		t.why("valgrind's %s replaces the malloc of %q", f.tool, program)
		t.hint("these tools of valgrind keep glibc's malloc:" + toolsWithMalloc[:len(toolsWithMalloc)-1])
	}
	if f.secure != "" && t.Libc != "musl" && t.Libc != "none" {
		t.why("%q %s, so the kernel starts it in secure mode (AT_SECURE), in which glibc ignores MALLOC_ARENA_MAX", program, f.secure)
		if f.secure == "has file capabilities" {
			t.hint("give the program ambient capabilities instead (systemd: AmbientCapabilities=, setpriv --ambient-caps), which do not cause secure mode")
		}
	}
	t.cannotByVersion(f)
}

// replacement describes how another malloc replaces glibc's.
func (f facts) replacement(program string) string {
	base := f.replaces[strings.LastIndexByte(f.replaces, '/')+1:]
	switch {
	case f.replaces == program:
		return fmt.Sprintf("%q contains another malloc", program)
	case f.preloaded:
		return fmt.Sprintf("%s is preloaded into %q", base, program)
	}
	return fmt.Sprintf("%q links %s", program, base)
}

// cannotByVersion adds the reasons why this version of glibc ignores a cap (elf/dl-tunables.c of 2.40 and 2.44). The
// version of a static program may be unknown, but f.enable is set only if its glibc has the tunable enable_secure.
func (t *Target) cannotByVersion(f facts) {
	switch ignored, why := t.Glibc().Ignores(); {
	case ignored:
		t.why("glibc %s (%q) %s", t.LibcVersion, f.libc, why)
	case f.enable && (t.Static || t.since(40)):
		t.why("GLIBC_TUNABLES has glibc.rtld.enable_secure=1, with which %q ignores MALLOC_ARENA_MAX (glibc 2.40 and later)", t.Program())
		t.hint("remove glibc.rtld.enable_secure from GLIBC_TUNABLES")
	case f.locked != "" && t.since(44):
		t.why("%s", f.locked)
		t.hint("set the cap in /etc/tunables.conf and run ldconfig")
	}
}

// doubt adds the reasons why a cap may not work.
func (t *Target) doubt(f facts) {
	program := t.Program()
	if f.doubt != "" {
		t.why("%s", f.doubt)
		t.hint(f.instead)
	}
	if f.unread != "" {
		t.why("%s", f.unread)
		return
	}
	t.Why = append(t.Why, f.missing...)
	t.Why = append(t.Why, f.damaged...)
	if f.replaces != "" {
		t.why("malloc comes from %q, not from glibc, and may not read MALLOC_ARENA_MAX", f.replaces)
	}
	for _, name := range f.hidden {
		t.why("%q contains %s under other symbol names; the cap does not apply to memory from that allocator", program, name)
		t.hint(allocator.Instead(name, f.cap))
	}
	switch _, unpatched := t.Glibc().Ignores(); {
	case t.Static && f.thorough:
		t.doubtStatic(f)
	case unpatched != "":
		t.why("glibc %s (%q) %s", t.LibcVersion, f.libc, unpatched)
	case f.thorough && t.Libc == "glibc" && t.LibcVersion == "":
		t.why("the version of the C library of %q was not found", program)
	case f.thorough && t.Libc == "":
		t.why("the C library of %q was not recognized", program)
	}
}

func (t *Target) doubtStatic(f facts) {
	switch program := t.Program(); {
	case !f.staticMalloc:
		t.why("%q is static, and arenacap cannot see whether it contains glibc's malloc", program)
	case !f.staticTunable:
		t.why("%q is static and contains a glibc malloc that may ignore MALLOC_ARENA_MAX", program)
	}
}

// confirm adds the reason for the verdict Yes.
func (t *Target) confirm(f facts) {
	if t.Static {
		t.why("%q is static and contains glibc's malloc", t.Program())
		return
	}
	t.why("%q uses the malloc of %q (glibc %s)", t.Program(), f.libc, t.LibcVersion)
}

// addNotes adds facts that are not reasons for the verdict.
func (t *Target) addNotes(f facts) {
	if f.mallopt != "" && t.CanCap != No {
		t.note("%q calls mallopt, which can override the cap", f.mallopt)
	}
	if t.Go && t.Cgo {
		t.note("the cap limits only what the C code allocates, because Go's heap does not use arenas")
	}
	if f.rootCaps {
		t.note("%q has file capabilities: started by a user other than root, it runs in secure mode, in which a cap cannot work", t.Program())
	}
	if t.Glibc().Racy() && t.CanCap == Yes {
		t.note("glibc %s may have been built without a limit on arenas (--enable-experimental-malloc)", t.LibcVersion)
	}
	if t.CanCap == No {
		t.Notes = append(t.Notes, f.missing...)
	}
	if i := slices.IndexFunc(t.Chain, func(l Link) bool { return l.Stays }); i >= 0 {
		t.note("%[1]s remains as a parent of the server: a budget with scope = \"process\" measures only %[1]s, \"tree\" and \"cgroup\" also the server", t.Chain[i].Name)
	}
	if len(t.Interpreters) > 0 {
		t.noteScript(f)
	}
}

// noteScript adds a note about the programs that a script starts.
func (t *Target) noteScript(f facts) {
	inherit := "programs that it starts inherit the cap"
	switch {
	case t.Arrives != Yes:
		inherit = "programs that it starts inherit the values that it sets"
	case len(f.sourced) > 0:
		inherit += fmt.Sprintf(", unless %s, which it sources and arenacap did not read, sets another", f.sourced[0])
	}
	t.note("%q is a script: the verdict is about %s, and %s", t.Server, t.Program(), inherit)
}
