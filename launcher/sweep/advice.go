package sweep

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"arenacap/policy"
)

// Advice is what follows from a result.
type Advice struct {
	Cap      string // as it was written; "" is no advice
	Sentence string
	TOML     string // to paste into a policy file
	Noisy    bool   // the measurements were too few or too uneven to trust
}

// A saving under worthwhile, as a share, is not worth to be set or told; one arena of address space is, whatever
// else the program has reserved.
const worthwhile = 0.01

// Resident memory is another one in each run: a saving of it that is under certain, as a share, is no reason to set a cap.
const certain = 0.05

// advise chooses the smallest cap that costs nothing measurable; where no cap differs from another, the one that
// saves most.
func advise(r *Result) Advice {
	fit := slices.DeleteFunc(slices.Clone(r.Outcomes), func(o Outcome) bool { return !o.Fit() || r.spoiled(o) })
	if len(fit) == 0 {
		return r.noAdvice()
	}
	slices.SortStableFunc(fit, smaller)
	chosen, base := fit[0], r.base()
	if r.alike() {
		if chosen = leanest(fit); !saves(base, chosen) {
			chosen = base
		}
	}
	a := Advice{Cap: chosen.Name, TOML: toml(chosen.Name)}
	limits, noisy := r.limits(chosen)
	a.Noisy = noisy
	a.Sentence = r.verdict(chosen) + r.saving(base, chosen) + limits + "."
	return a
}

// leanest is the candidate that needs least address space: of those that differ by too little to matter, the first.
func leanest(fit []Outcome) Outcome {
	least := slices.MinFunc(fit, func(a, b Outcome) int { return cmp.Compare(a.VirtualPeak-1, b.VirtualPeak-1) }) // 0, not known, comes last
	i := slices.IndexFunc(fit, func(o Outcome) bool { return !matters(o.VirtualPeak, least.VirtualPeak) && o.VirtualPeak != 0 })
	return fit[max(0, i)]
}

// noAdvice says why there is none.
func (r *Result) noAdvice() Advice {
	if slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Runs > 0 }) {
		return Advice{Sentence: "No cap is best in both: those with the best throughput have measurably more latency than others; decide which counts."}
	}
	return Advice{Sentence: "No run succeeded, so there is nothing to advise."}
}

// size orders candidates: what is not capped comes last.
func (o Outcome) size() int {
	if o.ArenaMax == 0 {
		return math.MaxInt
	}
	return o.ArenaMax
}

func smaller(a, b Outcome) int { return cmp.Compare(a.size(), b.size()) }

// base is what savings are told against: what glibc does by itself, else the largest cap.
func (r *Result) base() Outcome {
	base := Outcome{}
	for _, o := range r.Outcomes {
		if o.Runs > 0 && (base.Runs == 0 || o.Default && !base.Default || o.Default == base.Default && o.size() > base.size()) {
			base = o
		}
	}
	return base
}

// alike reports whether no candidate is worse than another.
func (r *Result) alike() bool {
	return !slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Runs > 0 && !o.Fit() || r.spoiled(o) })
}

