package verdict

// Which cap is advised, and what could speak against it. What it says in words is in sentence.go.

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"arenacap/launcher/sweep/stats"
	"arenacap/policy"
)

// Advice is what follows from a result.
type Advice struct {
	Cap      string // as it was written; "" is no advice
	Sentence string
	TOML     string // to paste into a policy file
	Noisy    bool   // the measurements were too few or too uneven to trust
	Safer    string // the cap to take until Cap is measured better; "" where there is none
}

const (
	// A saving under worthwhile, as a share, is not worth to be set or told; one arena of address space is, whatever
	// else the program has reserved.
	worthwhile = 0.01
	// Resident memory is another one in each run: a saving of it that is under certain, as a share, is no reason to
	// set a cap.
	certain = 0.05
	// noisy is how far from its median an interval may reach before a verdict is called uncertain.
	noisy = 0.05
	// unusable is how far it may reach before there is no verdict: half of what is measured could be lost unseen.
	unusable = 0.5
)

// advise chooses the smallest cap that costs nothing measurable; where no cap differs from another, the one that
// saves most.
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

// leanest is the candidate that needs least address space: of those that differ by too little to matter, the first.
func leanest(fit []Outcome) Outcome {
	least := slices.MinFunc(fit, func(a, b Outcome) int { return cmp.Compare(a.VirtualPeak-1, b.VirtualPeak-1) }) // 0, not known, comes last
	i := slices.IndexFunc(fit, func(o Outcome) bool { return !matters(o.VirtualPeak, least.VirtualPeak) && o.VirtualPeak != 0 })
	return fit[max(0, i)]
}

// size orders candidates: what is not capped comes last.
func (o Outcome) size() int {
	if o.ArenaMax == 0 {
		return math.MaxInt
	}
	return o.ArenaMax
}

func smaller(a, b Outcome) int { return cmp.Compare(a.size(), b.size()) }

// alike reports whether no candidate is worse than another.
func (r *Result) alike() bool {
	return !slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.counts() && !o.fit() || o.spoiled })
}

// saved reports whether a candidate measurably needs less than the base.
func (base Outcome) saved(o Outcome) bool {
	return base.virtualMoved(o) && o.VirtualPeak < base.VirtualPeak ||
		base.residentMoved(o) && share(base.ResidentPeak, o.ResidentPeak) >= certain
}

// virtualMoved reports whether a candidate's peak is measurably another one than that of the base, by more than chance
// and enough to be told. Of one arena alone a cap takes nothing away; Arenas is 0 where nobody could look.
func (base Outcome) virtualMoved(o Outcome) bool {
	return base.Arenas != 1 && o.virtualP < stats.Alpha && matters(base.VirtualPeak, o.VirtualPeak)
}

func (base Outcome) residentMoved(o Outcome) bool {
	return base.Arenas != 1 && o.residentP < stats.Alpha && matters(base.ResidentPeak, o.ResidentPeak)
}

// matters reports whether two sizes that are known differ enough to be told.
func matters(a, b uint64) bool {
	return a != 0 && b != 0 && (math.Abs(share(a, b)) >= worthwhile || max(a, b)-min(a, b) >= policy.ArenaHeap)
}

// share is what b saves of a; 0 where one is not known.
func share(a, b uint64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return (float64(a) - float64(b)) / float64(a)
}

// doubt is what could hide a difference: too few rounds, or intervals that are too wide.
type doubt struct {
	caps, rounds, needed int // caps that were measured, how often each at least, and how often they must be to be told apart

	width float64  // of the widest interval of a cap that is fit: how well one that is worse is known does not matter
	loss  float64  // how far the chosen cap lies behind the best one, where noise could be the reason; 0 is not worth telling
	safer *Outcome // the cap to take meanwhile where that is far
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

// loss is how far a candidate's median of the first metric lies from the best one, as a share.
func (r *Result) loss(o Outcome) float64 {
	best := r.Outcomes[r.best[0]].Measures[0].Median
	if best == 0 {
		return 0
	}
	return math.Abs(o.Measures[0].Median/best - 1)
}

// safer is the smallest cap over the chosen one that is near the best one, where the chosen one is not. There may be none: the
// best one may be smaller, or not fit, for another metric; and nothing is safer than what glibc does by itself.
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

// toml is the advice as a policy. Where another cap is safer that stands before it, so that nobody pastes the one without
// having read of the other.
func toml(cap, safer string) string {
	value := func(cap string) string {
		if _, err := strconv.Atoi(cap); err != nil {
			return strconv.Quote(cap)
		}
		return cap
	}
	meanwhile := ""
	if safer != "" {
		meanwhile = "# the machine was too noisy to be sure; until this is measured better the safer choice is cap = " + value(safer) + "\n"
	}
	return "[arenas]\n" + meanwhile + "cap = " + value(cap) + "\n"
}
