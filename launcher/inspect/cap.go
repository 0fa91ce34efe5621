package inspect

import (
	"fmt"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/policy"
)

// Cap is the answer to "is the cap kept?".
type Cap struct {
	N      int    // the cap; 0 is none
	Source string // "environment", "tunables" or "policy"; "" is none
	Kept   Kept
	Why    string // the reason for the answer, one sentence
}

// Kept is yes, no, or that there is no answer: no cap, or one that cannot apply.
type Kept int8

// The answers.
const (
	NoAnswer Kept = iota
	No
	Yes
)

// MarshalJSON gives true, false or null.
func (k Kept) MarshalJSON() ([]byte, error) {
	return []byte([...]string{"null", "false", "true"}[k]), nil
}

func (c Cap) exceeded() bool { return c.Kept == No }

// facts is what the answer follows from.
type facts struct {
	arenas    int
	libcs     int // main arenas: each copy of a libc has a limit of its own
	libc      string
	allocator string
	version   policy.GlibcVersion

	environ      []string
	environKnown bool
	setting      environ.Setting // what its glibc reads from such an environment
	secure       bool            // AT_SECURE

	wanted *policy.Plan
}

func (f *facts) process(p *arena.Process) {
	f.arenas, f.libc, f.allocator = len(p.Arenas), p.Libc, p.Allocator
	for _, a := range p.Arenas {
		if a.Main {
			f.libcs++
		}
	}
}

// judge compares the arenas that are there with the cap that should hold. Pure.
func (f facts) judge() Cap {
	c := f.cap()
	switch {
	case c.N == 0:
		return c
	case f.libc != "glibc":
		c.Why = "a cap cannot apply: glibc is not mapped, so there are no arenas"
	case f.arenas <= c.N*max(1, f.libcs):
		f.within(&c)
	default:
		c.Kept, c.Why = No, f.exceeds(c)
	}
	return c
}

// cap is the cap that counts: the policy's where one is named, else what the process's own glibc took.
func (f facts) cap() Cap {
	own := f.setting.Max
	switch {
	case f.wanted != nil && f.wanted.ArenaMax != 0:
		return Cap{N: f.wanted.ArenaMax, Source: "policy"}
	case f.wanted != nil:
		return Cap{Why: fmt.Sprintf("no cap: the policy says %q", string(f.wanted.Mode))}
	case !f.environKnown:
		return Cap{Why: "its environment cannot be read, so its cap is not known"}
	case !own.OK:
		return Cap{Why: "no cap is set: " + f.defaultLimit()}
	case own.Unlimited():
		return Cap{Why: fmt.Sprintf("no cap is set: the value in its %s is so large that glibc takes it for no limit", source(own))}
	}
	return Cap{N: int(own.N), Source: own.From}
}

func (f facts) defaultLimit() string {
	if f.setting.Secure {
		return "glibc.rtld.enable_secure=1 makes its glibc ignore MALLOC_ARENA_MAX"
	}
	return "neither MALLOC_ARENA_MAX nor GLIBC_TUNABLES in its environment sets one"
}

// source is where a value stands, as people call it.
func source(v environ.Value) string {
	if v.From == "tunables" {
		return "GLIBC_TUNABLES"
	}
	return "MALLOC_ARENA_MAX"
}

// within fills in the answer where no more arenas are there than allowed: kept only where the cap is what
// keeps them down.
func (f facts) within(c *Cap) {
	own := f.setting.Max
	switch {
	case f.allocator != "glibc":
		c.Why = fmt.Sprintf("a cap cannot apply: its malloc is %s, not glibc's", f.allocator)
	case f.secure:
		c.Why = "not exceeded so far, but nothing keeps it: the process runs in secure mode (AT_SECURE), in which glibc ignores MALLOC_ARENA_MAX"
	case c.Source == "policy" && f.environKnown && !(own.OK && own.N <= uint64(c.N)):
		c.Why = "not exceeded so far, but not in force: " + f.started()
	case c.Source == "policy" && !f.environKnown:
		c.Why = "not exceeded so far; its environment cannot be read"
	default:
		c.Kept, c.Why = Yes, fmt.Sprintf("%s of %d allowed", plural(f.arenas, "arena"), c.N)
	}
}

// started says what the process was started with instead of what the policy wants.
func (f facts) started() string {
	own := f.setting.Max
	if !own.OK {
		return "the process was started without a cap"
	}
	return fmt.Sprintf("the process was started with %s %d", source(own), own.N)
}

// exceeds gives the reason for more arenas than the cap, as far as it can be told from outside.
func (f facts) exceeds(c Cap) string {
	own := f.setting.Max
	switch {
	case f.secure:
		return "the process runs in secure mode (AT_SECURE: set-uid, set-gid or file capabilities), in which glibc ignores MALLOC_ARENA_MAX"
	case c.Source == "policy" && f.environKnown && !(own.OK && own.N <= uint64(c.N)):
		return f.started() + "; start it again under the policy"
	case f.version.Before(16) && f.arenas <= f.floor(c):
		return fmt.Sprintf("glibc %s allows MALLOC_ARENA_TEST + 1 = %d arenas before it looks at the cap; arenacap run sets MALLOC_ARENA_TEST too", f.version, f.floor(c))
	case f.version.Before(15):
		return fmt.Sprintf("glibc %s goes over the cap where threads start at the same moment; 2.15 and later do not", f.version)
	case f.libcs > 1:
		return fmt.Sprintf("%d copies of the C library are loaded, and each has a cap of its own", f.libcs)
	}
	return "most likely the program sets another limit itself, with mallopt(M_ARENA_MAX)"
}

// floor is how many arenas glibc 2.10 to 2.15 make whatever the cap: arena_test + 1 (malloc/arena.c,
// reused_arena), 8 where it is not set, 2 with 32 bits.
func (f facts) floor(c Cap) int {
	test := 8
	if f.version.Bits32 {
		test = 2
	}
	if f.setting.Test.OK {
		test = int(min(f.setting.Test.N, policy.MaxCap))
	}
	return max(c.N, test+1)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
