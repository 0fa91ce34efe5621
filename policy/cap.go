package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arenacap/policy/text"
)

// This file parses caps, and the values of the key "cores", which say how the cores are counted.

// The modes of a cap.
const (
	Fixed   = "fixed"
	PerCore = "per-core"
	Off     = "off"   // leave the inherited arena settings unchanged
	Glibc   = "glibc" // glibc's own limit; MALLOC_ARENA_MAX=0 keeps a later start script from setting its default cap
)

// MaxCap is the largest valid cap, also for inherited values: its arenas reserve 4 TiB of address space for
// their first heaps alone.
const MaxCap = 1<<16 - 1

// ArenaHeap is the address space that an arena reserves at least, in bytes: one heap of HEAP_MAX_SIZE, 64 MiB
// in 64-bit programs (glibc: malloc/arena.c) and 1 MiB in 32-bit programs. An arena takes more heaps as it
// fills. The main arena reserves none.
const ArenaHeap = 64 << 20

// Cap is the maximum number of arenas, including the main arena, as the operator wrote it.
type Cap struct {
	Mode  string // mode of the cap: Fixed, PerCore, Off or Glibc; "" is unset
	N     int    // the cap, with mode Fixed
	Micro int64  // millionths of an arena per core, with mode PerCore, so that "0.1/core" is exact
	From  string // its source: "policy.toml:3", "--arenas", "$MALLOC_ARENA_MAX", "built-in policy"
}

// parseCap parses "4", "2/core", "0.5/core", "off" or "glibc". A factor has at most six decimals.
func parseCap(s string) (Cap, error) {
	switch s {
	case "off":
		return Cap{Mode: Off}, nil
	case "glibc":
		return Cap{Mode: Glibc}, nil
	case "0":
		return Cap{}, hinted{`invalid cap "0"`, fmt.Sprintf(`write a number from 1 to %d, a factor such as "2/core", "off" to change nothing, or "glibc" for glibc's own limit`, MaxCap)}
	}
	if factor, ok := strings.CutSuffix(s, "/core"); ok {
		micro, why := parseMicro(factor)
		switch {
		case why == tooLargeNumber || micro > MaxCap*1_000_000:
			return Cap{}, hinted{fmt.Sprintf("the factor %q is too large", s), fmt.Sprintf(`the largest factor is %d`, MaxCap)}
		case why != "" || micro == 0:
			return Cap{}, hinted{fmt.Sprintf("invalid cap %q: the factor %q %s", s, factor, cmp.Or(why, "is not a number above 0")), factorHint(factor)}
		}
		return Cap{Mode: PerCore, Micro: micro}, nil
	}
	n, ok := text.Decimal(s)
	if !ok || n == 0 {
		return Cap{}, invalidCap(s)
	}
	return Cap{Mode: Fixed, N: n}, nil
}

// invalidCap describes a text that is neither a number of arenas nor a factor.
func invalidCap(s string) hinted {
	digits := strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(s), "+"), "0")
	factor, unit, perCore := strings.Cut(s, "/")
	n, isCap := text.Decimal(digits)
	what := fmt.Sprintf("invalid cap %q", s)
	switch {
	case digits != "" && strings.Trim(digits, "0123456789") == "" && !isCap:
		return hinted{fmt.Sprintf("the cap %q is too large", s), fmt.Sprintf("the largest cap is %d", MaxCap)}
	case isCap && n > 0:
		return hinted{what, fmt.Sprintf("write the cap as %d", n)}
	case strings.EqualFold(s, "off") || strings.EqualFold(s, "glibc"):
		return hinted{what, fmt.Sprintf("write %q, in lower case", strings.ToLower(s))}
	case slices.Contains([]string{"none", "no", "unlimited", "infinity", "default"}, strings.ToLower(s)):
		return hinted{what, `write "glibc" for glibc's own limit or "off" to change nothing`}
	case perCore && strings.HasPrefix(strings.ToLower(strings.TrimSpace(unit)), "c"): // "2/cpu", "2 / Core"
		return hinted{what, factorHint(factor)}
	}
	return hinted{what, fmt.Sprintf(`write a number from 1 to %d, a factor such as "2/core", "off" or "glibc"`, MaxCap)}
}

// factorHint suggests a correction for the text before "/core".
func factorHint(factor string) string {
	meant := meantNumber(factor)
	if micro, why := parseMicro(meant); why == "" && micro > 0 && micro <= MaxCap*1_000_000 {
		return fmt.Sprintf("write the cap as %q", meant+"/core")
	}
	return `write for example "1/core" or "0.5/core"`
}

// meantNumber removes spaces and replaces a decimal comma by a point.
func meantNumber(s string) string {
	return strings.Replace(strings.Join(strings.Fields(s), ""), ",", ".", 1)
}

// String formats the cap as in the policy file.
func (c Cap) String() string {
	switch c.Mode {
	case Fixed:
		return strconv.Itoa(c.N)
	case PerCore:
		factor := fmt.Sprintf("%d.%06d", c.Micro/1_000_000, c.Micro%1_000_000)
		return strings.TrimRight(strings.TrimRight(factor, "0"), ".") + "/core"
	}
	return c.Mode
}

// of returns the number of arenas of a per-core cap, rounded up.
func (c Cap) of(cores int) int {
	return int((c.Micro*int64(cores) + 999_999) / 1_000_000)
}

// tooLargeNumber is parseMicro's answer to a number with more than five integer digits.
const tooLargeNumber = "is too large"

// parseMicro parses an unsigned number with at most six decimals into millionths; why describes an invalid one.
func parseMicro(s string) (micro int64, why string) {
	whole, frac, dot := strings.Cut(s, ".")
	switch {
	case strings.ContainsAny(s, " \t"):
		return 0, "contains a space"
	case strings.Contains(s, ","):
		return 0, `contains a comma instead of a decimal point`
	case whole == "" || dot && frac == "" || strings.Trim(whole+frac, "0123456789") != "":
		return 0, "is not a number above 0"
	case len(frac) > 6:
		return 0, "has more than six decimals"
	case len(whole) > 5:
		return 0, tooLargeNumber
	}
	micro, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 6-len(frac)), 10, 64)
	if err != nil {
		return 0, err.Error()
	}
	return micro, ""
}

// coreRule selects the number of cores that a per-core cap multiplies.
type coreRule struct {
	Rule string // one of coreSources; "" is auto
	N    int    // a fixed number, which wins over Rule; 0 is unset
	From string // its source: "policy.toml:4", "--cores"
}

var coreSources = []string{"auto", "online", "affinity"}
