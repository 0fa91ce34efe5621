package verdict

// This file chooses the advised cap, and judges how certain the choice is. The wording of the advice is in sentence.go.

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"arenacap/launcher/sweep/stats"
	"arenacap/policy"
)

// Advice is the conclusion from a result.
type Advice struct {
	Cap      string // the advised cap as it was written; "" for no advice
	Sentence string
	TOML     string // lines to paste into a policy file
	Noisy    bool   // there were too few rounds or too much noise for a reliable advice
	Safer    string // the cap to use until a better measurement confirms Cap; "" for none
}

const (
	// worthwhile is the smallest share of memory whose saving is reported, if it is significant. A saving of at least
	// the address space of one arena is reported even if it is a smaller share. The constant is also the largest loss
	// (see the method "loss") that is not reported.
	worthwhile = 0.01
	// certain is the smallest share of resident memory whose saving is a reason to set a cap, because resident memory
	// varies from run to run.
	certain = 0.05
	// noisy is the largest width of an interval (see stats.Interval.Width) with which the advice is certain. It is also the
	// largest loss of a median that counts as near the best median (see the method "safer").
	noisy = 0.05
	// unusable is the largest width of an interval with which there is advice: with a wider one, half of the throughput
	// could be lost unnoticed.
	unusable = 0.5
)

// advise chooses the smallest cap without a measurable cost. If no caps differ in cost, it chooses the one that saves the
// most memory, or the base if none saves memory.
func advise(r *Result) Advice {
	if missed := r.missed(); missed != "" {
		return Advice{Sentence: missed}
	}
	fit := slices.DeleteFunc(slices.Clone(r.Outcomes), func(o Outcome) bool { return !o.fit() || o.spoiled })
	if len(fit) == 0 {
		return Advice{Sentence: r.noAdvice()}
	}
	slices.SortStableFunc(fit, smaller)
	chosen, base := fit[0], r.Outcomes[r.base]
	if r.alike() {
		if chosen = base; slices.ContainsFunc(fit, base.saved) {
			chosen = leanest(slices.DeleteFunc(fit, func(o Outcome) bool { return !base.saved(o) }))
		}
	}
	d := r.doubt(chosen)
	if d.tooFew() || d.width > unusable {
		return Advice{Sentence: r.undecided(d), Noisy: true}
	}
	a := Advice{Cap: chosen.Name, Sentence: r.sentence(chosen, d), Noisy: d.width > noisy}
	if d.safer != nil {
		a.Safer = d.safer.Name
	}
	a.TOML = toml(a.Cap, a.Safer)
	return a
}

// leanest returns the first candidate whose peak of virtual size is the smallest, or so near to it that the difference does
// not matter (see the function "matters").
func leanest(fit []Outcome) Outcome {
	// An unknown peak is 0. Subtracting 1 makes it the largest number, so that it sorts last.
	least := slices.MinFunc(fit, func(a, b Outcome) int { return cmp.Compare(a.VirtualPeak-1, b.VirtualPeak-1) })
	i := slices.IndexFunc(fit, func(o Outcome) bool { return !matters(o.VirtualPeak, least.VirtualPeak) && o.VirtualPeak != 0 })
	return fit[max(0, i)]
}

// size orders candidates by their cap; those without a cap are last.
func (o Outcome) size() int {
	if o.ArenaMax == 0 {
		return math.MaxInt
	}
	return o.ArenaMax
}

func smaller(a, b Outcome) int { return cmp.Compare(a.size(), b.size()) }

// alike reports whether all candidates are equally good: none is measurably worse than the best, and none is left out because
// of failed runs.
func (r *Result) alike() bool {
	return !slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.counts() && !o.fit() || o.spoiled })
}

// saved reports whether the candidate o measurably needs less memory than the base.
func (base Outcome) saved(o Outcome) bool {
	return base.virtualMoved(o) && o.VirtualPeak < base.VirtualPeak ||
		base.residentMoved(o) && share(base.ResidentPeak, o.ResidentPeak) >= certain
}

