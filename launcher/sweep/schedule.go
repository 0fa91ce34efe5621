package sweep

import (
	"math/rand/v2"
	"strconv"

	"arenacap/launcher/sweep/stats"
)

// Ladder is a sensible choice of caps where glibc by itself would allow limit arenas: "off" and what lies below the
// limit of 1, 2, 4, 8, 16, 64, 256 and so on.
func Ladder(limit int) []string {
	caps := []string{"off"}
	for n, factor := 1, 2; n < limit; n *= factor {
		caps = append(caps, strconv.Itoa(n))
		if n == 16 {
			factor = 4
		}
	}
	return caps
}

// order is the order of the candidates in one round.
func order(seed uint64, round, candidates int) []int {
	return rand.New(rand.NewPCG(seed, uint64(round))).Perm(candidates)
}

// Narrow reports whether the interval of each candidate that has any runs is as narrow as Until asks for.
func (x *Experiment) Narrow(runs []Run) bool {
	any := false
	for _, c := range x.Candidates {
		good, _ := c.Good(runs)
		for _, m := range x.Metrics {
			if len(good) > 0 && stats.Of(m.Values(good)).Width() > x.Until {
				return false
			}
		}
		any = any || len(good) > 0
	}
	return any
}
