package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The cap and the rule of its cores, as the operator writes them.

// The modes of a cap.
const (
	Fixed   = "fixed"
	PerCore = "per-core"
	Off     = "off"   // leave the environment as it was inherited
	Glibc   = "glibc" // glibc's own limit, whatever a start script further down would set
)

// MaxCap is the largest cap, and the largest inherited value that counts: more arenas than this would
// need 4 TiB of address space for their first heaps.
const MaxCap = 1<<16 - 1

// ArenaHeap is the address space that an arena other than the main one takes at least: one heap of
// HEAP_MAX_SIZE, 64 MiB where long has 64 bits (glibc: malloc/arena.c). An arena whose threads hold more
// takes several heaps. 32-bit programs have heaps of 1 MiB.
const ArenaHeap = 64 << 20

// Cap is the largest number of arenas, the main arena included, as the operator wrote it.
type Cap struct {
	Mode  string // Fixed, PerCore, Off or Glibc; "" is a cap that nobody set
	N     int    // Fixed: the cap itself
	Micro int64  // PerCore: arenas for a million cores, so that "0.1/core" is exact
	From  string // where it was said: "policy.toml:3", "--arenas", "$MALLOC_ARENA_MAX", "built-in policy"
}

// parseCap reads a cap as it stands in a policy file or behind --arenas: "4", "2/core", "0.5/core",
// "off" or "glibc". A per-core factor has at most six decimals.
func parseCap(s string) (Cap, error) {
	switch s {
	case "off":
		return Cap{Mode: Off}, nil
	case "glibc":
		return Cap{Mode: Glibc}, nil
	case "0":
		return Cap{}, hinted{`"0" is no cap`, `write "off" to touch nothing or "glibc" for glibc's own limit`}
	}
	if factor, ok := strings.CutSuffix(s, "/core"); ok {
		micro, why := parseMicro(factor)
		switch {
		case why == tooLargeNumber || micro > MaxCap*1_000_000:
			return Cap{}, hinted{fmt.Sprintf("%q is too large", s), fmt.Sprintf(`the largest factor is %d`, MaxCap)}
		case why != "" || micro == 0:
			return Cap{}, hinted{fmt.Sprintf("%q is no cap: %q %s", s, factor, cmp.Or(why, "is no number over 0")), factorHint(factor)}
		}
		return Cap{Mode: PerCore, Micro: micro}, nil
	}
	n, ok := decimal(s)
	if !ok || n == 0 {
		return Cap{}, noCap(s)
	}
	return Cap{Mode: Fixed, N: n}, nil
}

// noCap says what is wrong with a text that is neither a number of arenas nor a factor.
func noCap(s string) hinted {
	digits := strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(s), "+"), "0")
	factor, unit, perCore := strings.Cut(s, "/")
	n, isCap := decimal(digits)
	what := fmt.Sprintf("%q is no cap", s)
	switch {
	case digits != "" && strings.Trim(digits, "0123456789") == "" && !isCap:
		return hinted{fmt.Sprintf("%q is too large", s), fmt.Sprintf("the largest cap is %d", MaxCap)}
	case isCap && n > 0:
		return hinted{what, fmt.Sprintf("write %d", n)}
	case strings.EqualFold(s, "off") || strings.EqualFold(s, "glibc"):
		return hinted{what, fmt.Sprintf("write %q, in lower case", strings.ToLower(s))}
	case slices.Contains([]string{"none", "no", "unlimited", "infinity", "default"}, strings.ToLower(s)):
		return hinted{what, `write "glibc" for glibc's own limit or "off" to touch nothing`}
	case perCore && strings.HasPrefix(strings.ToLower(strings.TrimSpace(unit)), "c"): // "2/cpu", "2 / Core"
		return hinted{what, factorHint(factor)}
	}
	return hinted{what, fmt.Sprintf(`write a number from 1 to %d, a factor such as "2/core", "off" or "glibc"`, MaxCap)}
}

// factorHint is the factor that a text before "/core" was most likely meant to be.
func factorHint(factor string) string {
	meant := meantNumber(factor)
	if micro, why := parseMicro(meant); why == "" && micro > 0 && micro <= MaxCap*1_000_000 {
		return fmt.Sprintf("write %q", meant+"/core")
	}
	return `write for example "1/core" or "0.5/core"`
}

// meantNumber is a number without blanks, and with a point for a comma.
func meantNumber(s string) string {
	return strings.Replace(strings.Join(strings.Fields(s), ""), ",", ".", 1)
}

// String gives the cap in the words of the policy file.
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

// of is the number of arenas that a per-core cap gives on so many cores, rounded up.
func (c Cap) of(cores int) int {
	return int((c.Micro*int64(cores) + 999_999) / 1_000_000)
}

// tooLargeNumber is what parseMicro says of a number with more than five digits in front of its point.
const tooLargeNumber = "is too large"

// parseMicro reads an unsigned decimal with at most six decimals as millionths, or says what is wrong with it.
func parseMicro(s string) (micro int64, why string) {
	whole, frac, dot := strings.Cut(s, ".")
	switch {
	case strings.ContainsAny(s, " \t"):
		return 0, "has a blank in it"
	case strings.Contains(s, ","):
		return 0, `has a comma, and decimals stand behind a "."`
	case whole == "" || dot && frac == "" || strings.Trim(whole+frac, "0123456789") != "":
		return 0, "is no number over 0"
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

// decimal reads what arenacap accepts as a number of arenas wherever it finds one: plain decimal digits,
// 0 to MaxCap, no sign and no blank. glibc itself reads more ("-1", "010", "4x"), and not the same in
// every version, which is why nothing else counts (glibc 2.39: elf/dl-misc.c, _dl_strtoul).
func decimal(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && (s == "0" || s[0] != '0')
}

// coreRule is the rule for the cores that a per-core cap multiplies: the name of a source, or a number.
type coreRule struct {
	Rule string // one of coreSources; "" is auto
	N    int    // a number that was written down wins over every source
	From string // where it was said
}

var coreSources = []string{"auto", "online", "affinity"}
