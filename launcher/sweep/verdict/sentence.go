package verdict

// This file writes the sentences of the advice: the cap, its savings, the failures, and the certainty.

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"arenacap/launcher/sweep"
	"arenacap/policy"
	"arenacap/policy/text"
)

func (r *Result) sentence(chosen Outcome, d doubt) string {
	return r.choice(chosen) + r.saving(chosen) + r.failures() + r.limits(chosen, d) + "."
}

// noAdvice says why there is no advice.
func (r *Result) noAdvice() string {
	if !slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.ran() }) {
		return "No advice: no run succeeded."
	}
	metrics := r.Experiment.Metrics
	all := "all"
	if len(metrics) == 2 {
		all = "both"
	}
	return fmt.Sprintf("No cap is best in %s metrics: the caps with the best %s are measurably worse by another metric (%s than other caps); decide which metric matters more.", all, metrics[0].Name,
		either(metrics[1:], func(m sweep.Metric) string {
			if m.LowerIsBetter() {
				return "more " + m.Word()
			}
			return "less " + m.Word()
		}))
}

// missed says that there is nothing to compare, because caps had no effect. It returns "" if at least two caps are
// compared, or if no cap is known to have had no effect.
func (r *Result) missed() string {
	var why []string
	counted := 0
	for _, o := range r.Outcomes {
		if o.counts() {
			counted++
		}
		if o.missed() {
			why = append(why, fmt.Sprintf("cap %s: %s", o.Name, o.aside))
		}
	}
	if counted > 1 || len(why) == 0 {
		return ""
	}
	return "No advice: the caps had no effect, so there is nothing to compare; " + strings.Join(why, "; ") + "."
}

func either(metrics []sweep.Metric, word func(sweep.Metric) string) string {
	words := make([]string, len(metrics))
	for i, m := range metrics {
		words[i] = word(m)
	}
	return strings.Join(words, " or ")
}

// undecided says why the measurements give no advice, and how to get one.
func (r *Result) undecided(d doubt) string {
	why := fmt.Sprintf("the machine was too noisy to tell the caps apart, and the medians are accurate only to %s", percent(d.width))
	do := "try --until 10% or a quieter machine"
	if d.tooFew() {
		why, do = fmt.Sprintf("%s cannot tell %d caps apart", text.Count(d.rounds, "round"), d.caps), fmt.Sprintf("at least %d are needed", d.needed)
	}
	return "No advice: " + why + r.failures() + "; " + do + "."
}

// choice says which cap is advised and why.
func (r *Result) choice(chosen Outcome) string {
	what, base := either(r.Experiment.Metrics, sweep.Metric.Word), r.Outcomes[r.base]
	switch {
	case r.alike() && base.saved(chosen):
		return fmt.Sprintf("Nothing differs measurably in %s; %s saves the most memory", what, chosen.words())
	case r.alike() && base.VirtualPeak == 0:
		return fmt.Sprintf("Nothing differs measurably in %s, and what a cap saves is not known, because the runs were too short to measure memory: %s",
			what, chosen.stays())
	case r.alike():
		return fmt.Sprintf("Nothing differs measurably in %s, and no cap saves memory: %s", what, chosen.stays())
	case chosen.ArenaMax == 0:
		return fmt.Sprintf("Every tested cap costs %s or fails: %s", what, chosen.stays())
	}
	words := chosen.words()
	return fmt.Sprintf("%s is the smallest that costs no measurable %s", strings.ToUpper(words[:1])+words[1:], what)
}

// stays says what to do if there is no reason for a change. It says "keep" only of a setting that the program may have
// at present: "off", under which the program may inherit a cap, or glibc's own limit. Any other cap was set for the
// sweep alone, so there is nothing to keep.
func (o Outcome) stays() string {
	if o.asItIs() {
		return "keep " + o.words()
	}
	return o.words() + " is as good as any"
}

func (o Outcome) asItIs() bool { return o.Default || o.Name == string(policy.Off) }

func (o Outcome) words() string {
	if o.ArenaMax == 0 {
		return strconv.Quote(o.Name)
	}
	if n := strconv.Itoa(o.ArenaMax); n != o.Name {
		return fmt.Sprintf("a cap of %q (%s here)", o.Name, n)
	}
	return "a cap of " + o.Name
}

// saving returns words that compare the peaks of memory under the chosen cap with the peaks under the base.
func (r *Result) saving(chosen Outcome) string {
	base := r.Outcomes[r.base]
	if chosen.Name == base.Name {
		return ""
	}
	if chosen.VirtualPeak == 0 || base.VirtualPeak == 0 {
		return "; what it saves is not known: the runs were too short to measure memory"
	}
	virtual := change(base.VirtualPeak, chosen.VirtualPeak, base.virtualMoved(chosen))
	resident := change(base.ResidentPeak, chosen.ResidentPeak, base.residentMoved(chosen))
	and := ", and " + resident
	if rest, ok := strings.CutPrefix(resident, "saves "); ok && strings.HasPrefix(virtual, "saves ") {
		and = " and " + rest
	}
	return fmt.Sprintf(": at the peak it %s of virtual%s of resident memory against %q", virtual, and, base.Name)
}

// change returns words for the difference between two sizes, as a saving.
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

// mebibytes formats a size as text.Size does, but without a fraction between 10 MiB and 1 GiB.
func mebibytes(n uint64) string {
	if n > 10<<20 {
		n = n >> 20 << 20
	}
	return text.Size(n)
}

// failures says which candidates are left out because of failed runs, or else how many runs failed.
func (r *Result) failures() string {
	text, failed, all := "", 0, 0
	for _, o := range r.Outcomes {
		runs := o.Failed + len(o.Runs)
		failed, all = failed+o.Failed, all+runs
		if o.spoiled {
			text += fmt.Sprintf("; %s is left out, because %d of its %d runs failed", o.words(), o.Failed, runs)
		}
	}
	if failed > 0 && text == "" {
		return fmt.Sprintf("; %d of %d runs failed, some under each cap", failed, all)
	}
	return text
}

// limits says how certain the advice is.
func (r *Result) limits(chosen Outcome, d doubt) string {
	switch {
	case d.width > noisy:
		return fmt.Sprintf("; but the machine was too noisy to be sure: the medians are accurate only to %s%s; try --until 2%% or a quieter machine",
			percent(d.width), r.behind(chosen, d))
	case d.width == 0:
		return ""
	}
	return fmt.Sprintf("; differences under about %s would not have been detected", percent(2*d.width))
}

func (r *Result) behind(chosen Outcome, d doubt) string {
	if d.loss == 0 || chosen.asItIs() {
		return ""
	}
	text := fmt.Sprintf(", and the median of %s is %s worse than the best (cap %s)", chosen.words(), percent(d.loss), r.Outcomes[r.best[0]].Name)
	if d.safer == nil {
		return text
	}
	return fmt.Sprintf("%s, so %s, whose median is within %s of the best, is the safer choice", text, d.safer.words(), percent(noisy))
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Ceil(share*1000)/10, 'f', 1, 64) + " %"
}
