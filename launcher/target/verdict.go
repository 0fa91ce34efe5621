package target

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/launcher/allocator"
)

// facts is what the verdict follows from, beside what stands in the Target itself.
type facts struct {
	thorough bool // Examine: what was looked for and is not here is not there
	cap      int  // that its environment asks for; 0 is none

	unread    string   // why the program could not be read, a sentence
	lost      string   // why the cap does not arrive, a sentence
	doubt     string   // why it is not known whether it arrives, a sentence
	instead   string   // what to write for one of these
	sourced   []string // files that a script reads in and that were not followed
	secure    string   // "is set-uid", …; "" is not secure
	rootCaps  bool     // has file capabilities, which do not count because root starts it
	replaces  string   // the file whose malloc comes before glibc's
	preloaded bool     // and it is there by LD_PRELOAD or ld.so.preload
	libc      string   // path of libc.so.6
	hidden    []string // allocators that are linked in under names of their own
	mallopt   string   // the file that calls mallopt
	missing   []string // sentences
	damaged   []string // sentences
	enable    bool     // glibc.rtld.enable_secure=1 is set; in a static program, and it knows that
	locked    string   // an entry of /etc/tunables.conf that may not be overridden, a sentence

	staticMalloc  bool // glibc's malloc is in a static program
	staticTunable bool // and it takes MALLOC_ARENA_MAX as every glibc since 2.27 does
	staticOther   bool // glibc's malloc is surely not in it
}

// conclude fills in CanCap, Why, Notes and Hints. Pure.
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

// cannot lists why a cap can have no effect.
func (t *Target) cannot(f facts) {
	program := t.Program()
	if f.lost != "" {
		t.why("%s", f.lost)
		t.hint(f.instead)
	}
	switch {
	case t.Go && !t.Cgo:
		t.why("%q is a Go program without glibc in it, and Go does not use malloc", program)
		t.hint("for Go, set GOMEMLIMIT to bound its memory")
	case t.Libc == "musl":
		t.why("%q uses musl, which has no arenas", program)
	case t.Libc == "none":
		t.why("%q needs no C library, so it does not use glibc's malloc", program)
	case f.staticOther && f.replaces == "":
		t.why("%q is static, and glibc's malloc is not in it", program)
	case f.replaces != "" && t.Allocator != "":
		t.why("%s, and %s does not read MALLOC_ARENA_MAX", f.replacement(program), t.Allocator)
		t.hint(allocator.Instead(t.Allocator, f.cap))
	}
	if f.secure != "" && t.Libc != "musl" && t.Libc != "none" {
		t.why("%q %s, so the kernel starts it in secure mode (AT_SECURE), in which glibc ignores MALLOC_ARENA_MAX", program, f.secure)
		if f.secure == "has file capabilities" {
			t.hint("give it ambient capabilities instead (systemd: AmbientCapabilities=, setpriv --ambient-caps): they are no secure mode")
		}
	}
	t.cannotByVersion(f)
}

// replacement words how another malloc came in.
func (f facts) replacement(program string) string {
	base := f.replaces[strings.LastIndexByte(f.replaces, '/')+1:]
	switch {
	case f.replaces == program:
		return fmt.Sprintf("%q has another malloc linked into it", program)
	case f.preloaded:
		return fmt.Sprintf("%s is preloaded into %q", base, program)
	}
	return fmt.Sprintf("%q links %s", program, base)
}

// cannotByVersion is what depends on glibc's version (elf/dl-tunables.c of 2.40 and 2.44). A static program's version
// may not be known, but whether it has the tunable is.
func (t *Target) cannotByVersion(f facts) {
	switch ignored, why := t.Glibc().Ignores(); {
	case ignored:
		t.why("glibc %s (%q) %s", t.LibcVersion, f.libc, why)
	case f.enable && (t.Static || t.since(40)):
		t.why("GLIBC_TUNABLES has glibc.rtld.enable_secure=1, with which %q ignores MALLOC_ARENA_MAX (glibc 2.40 and later)", t.Program())
		t.hint("take glibc.rtld.enable_secure out of GLIBC_TUNABLES")
	case f.locked != "" && t.since(44):
		t.why("%s", f.locked)
		t.hint("set the cap in /etc/tunables.conf and run ldconfig")
	}
}

// doubt lists why it is not known whether a cap works.
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
		t.why("malloc comes from %q, not from glibc; whether it reads MALLOC_ARENA_MAX is not known", f.replaces)
	}
	for _, name := range f.hidden {
		t.why("%q has %s linked into it under names of its own; what it allocates there is not capped", program, name)
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
		t.why("%q is static, and whether glibc's malloc is in it cannot be seen", program)
	case !f.staticTunable:
		t.why("%q is static and has glibc's malloc in it, of a version that may not obey MALLOC_ARENA_MAX", program)
	}
}

// confirm says what a yes stands on.
func (t *Target) confirm(f facts) {
	if t.Static {
		t.why("%q is static and has glibc's malloc in it", t.Program())
		return
	}
	t.why("%q uses the malloc of %q (glibc %s)", t.Program(), f.libc, t.LibcVersion)
}

// addNotes says what else matters, whatever the verdict.
func (t *Target) addNotes(f facts) {
	if f.mallopt != "" && t.CanCap != No {
		t.note("%q calls mallopt, and may set a limit of its own over the cap", f.mallopt)
	}
	if t.Go && t.Cgo {
		t.note("Go's own heap is not arenas: the cap counts for what its C code allocates")
	}
	if f.rootCaps {
		t.note("%q has file capabilities: started by another user than root it runs in secure mode, where a cap cannot work", t.Program())
	}
	if t.Glibc().Racy() && t.CanCap == Yes {
		t.note("glibc %s may have been built without a limit on arenas (--enable-experimental-malloc)", t.LibcVersion)
	}
	if t.CanCap == No {
		t.Notes = append(t.Notes, f.missing...)
	}
	if i := slices.IndexFunc(t.Chain, func(l Link) bool { return l.Stays }); i >= 0 {
		t.note("%s stays in front of the server: a budget with scope = \"process\" measures it alone, \"tree\" the server too", t.Chain[i].Name)
	}
	if len(t.Interpreters) > 0 {
		t.noteScript(f)
	}
}

// noteScript says what is certain of the programs that a script starts.
func (t *Target) noteScript(f facts) {
	inherit := "what the script starts inherits the cap"
	switch {
	case t.Arrives != Yes:
		inherit = "what the script starts inherits what it sets"
	case len(f.sourced) > 0:
		inherit += fmt.Sprintf(", unless %s, which it reads in and which was not followed here, sets another", f.sourced[0])
	}
	t.note("%q is a script: %s is judged, and %s", t.Server, t.Program(), inherit)
}
