package inspect

import (
	"cmp"
	"fmt"
	"strings"

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

	advice string // what would help where it is not kept; "" is not known
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

// facts is what the answer follows from.
type facts struct {
	arenas    int
	unlinked  int  // structures that may be arenas: where something overwrote malloc's (arena.Census)
	unread    bool // and there are more of them
	libcs     int  // main arenas: each copy of a C library has a limit of its own
	libc      string
	allocator string
	mallocIn  string // see arena.Process
	version   environ.GlibcVersion
	ownLimit  int // the arenas that this glibc allows by itself here; 0 is not known

	began  beginning
	wanted *policy.Plan
}

// beginning is what the process was started with. The environment is not known where it may not be read, or
// where the program wrote over it.
type beginning struct {
	environ      []string
	environKnown bool
	unknown      string          // why it is not, the end of a sentence
	setting      environ.Setting // what its glibc takes from such an environment
	secure       bool            // AT_SECURE
}

func newFacts(p *arena.Process, began beginning) facts {
	f := facts{
		arenas: len(p.Arenas), unlinked: p.Unlinked, unread: p.Unread, libc: p.Libc, allocator: p.Allocator, mallocIn: p.MallocIn,
		version: environ.Glibc(cmp.Or(p.LibcVersion, p.LibcAtLeast), p.Bits), began: began,
	}
	for _, a := range p.Arenas {
		if a.Main {
			f.libcs++
		}
	}
	return f
}

// judge compares the arenas that are there with the cap that should hold. Pure.
func (f facts) judge() Cap {
	c, obstacle := f.cap(), f.obstacle()
	switch {
	case c.N == 0 && obstacle != "":
		c.Why = "no cap can apply: " + obstacle
	case c.N == 0:
		c.advice = f.otherWay()
	case f.libc != "glibc":
		c.Why = "a cap cannot apply: " + obstacle
	case f.arenas > c.N*max(1, f.libcs):
		c.Kept = No
		f.exceeds(&c)
	case f.arenas > c.N:
		c.Why = fmt.Sprintf("%d copies of the C library are loaded, and each has a cap of its own", f.libcs)
	case obstacle != "":
		c.Why = "a cap cannot apply: " + obstacle
	case f.unread:
		c.Why = fmt.Sprintf("%s for certain; its memory holds so many more structures like arenas that not all were read", plural(f.arenas, "arena"))
	case f.arenas+f.unlinked > c.N:
		c.Why = fmt.Sprintf("%s for certain, and up to %d more that malloc's own list does not lead to", plural(f.arenas, "arena"), f.unlinked)
	default:
		f.within(&c)
	}
	return c
}

// obstacle is why a cap means nothing to this process, "" where it does.
func (f facts) obstacle() string {
	switch {
	case f.libc == "" && f.allocator == "go":
		return "it is a Go program without C in it, and Go does not use malloc"
	case f.libc == "":
		return "no C library with arenas was found in it"
	case f.libc != "glibc":
		return f.libc + " has no arenas"
	case f.allocator != "" && f.allocator != "glibc":
		return "its malloc is " + f.allocator + ", which does not read MALLOC_ARENA_MAX"
	}
	return ""
}

// cap is the cap that counts: the policy's where one is named, else what the process's own glibc took.
func (f facts) cap() Cap {
	own := f.began.setting.Max
	switch {
	case f.wanted != nil && f.wanted.ArenaMax != 0:
		return Cap{N: f.wanted.ArenaMax, Source: "policy"}
	case f.wanted != nil:
		return Cap{Why: fmt.Sprintf("no cap: the policy says %q", string(f.wanted.Mode))}
	case !f.began.environKnown:
		return Cap{Why: "whether a cap is set is not known: its environment " + f.began.unknown}
	case !own.OK:
		return Cap{Why: "no cap is set: " + f.noCap()}
	case own.Unlimited():
		return Cap{Why: fmt.Sprintf("no cap is set: the value of %s is so large that it is no limit", source(own))}
	}
	return Cap{N: int(own.N), Source: own.From}
}

// noCap says why its glibc takes no cap from the environment.
func (f facts) noCap() string {
	own := f.began.setting.Max
	switch {
	case own.Locked:
		return "/etc/tunables.conf locks glibc.malloc.arena_max with a value that its glibc does not take"
	case f.began.setting.Secure:
		return "glibc.rtld.enable_secure=1 makes its glibc ignore MALLOC_ARENA_MAX"
	case own.Refused != "":
		return refusal(own) + f.limit()
	case f.began.setting.Malformed:
		return "its glibc ignores all of its GLIBC_TUNABLES, which are malformed" + f.limit()
	case f.version.Before(26) && environ.Inherited(f.began.environ).MaxFrom == "$GLIBC_TUNABLES":
		return fmt.Sprintf("glibc %s does not know GLIBC_TUNABLES", f.version) + f.limit()
	}
	return "neither MALLOC_ARENA_MAX nor GLIBC_TUNABLES in its environment sets one" + f.limit()
}

// refusal says why its glibc does not take what was asked for.
func refusal(v environ.Value) (why string) {
	switch name, value, _ := strings.Cut(v.Refused, "="); value {
	case "0":
		why = name + " is 0, which stands for glibc's own limit"
	case "":
		why = name + " is empty, which sets nothing"
	default:
		why = fmt.Sprintf("its glibc does not take %q", v.Refused)
	}
	if v.Last {
		why += ", and takes no other of several"
	}
	if v.KeepsOut {
		why += "; from 2.44 on such a tunable keeps MALLOC_ARENA_MAX out"
	}
	return why
}

func (f facts) limit() string {
	switch {
	case f.foreign():
		return "; its malloc is that of " + Printable(f.mallocIn)
	case f.ownLimit == 0:
		return ""
	case f.began.setting.Test.Unlimited() && !f.began.secure:
		return "; its MALLOC_ARENA_TEST is so large that glibc has no limit"
	}
	return fmt.Sprintf("; glibc stops by itself at %d here", f.ownLimit)
}

// upgrade says what the newest glibc would change: nothing where another limit than glibc's own counts, or where it would
// allow the arenas that are there.
func (f facts) upgrade(cpus int) string {
	newest := environ.NewestGlibc(f.version.Bits32)
	limit, copies := f.allowed(newest, 0, cpus), max(1, f.libcs)
	capped := f.began.setting.Max.OK && !f.began.secure
	if f.obstacle() != "" || !f.version.Known() || !f.began.environKnown || capped || f.arenas <= limit*copies || f.arenas > f.ownLimit*copies {
		return ""
	}
	return fmt.Sprintf("glibc %s would allow %s by itself here, not %d", newest, plural(limit, "arena"), f.ownLimit)
}

// source is where a value stands, as people call it.
func source(v environ.Value) string {
	switch {
	case v.System:
		return "/etc/tunables.conf"
	case v.From == "tunables":
		return "GLIBC_TUNABLES"
	}
	return "MALLOC_ARENA_MAX"
}

// within fills in the answer where no more arenas are there than allowed: kept only where the cap is what
// keeps them down.
func (f facts) within(c *Cap) {
	own := f.began.setting.Max
	switch {
	case f.began.secure && !own.System:
		c.Why = "not exceeded so far, but nothing keeps it: " + secureMode
	case !f.began.environKnown:
		c.Why = "not exceeded so far; whether it is in force is not known: its environment " + f.began.unknown
	case f.foreign():
		c.Why = fmt.Sprintf("not exceeded so far, but its malloc is that of %s, and whether that reads MALLOC_ARENA_MAX is not known", Printable(f.mallocIn))
	case f.notInForce(*c):
		c.Why = "not exceeded so far, but not in force: " + f.started()
		c.advice = cmp.Or(f.otherWay(), restart)
	case own.OK && uint64(f.arenas) > own.N: // the policy allows more than the process was started with
		c.Why = fmt.Sprintf("not exceeded so far, but nothing keeps it: %s are more than the %d of its %s",
			plural(f.arenas, "arena"), own.N, source(own))
	default:
		c.Kept, c.Why = Yes, fmt.Sprintf("%s of %d allowed", plural(f.arenas, "arena"), c.N)
	}
}

// otherWay is how a cap is set where the environment cannot do it; "" where it can.
func (f facts) otherWay() string {
	switch {
	case f.began.setting.Max.Locked:
		return "set glibc.malloc.arena_max in /etc/tunables.conf and run ldconfig: the environment cannot override what stands there"
	case f.began.secure:
		return "a program with file capabilities obeys when it gets them as ambient ones instead (systemd: AmbientCapabilities=)"
	}
	return ""
}

// foreign reports a malloc that is not glibc's and has no known name. One that passes on to glibc's has arenas of it.
func (f facts) foreign() bool { return f.allocator == "" && f.mallocIn != "" && f.arenas <= f.libcs }

// notInForce reports whether a policy wants a cap that the process was not started with.
func (f facts) notInForce(c Cap) bool {
	own := f.began.setting.Max
	return c.Source == "policy" && f.began.environKnown && !(own.OK && own.N <= uint64(c.N))
}

// started says what the process was started with instead of what the policy wants.
func (f facts) started() string {
	own := f.began.setting.Max
	if !own.OK {
		return "the process was started without a cap"
	}
	return fmt.Sprintf("the process was started with a cap of %d, by %s", own.N, source(own))
}

const (
	secureMode = "the process runs in secure mode (AT_SECURE: set-uid, set-gid or file capabilities), in which glibc ignores MALLOC_ARENA_MAX"
	restart    = "start it again with 'arenacap run' and this policy in front of its command"
)

// exceeds gives the reason for more arenas than the cap, as far as it can be told from outside, and what
// would help.
func (f facts) exceeds(c *Cap) {
	switch {
	case f.began.secure && !f.began.setting.Max.System:
		c.Why, c.advice = secureMode, f.otherWay()
	case f.notInForce(*c):
		c.Why, c.advice = f.started(), cmp.Or(f.otherWay(), restart)
	case f.arenas <= f.allowed(f.version, c.N, 0):
		c.Why = fmt.Sprintf("glibc %s allows MALLOC_ARENA_TEST + 1 = %d arenas before it looks at the cap", f.version, f.allowed(f.version, c.N, 0))
		c.advice = "put 'arenacap run --' in front of its command: it sets MALLOC_ARENA_TEST too"
	case f.version.Racy():
		c.Why = fmt.Sprintf("glibc %s goes over the cap where threads start at the same moment; 2.15 and later do not", f.version)
	case f.libcs > 1:
		c.Why = fmt.Sprintf("%d copies of the C library are loaded, and each has a cap of its own", f.libcs)
	default:
		c.Why = "most likely the program sets another limit itself, with mallopt(M_ARENA_MAX), which comes before any variable"
		c.advice = "look for M_ARENA_MAX in the program's source or settings: no variable overrides it"
	}
}

// allowed is how many arenas a glibc makes under a cap, 0 for none, with the MALLOC_ARENA_TEST that the process has.
func (f facts) allowed(v environ.GlibcVersion, cap, cpus int) int {
	test := f.began.setting.Test
	if f.began.secure && !test.System {
		test.N = 0
	}
	n, _ := v.Arenas(cap, int(min(test.N, policy.MaxCap)), cpus)
	return n
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