func saves(base, o Outcome) bool {
	return matters(base.VirtualPeak, o.VirtualPeak) && o.VirtualPeak < base.VirtualPeak ||
		share(base.ResidentPeak, o.ResidentPeak) >= certain
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

func (r *Result) verdict(chosen Outcome) string {
	what := r.Experiment.measures()
	switch {
	case r.alike() && saves(r.base(), chosen):
		return fmt.Sprintf("Nothing differs measurably in %s; %s saves most", what, chosen.words())
	case r.alike() && r.base().VirtualPeak == 0:
		return fmt.Sprintf("Nothing differs measurably in %s, and what a cap saves is not known, because the runs were too short to be looked at: leave it at %s",
			what, chosen.words())
	case r.alike():
		return fmt.Sprintf("Nothing differs measurably in %s, and no cap saves memory: leave it at %s", what, chosen.words())
	case chosen.ArenaMax == 0:
		return fmt.Sprintf("Every cap that was tried costs %s or fails: leave it at %s", what, chosen.words())
	}
	return fmt.Sprintf("%s is the smallest that costs no measurable %s", upperFirst(chosen.words()), what)
}

// measures is what a cap could cost, in words.
func (x *Experiment) measures() string {
	what := "throughput"
	if x.Throughput.Pattern == "" {
		what = "wall time"
	}
	if x.HasLatency() {
		what += " or latency"
	}
	return what
}

func (o Outcome) words() string {
	if o.ArenaMax == 0 {
		return strconv.Quote(o.Name)
	}
	if n := strconv.Itoa(o.ArenaMax); n != o.Name {
		return fmt.Sprintf("a cap of %q (%s here)", o.Name, n)
	}
	return "a cap of " + o.Name
}

// saving compares the memory with that of the base.
func (r *Result) saving(base, chosen Outcome) string {
	if chosen.Name == base.Name {
		return ""
	}
	if chosen.VirtualPeak == 0 || base.VirtualPeak == 0 {
		return "; what it saves is not known: the runs were too short to be looked at"
	}
	virtual, resident := change(base.VirtualPeak, chosen.VirtualPeak), change(base.ResidentPeak, chosen.ResidentPeak)
	and := ", and " + resident
	if rest, ok := strings.CutPrefix(resident, "saves "); ok && strings.HasPrefix(virtual, "saves ") {
		and = " and " + rest
	}
	return fmt.Sprintf(": at the peak it %s of virtual%s of resident memory against %q", virtual, and, base.Name)
}

// change is what is saved, in words.
func change(base, chosen uint64) string {
	text := mebibytes(max(base, chosen) - min(base, chosen))
	if saved := share(base, chosen); math.Abs(saved) >= worthwhile {
		text += fmt.Sprintf(" (%.0f %%)", 100*math.Abs(saved))
	}
	switch {
	case !matters(base, chosen):
		return "saves nothing"
	case chosen > base:
		return "takes " + text + " more"
	}
	return "saves " + text
}

// mebibytes is a size without the digits that nobody needs.
func mebibytes(n uint64) string {
	if n > 10<<20 {
		n = n >> 20 << 20
	}
	return policy.FormatSize(n)
}

// limits says what could hide a difference, and whether that is too much: too few rounds, or intervals that are too wide.
func (r *Result) limits(chosen Outcome) (text string, tooMuch bool) {
	metrics := 1
	if r.Experiment.HasLatency() {
		metrics = 2
	}
	measured, fewest, width := 0, math.MaxInt, 0.0
	for _, o := range r.Outcomes {
		if o.Runs > 0 {
			measured, fewest = measured+1, min(fewest, o.Runs)
		}
		if o.Fit() { // how well a cap that is worse is known does not matter
			width = max(width, o.width(metrics > 1))
		}
	}
	if need := roundsNeeded(measured, metrics); fewest < need {
		return fmt.Sprintf("; but so few rounds (%d) cannot tell %d caps apart: at least %d are needed", fewest, measured, need), true
	}
	if width > noisy {
		return fmt.Sprintf("; but the machine was too noisy to be sure: the medians are known to %s only%s; try --until 2%% or a quieter machine",
			percent(width), r.behind(chosen)), true
	}
	if width == 0 {
		return "", false
	}
	return fmt.Sprintf("; differences under about %s would not have shown", percent(2*width)), false
}

// behind says how far the median of a candidate lies behind the best one, where noise could be the reason, and which
// one to take meanwhile where that is far.
func (r *Result) behind(chosen Outcome) string {
	best := r.best(func(o Outcome) Interval { return o.Throughput }, r.Experiment.Throughput)
	if best < 0 || r.Outcomes[best].Throughput.Median == 0 {
		return ""
	}
	loss := func(o Outcome) float64 {
		return math.Abs(o.Throughput.Median/r.Outcomes[best].Throughput.Median - 1)
	}
	if loss(chosen) <= worthwhile {
		return ""
	}
	text := fmt.Sprintf(", and that of %s lies %s behind the best (%s)", chosen.words(), percent(loss(chosen)), r.Outcomes[best].Name)
	safer := slices.DeleteFunc(slices.Clone(r.Outcomes), func(o Outcome) bool { return !o.Fit() || r.spoiled(o) || loss(o) > noisy })
	if loss(chosen) > noisy && len(safer) > 0 { // the best in throughput may not be fit, for its latency
		text += ", so that " + slices.MinFunc(safer, smaller).words() + " is the safer choice"
	}
	return text
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Ceil(share*1000)/10, 'f', 1, 64) + " %"
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func toml(cap string) string {
	if _, err := strconv.Atoi(cap); err != nil {
		cap = strconv.Quote(cap)
	}
	return "[arenas]\ncap = " + cap + "\n"
}
