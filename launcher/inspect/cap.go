package inspect

// This file judges whether a process has a cap, whether it keeps the cap, and if not, why.

import (
	"cmp"
	"fmt"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/target"
	"arenacap/policy"
	"arenacap/policy/text"
)

// Cap is a process's cap on arenas and whether the process keeps it.
type Cap struct {
	N      int    // the cap; 0 for none
	Source string // source of the cap: "environment", "tunables" or "policy"; "" for none
	Kept   Kept
	Why    string // why Kept has its value, one sentence

	advice string // what to do if the cap is missing or not kept; "" if unknown
}

// Kept says whether a process keeps its cap: Yes, No, or NoAnswer if there is no cap or if that cannot be judged.
type Kept = target.Answer

// The answers to the question whether a process keeps its cap.
const (
	NoAnswer = target.Unknown
	No       = target.No
	Yes      = target.Yes
)

// facts are the inputs of the method "judge".
type facts struct {
	arenas    int
	unlinked  int  // structures that may be arenas (arena.Census)
	unread    bool // not all structures were read, so the value of the field "unlinked" is a lower bound
	libcs     int  // copies of glibc that have arenas: each copy has its own limit
	libc      string
	allocator string
	mallocIn  string // see arena.Process
	version   glibc.Version
	ownLimit  int // arenas that this glibc allows here without a cap; 0 if unknown

	began  beginning
	wanted *policy.Plan // the plan of the policy that should be in force; nil for none
}

// beginning is what the process was started with: its environment and AT_SECURE. The environment is unknown if arenacap
// cannot read it, if the program has overwritten it, or if the process executes one program after another.
type beginning struct {
	environ      []string
	environKnown bool
	unknown      string          // why the environment is unknown: the end of a sentence that begins "the process's environment"
	setting      environ.Setting // what glibc reads from this environment
	secure       bool            // AT_SECURE
}

func newFacts(p *arena.Process, began beginning) facts {
	return facts{
		arenas: len(p.Arenas), libcs: len(perLibc(p)), unlinked: p.Unlinked, unread: p.Unread, libc: p.Libc, allocator: p.Allocator, mallocIn: p.MallocIn,
		version: glibc.Reported(cmp.Or(p.LibcVersion, p.LibcAtLeast), p.Bits), began: began,
	}
}

// judge compares the arenas with the cap.
func (f facts) judge() Cap {
	c, obstacle := f.cap(), f.obstacle()
	switch {
	case c.N == 0 && obstacle != "":
		c.Why = "a cap would have no effect: " + obstacle
	case c.N == 0:
		c.advice = f.otherWay()
	case f.libc != "glibc":
		c.Why = "the cap has no effect: " + obstacle
	case f.arenas > c.N*max(1, f.libcs):
		c.Kept = No
		f.exceeds(&c)
	case f.arenas > c.N:
		c.Why = fmt.Sprintf("%d copies of the C library are loaded, and each has a cap of its own", f.libcs)
	case obstacle != "":
		c.Why = "the cap has no effect: " + obstacle
	case f.unread:
		c.Why = fmt.Sprintf("at least %s; the process's memory holds so many structures that look like arenas that not all were read", text.Count(f.arenas, "arena"))
	case f.arenas+f.unlinked > c.N:
		c.Why = fmt.Sprintf("at least %s, and up to %d more that are not in malloc's list", text.Count(f.arenas, "arena"), f.unlinked)
	default:
		f.judgeWithinCap(&c)
	}
	return c
}

// obstacle returns the reason why a cap has no effect on this process, or "".
func (f facts) obstacle() string {
	switch {
	case f.libc == "" && f.allocator == "go":
		return "a Go program without cgo does not use malloc"
	case f.libc == "":
		return "no C library with arenas was found in the process"
	case f.libc != "glibc":
		return f.libc + " has no arenas"
	case f.allocator != "" && f.allocator != "glibc":
		return "the process uses the malloc of " + f.allocator + ", which does not read MALLOC_ARENA_MAX"
	}
	return ""
}

