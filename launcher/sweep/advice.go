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
	Safer    string // the cap to take until Cap is measured better; "" where there is none
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
		if chosen = base; slices.ContainsFunc(fit, base.saved) {
			chosen = leanest(slices.DeleteFunc(fit, func(o Outcome) bool { return !base.saved(o) }))
		}
	}
	a := Advice{Cap: chosen.Name}
	limits := ""
	limits, a.Safer, a.Noisy = r.limits(chosen)
	a.TOML = toml(a.Cap, a.Safer)
	a.Sentence = r.verdict(chosen) + r.saving(base, chosen) + r.failures() + limits + "."
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
		return Advice{Sentence: r.Experiment.conflict()}
	}
	return Advice{Sentence: "No run succeeded, so there is nothing to advise."}
}

// conflict says that each cap is worse than another one by some metric.
func (x *Experiment) conflict() string {
	all := "all"
	if len(x.Metrics) == 2 {
		all = "both"
	}
	return fmt.Sprintf("No cap is best in %s: those with the best %s have measurably %s than others; decide which counts.", all, x.Metrics[0].Name,
		either(x.Metrics[1:], func(m Metric) string {
			if m.LowerIsBetter() {
				return "more " + m.Word()
			}
			return "less " + m.Word()
		}))
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

// saved reports whether a candidate measurably needs less than the base.
func (base Outcome) saved(o Outcome) bool {
	return base.virtualMoved(o) && o.VirtualPeak < base.VirtualPeak ||
		base.residentMoved(o) && share(base.ResidentPeak, o.ResidentPeak) >= certain
}

// virtualMoved reports whether a candidate's peak is measurably another one than that of the base, by more than chance
// and enough to be told. Of one arena alone a cap takes nothing away; Arenas is 0 where nobody could look.
func (base Outcome) virtualMoved(o Outcome) bool {
	return base.Arenas != 1 && o.VirtualP < alpha && matters(base.VirtualPeak, o.VirtualPeak)
}

func (base Outcome) residentMoved(o Outcome) bool {
	return base.Arenas != 1 && o.ResidentP < alpha && matters(base.ResidentPeak, o.ResidentPeak)
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
	what, base := r.Experiment.measures(), r.base()
	switch {
	case r.alike() && base.saved(chosen):
		return fmt.Sprintf("Nothing differs measurably in %s; %s saves most", what, chosen.words())
	case r.alike() && base.VirtualPeak == 0:
		return fmt.Sprintf("Nothing differs measurably in %s, and what a cap saves is not known, because the runs were too short to be looked at: %s",
			what, chosen.stays())
	case r.alike() && r.tooFew():
		return fmt.Sprintf("Nothing differs measurably in %s or in memory: %s", what, chosen.stays())
	case r.alike():
		return fmt.Sprintf("Nothing differs measurably in %s, and no cap saves memory: %s", what, chosen.stays())
	case chosen.ArenaMax == 0:
		return fmt.Sprintf("Every cap that was tried costs %s or fails: %s", what, chosen.stays())
	}
	return fmt.Sprintf("%s is the smallest that costs no measurable %s", upperFirst(chosen.words()), what)
}

// stays is what to do where nothing speaks for a change. A cap under test is not how things are now, but for "off", which
// may be one that was inherited, and glibc's own limit on the machine that is simulated.
func (o Outcome) stays() string {
	if o.Default || o.Name == string(policy.Off) {
		return "leave it at " + o.words()
	}
	return o.words() + " is as good as any"
}

// failures says which candidates are left out for runs that failed, and how many did where that is no reason.
func (r *Result) failures() string {
	text, failed, all := "", 0, 0
	for _, o := range r.Outcomes {
		failed, all = failed+o.Failed, all+o.Failed+o.Runs
		if r.spoiled(o) {
			text += fmt.Sprintf("; %s is left out, because %d of its %d runs failed", o.words(), o.Failed, o.Failed+o.Runs)
		}
	}
	if failed > 0 && text == "" {
		return fmt.Sprintf("; %d of %d runs failed, some under each cap", failed, all)
	}
	return text
}

// measures is what a cap could cost, in words.
func (x *Experiment) measures() string { return either(x.Metrics, Metric.Word) }

func either(metrics []Metric, word func(Metric) string) string {
	words := make([]string, len(metrics))
	for i, m := range metrics {
		words[i] = word(m)
	}
	return strings.Join(words, " or ")
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
	virtual := change(base.VirtualPeak, chosen.VirtualPeak, base.virtualMoved(chosen))
	resident := change(base.ResidentPeak, chosen.ResidentPeak, base.residentMoved(chosen))
	and := ", and " + resident
	if rest, ok := strings.CutPrefix(resident, "saves "); ok && strings.HasPrefix(virtual, "saves ") {
		and = " and " + rest
	}
	return fmt.Sprintf(": at the peak it %s of virtual%s of resident memory against %q", virtual, and, base.Name)
}

// change is what is saved, in words.
func change(base, chosen uint64, moved bool) string {
	text := mebibytes(max(base, chosen) - min(base, chosen))
	if saved := share(base, chosen); math.Abs(saved) >= worthwhile {
		text += fmt.Sprintf(" (%.0f %%)", 100*math.Abs(saved))
	}
	switch {
	case !moved:
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

// rounds is how many candidates were measured, how often each at least, and how often they must be to be told apart.
func (r *Result) rounds() (measured, fewest, need int) {
	fewest = math.MaxInt
	for _, o := range r.Outcomes {
		if o.Runs > 0 {
			measured, fewest = measured+1, min(fewest, o.Runs)
		}
	}
	return measured, fewest, roundsNeeded(measured, len(r.Experiment.Metrics))
}

// tooFew reports whether nothing could have differed measurably.
func (r *Result) tooFew() bool {
	_, fewest, need := r.rounds()
	return fewest < need
}

// limits says what could hide a difference, and whether that is too much: too few rounds, or intervals that are too wide.
func (r *Result) limits(chosen Outcome) (text, safer string, tooMuch bool) {
	if measured, fewest, need := r.rounds(); fewest < need {
		return fmt.Sprintf("; but so few rounds (%d) cannot tell %d caps apart: at least %d are needed", fewest, measured, need), "", true
	}
	width := 0.0
	for _, o := range r.Outcomes {
		if o.Fit() { // how well a cap that is worse is known does not matter
			width = max(width, o.width())
		}
	}
	if width > noisy {
		behind, safer := r.behind(chosen)
		return fmt.Sprintf("; but the machine was too noisy to be sure: the medians are known to %s only%s; try --until 2%% or a quieter machine",
			percent(width), behind), safer, true
	}
	if width == 0 {
		return "", "", false
	}
	return fmt.Sprintf("; differences under about %s would not have shown", percent(2*width)), "", false
}

// behind says how far a candidate's median of the first metric lies behind the best one, where noise could be the reason, and which
// one to take meanwhile where that is far.
func (r *Result) behind(chosen Outcome) (text, safer string) {
	best := r.best(0)
	if best < 0 || r.Outcomes[best].Measures[0].Median == 0 {
		return "", ""
	}
	loss := func(o Outcome) float64 {
		return math.Abs(o.Measures[0].Median/r.Outcomes[best].Measures[0].Median - 1)
	}
	if loss(chosen) <= worthwhile {
		return "", ""
	}
	text = fmt.Sprintf(", and that of %s lies %s behind the best (%s)", chosen.words(), percent(loss(chosen)), r.Outcomes[best].Name)
	near := slices.DeleteFunc(slices.Clone(r.Outcomes), func(o Outcome) bool { return !o.Fit() || r.spoiled(o) || loss(o) > noisy })
	if loss(chosen) <= noisy || len(near) == 0 { // the best in throughput may not be fit, for its latency
		return text, ""
	}
	meanwhile := slices.MinFunc(near, smaller)
	return text + ", so that " + meanwhile.words() + " is the safer choice", meanwhile.Name
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Ceil(share*1000)/10, 'f', 1, 64) + " %"
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

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
