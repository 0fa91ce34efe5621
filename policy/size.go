package policy

import (
	"fmt"
	"strings"

	"arenacap/policy/text"
)

// This file parses limits.

// size is a limit as the operator wrote it: bytes, or a percentage of Machine.Memory (of RLIMIT_AS for max_reserved).
// The zero size is unset.
type size struct {
	Bytes   uint64
	Percent float64 // percentage; above 0 for a relative size, whose Bytes is 0
	From    string  // its source: "policy.toml:9", "--budget"
}

func (s size) isZero() bool { return s.Bytes == 0 && s.Percent == 0 }

// parseLimit parses a size or a percentage such as "80%".
func parseLimit(written string) (size, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(written), "%")
	if !ok {
		bytes, what, hint := text.ParseSize(written)
		if what != "" {
			return size{}, hinted{what, hint}
		}
		return size{Bytes: bytes}, nil
	}
	micro, why := parseMicro(number)
	if why != "" && why != tooLargeNumber && !strings.HasPrefix(number, "-") {
		return size{}, hinted{fmt.Sprintf("%q is not a percentage: the number %q %s", written, number, why), percentHint(number)}
	}
	if why != "" || micro == 0 || micro > 100_000_000 {
		return size{}, hinted{fmt.Sprintf("the percentage %q is out of range", written), "write a percentage above 0% and up to 100%"}
	}
	return size{Percent: float64(micro) / 1e6}, nil
}

// percentHint suggests a correction for the text before "%".
func percentHint(number string) string {
	meant := meantNumber(number)
	if micro, why := parseMicro(meant); why == "" && micro > 0 && micro <= 100_000_000 {
		return fmt.Sprintf("write %q", meant+"%")
	}
	return `write for example "50%", with at most six decimals`
}