// cap returns the cap to judge: the policy's if a policy is given, else the one that the process's glibc read.
func (f facts) cap() Cap {
	own := f.began.setting.Max
	switch {
	case f.wanted != nil && f.wanted.ArenaMax != 0:
		return Cap{N: f.wanted.ArenaMax, Source: "policy"}
	case f.wanted != nil:
		return Cap{Why: fmt.Sprintf("no cap to judge: the policy has cap = %q", string(f.wanted.Mode))}
	case !f.began.environKnown:
		return Cap{Why: "it is unknown whether a cap is set: the process's environment " + f.began.unknown}
	case !own.OK:
		return Cap{Why: "no cap is set: " + f.noCap()}
	case own.Unlimited():
		return Cap{Why: fmt.Sprintf("no cap is set: the value of %s is too large to limit anything", source(own))}
	}
	return Cap{N: int(own.N), Source: own.From}
}

// noCap says why the glibc of the process reads no cap from the environment.
func (f facts) noCap() string {
	own := f.began.setting.Max
	switch {
	case own.Locked:
		return "/etc/tunables.conf locks glibc.malloc.arena_max to a value that glibc rejects"
	case f.began.setting.Secure:
		return "glibc.rtld.enable_secure=1 makes glibc ignore MALLOC_ARENA_MAX"
	case own.Refused != "":
		return refusal(own) + f.limit()
	case f.began.setting.Malformed:
		return "glibc ignores GLIBC_TUNABLES, because it is malformed" + f.limit()
	case f.version.Before(26) && environ.Inherited(f.began.environ).MaxFrom == "$GLIBC_TUNABLES":
		return fmt.Sprintf("glibc %s does not know GLIBC_TUNABLES", f.version) + f.limit()
	}
	return "neither MALLOC_ARENA_MAX nor GLIBC_TUNABLES in the process's environment sets one" + f.limit()
}

// refusal says why the value sets no cap in the glibc of the process.
func refusal(v environ.Value) (why string) {
	switch name, value, _ := strings.Cut(v.Refused, "="); value {
	case "0":
		why = name + " is 0, which means glibc's own limit"
	case "":
		why = name + " is empty, which sets nothing"
	default:
		why = fmt.Sprintf("the process's glibc rejects %q", v.Refused)
	}
	if v.Last {
		why += "; of several values only the last one counts"
	}
	if v.KeepsOut {
		why += "; because of this value glibc 2.44 and later ignore MALLOC_ARENA_MAX too"
	}
	return why
}

func (f facts) limit() string {
	switch {
	case f.foreign():
		return "; the process uses the malloc of " + text.Quoted(f.mallocIn)
	case f.ownLimit == 0:
		return ""
	case f.began.setting.Test.Unlimited() && !f.began.secure:
		return "; MALLOC_ARENA_TEST is so large that glibc has no limit"
	}
	return fmt.Sprintf("; glibc's own limit is %d here", f.ownLimit)
}

// upgrade says how the newest glibc's own limit would differ. It returns "" if glibc's own limit does not apply to the
// process or is unknown, or if the newest glibc would allow its present number of arenas too.
func (f facts) upgrade(cpus int) string {
	newest := glibc.Newest(f.version.Bits32)
	limit, copies := f.allowed(newest, 0, cpus), max(1, f.libcs)
	capped := f.began.setting.Max.OK && !f.began.secure
	if f.obstacle() != "" || !f.version.Known() || !f.began.environKnown || capped || f.arenas <= limit*copies || f.arenas > f.ownLimit*copies {
		return ""
	}
	return fmt.Sprintf("without a cap, glibc %s would allow %s here instead of %d", newest, text.Count(limit, "arena"), f.ownLimit)
}

// source returns the usual name of the place where a value is set.
func source(v environ.Value) string {
	switch {
	case v.System:
		return "/etc/tunables.conf"
	case v.From == "tunables":
		return "GLIBC_TUNABLES"
	}
	return "MALLOC_ARENA_MAX"
}