// virtualMoved reports whether a candidate's peak of virtual size differs from the base's significantly and by enough to
// matter. If the base has only one arena, no cap can save memory; Arenas is 0 if the number is not known.
func (base Outcome) virtualMoved(o Outcome) bool {
	return base.Arenas != 1 && o.virtualP < stats.Alpha && matters(base.VirtualPeak, o.VirtualPeak)
}

func (base Outcome) residentMoved(o Outcome) bool {
	return base.Arenas != 1 && o.residentP < stats.Alpha && matters(base.ResidentPeak, o.ResidentPeak)
}

// matters reports whether two sizes are known and differ by enough to be reported.
func matters(a, b uint64) bool {
	return a != 0 && b != 0 && (math.Abs(share(a, b)) >= worthwhile || max(a, b)-min(a, b) >= policy.ArenaHeap)
}

// share is how much smaller b is than a, as a share of a; 0 if one of them is not known.
func share(a, b uint64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return (float64(a) - float64(b)) / float64(a)
}

// doubt says why a difference between caps may be hidden: too few rounds, or too wide intervals.
type doubt struct {
	caps   int // number of caps that are compared
	rounds int // the smallest number of successful runs of a compared cap that is not left out because of its failures
	needed int // rounds that are needed to distinguish this number of caps

	width float64  // width of the widest interval among the caps without a measurable cost (see the method "fit"); other intervals do not matter
	loss  float64  // loss of the chosen cap (see the method "loss"); 0 if it does not exceed the constant "worthwhile", or if "width" does not exceed the constant "noisy"
	safer *Outcome // if "loss" exceeds the constant "noisy": the cap to use until more rounds were measured; nil if there is none
}

func (d doubt) tooFew() bool { return d.rounds < d.needed }

func (r *Result) doubt(chosen Outcome) doubt {
	d := doubt{rounds: math.MaxInt}
	for _, o := range r.Outcomes {
		if o.counts() {
			d.caps++
		}
		if o.counts() && !o.spoiled {
			d.rounds = min(d.rounds, len(o.Runs))
		}
		if o.fit() && !o.spoiled {
			d.width = max(d.width, o.width())
		}
	}
	d.needed = stats.RoundsNeeded(d.caps, len(r.Experiment.Metrics))
	if loss := r.loss(chosen); d.width > noisy && loss > worthwhile {
		d.loss, d.safer = loss, r.safer(chosen, loss)
	}
	return d
}

// loss is the distance of a candidate's median of the first metric from the best median, as a share of the best.
func (r *Result) loss(o Outcome) float64 {
	best := r.Outcomes[r.best[0]].Measures[0].Median
	if best == 0 {
		return 0
	}
	return math.Abs(o.Measures[0].Median/best - 1)
}

// safer returns the smallest cap above the chosen one whose median is near the best median. It returns nil in three cases:
// the median of the chosen cap is itself near the best; there is no such cap, because the best cap is smaller than the
// chosen one or is worse by another metric; "off" or glibc's own limit is chosen, and no cap is safer.
func (r *Result) safer(chosen Outcome, loss float64) *Outcome {
	near := slices.DeleteFunc(slices.Clone(r.Outcomes), func(o Outcome) bool {
		return !o.fit() || o.spoiled || r.loss(o) > noisy || smaller(o, chosen) <= 0
	})
	if loss <= noisy || len(near) == 0 || chosen.asItIs() {
		return nil
	}
	o := slices.MinFunc(near, smaller)
	return &o
}

// toml returns the advice as lines for a policy file. A comment above the cap names the safer cap, so that operators
// read about the safer cap before they paste the lines.
func toml(cap, safer string) string {
	value := func(cap string) string {
		if _, err := strconv.Atoi(cap); err != nil {
			return strconv.Quote(cap)
		}
		return cap
	}
	meanwhile := ""
	if safer != "" {
		meanwhile = "# the machine was too noisy to be sure; until a better measurement, the safer choice is cap = " + value(safer) + "\n"
	}
	return "[arenas]\n" + meanwhile + "cap = " + value(cap) + "\n"
}