// judgeWithinCap fills in the answer for a process that has no more arenas than its cap. The cap counts as kept only if
// it is in force.
func (f facts) judgeWithinCap(c *Cap) {
	own := f.began.setting.Max
	switch {
	case f.began.secure && !own.System:
		c.Why = "not exceeded so far, but not enforced: " + secureMode
	case !f.began.environKnown:
		c.Why = "not exceeded so far; it is unknown whether the cap is in force: the process's environment " + f.began.unknown
	case f.foreign():
		c.Why = fmt.Sprintf("not exceeded so far, but the process uses the malloc of %s, which may not read MALLOC_ARENA_MAX", text.Quoted(f.mallocIn))
	case f.notInForce(*c):
		c.Why = "not exceeded so far, but not in force: " + f.started()
		c.advice = cmp.Or(f.otherWay(), restart)
	case own.OK && uint64(f.arenas) > own.N: // so the policy's cap is higher than the process's own cap
		c.Why = fmt.Sprintf("not exceeded so far, but not enforced: the process has %s, more than the %d that its own %s allows",
			text.Count(f.arenas, "arena"), own.N, source(own))
	default:
		c.Kept, c.Why = Yes, fmt.Sprintf("%s, and %d are allowed", text.Count(f.arenas, "arena"), c.N)
	}
}

// otherWay says how to set a cap if /etc/tunables.conf or secure mode takes the effect from variables in the
// environment; otherwise it returns "".
func (f facts) otherWay() string {
	switch {
	case f.began.setting.Max.Locked:
		return "set glibc.malloc.arena_max in /etc/tunables.conf and run ldconfig: the environment cannot override that file"
	case f.began.secure:
		return "if the program has file capabilities, give it ambient capabilities instead (systemd: AmbientCapabilities=)"
	}
	return ""
}

// foreign reports whether the process has a malloc that is neither glibc's nor a known allocator's. A malloc that passes its
// calls on to glibc's malloc is not foreign; such a malloc is recognized by arenas other than the main arenas.
func (f facts) foreign() bool { return f.allocator == "" && f.mallocIn != "" && f.arenas <= f.libcs }

// notInForce reports whether the policy's cap is not in force: the process was started with no cap or with a higher one.
func (f facts) notInForce(c Cap) bool {
	own := f.began.setting.Max
	return c.Source == "policy" && f.began.environKnown && !(own.OK && own.N <= uint64(c.N))
}

// started says which cap the process was started with instead of the policy's.
func (f facts) started() string {
	own := f.began.setting.Max
	if !own.OK {
		return "the process was started without a cap"
	}
	return fmt.Sprintf("the process was started with a cap of %d, set by %s", own.N, source(own))
}

const (
	secureMode = "the process runs in secure mode (AT_SECURE: set-uid, set-gid or file capabilities), in which glibc ignores MALLOC_ARENA_MAX"
	restart    = "restart the program with 'arenacap run' and this policy in front of its command"
)

// exceeds fills in the most likely reason for more arenas than the cap, and what to do.
func (f facts) exceeds(c *Cap) {
	switch {
	case f.began.secure && !f.began.setting.Max.System:
		c.Why, c.advice = secureMode, f.otherWay()
	case f.notInForce(*c):
		c.Why, c.advice = f.started(), cmp.Or(f.otherWay(), restart)
	case f.arenas <= f.allowed(f.version, c.N, 0):
		c.Why = fmt.Sprintf("glibc %s allows MALLOC_ARENA_TEST + 1 = %d arenas before it checks the cap", f.version, f.allowed(f.version, c.N, 0))
		c.advice = "put 'arenacap run --' in front of the start command: arenacap sets MALLOC_ARENA_TEST too"
	case f.version.Racy():
		c.Why = fmt.Sprintf("glibc %s may exceed the cap when threads start at the same moment; 2.15 and later do not", f.version)
	case f.libcs > 1:
		c.Why = fmt.Sprintf("%d copies of the C library are loaded, and each has a cap of its own", f.libcs)
	default:
		c.Why = "most likely the program sets another limit itself, with mallopt(M_ARENA_MAX), which overrides any variable"
		c.advice = "look for M_ARENA_MAX in the program's source or settings: no variable overrides it"
	}
}

// allowed returns the largest number of arenas that a glibc makes under a cap (0: without one) and the process's
// MALLOC_ARENA_TEST.
func (f facts) allowed(v glibc.Version, cap, cpus int) int {
	test := f.began.setting.Test
	if f.began.secure && !test.System {
		test.N = 0
	}
	n, _ := v.Arenas(cap, int(min(test.N, policy.MaxCap)), cpus)
	return n
}
