package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/stats"
	"arenacap/launcher/testenv"
)

// metrics returns metrics from the start of sweep.Metrics, one for each pattern; "" stands for the wall time.
func metrics(patterns ...string) (list []sweep.Metric) {
	for i, pattern := range patterns {
		m := sweep.Metrics[i]
		if pattern != "" {
			var err error
			if m, err = m.Parse(pattern); err != nil {
				panic(err)
			}
		}
		list = append(list, m)
	}
	return list
}

// values returns the values of a run: one for each of the first metrics of the list.
func values(list ...float64) map[string]float64 {
	m := map[string]float64{}
	for i, v := range list {
		m[sweep.Metrics[i].Name] = v
	}
	return m
}

// world simulates a machine: it draws the throughput or latency of one run.
type world struct {
	name string
	draw func(r *rand.Rand, round int) float64
}

var worlds = []world{
	{"normal noise", func(r *rand.Rand, _ int) float64 { return 1000 + 20*r.NormFloat64() }},
	{"a long tail", func(r *rand.Rand, _ int) float64 { return 1000 * math.Exp(0.3*r.NormFloat64()) }},
	{"now and then disturbed", func(r *rand.Rand, _ int) float64 {
		if r.IntN(5) == 0 {
			return 500 + 10*r.NormFloat64()
		}
		return 1000 + 10*r.NormFloat64()
	}},
	{"drift from round to round", func(r *rand.Rand, round int) float64 { return 1000 + 30*float64(round) + 20*r.NormFloat64() }},
	{"few distinct values", func(r *rand.Rand, _ int) float64 { return float64(10 + r.IntN(3)) }},
}

func simulated(caps int, latency bool) sweep.Experiment {
	var x sweep.Experiment
	if x.Metrics = metrics("x", "y"); !latency {
		x.Metrics = x.Metrics[:1]
	}
	for i := range caps {
		x.Candidates = append(x.Candidates, sweep.Candidate{Name: fmt.Sprint(i + 1), ArenaMax: i + 1})
	}
	return x
}

// simulate returns the runs of an experiment in a simulated world. The argument "slow" has a factor for the throughput
// of each candidate.
func simulate(x sweep.Experiment, w world, rounds int, r *rand.Rand, slow ...float64) []sweep.Run {
	var runs []sweep.Run
	for round := range rounds {
		for i, c := range x.Candidates {
			run := sweep.Run{Cap: c.Name, Round: round + 1, Values: values(w.draw(r, round), w.draw(r, round)), VirtualPeak: uint64(c.ArenaMax) << 26}
			if i < len(slow) {
				run.Values["throughput"] *= slow[i]
			}
			runs = append(runs, run)
		}
	}
	return runs
}

func anyDifference(r Result) bool {
	for _, o := range r.Outcomes {
		if !o.fit() {
			return true
		}
	}
	return false
}

// TestCapsThatAreTheSame is the A/A check: experiments on identical caps may find a difference in at most 5 of
// 100.
func TestCapsThatAreTheSame(t *testing.T) {
	const experiments = 300
	for i, c := range []struct {
		caps, rounds int
		latency      bool
	}{{2, 10, false}, {6, 10, true}, {5, 10, false}, {4, 25, true}} {
		if i > 1 && !testenv.Full() {
			break
		}
		for _, w := range worlds {
			r := rand.New(rand.NewPCG(1, uint64(c.caps)))
			x, wrong := simulated(c.caps, c.latency), 0
			for range experiments {
				if anyDifference(Judge(x, simulate(x, w, c.rounds, r))) {
					wrong++
				}
			}
			t.Logf("%d caps, %d rounds, latency %t, %s: %d of %d", c.caps, c.rounds, c.latency, w.name, wrong, experiments)
			if wrong*100 > 5*experiments {
				t.Errorf("%d caps, %d rounds, %s: a difference in %d of %d experiments on equal caps", c.caps, c.rounds, w.name, wrong, experiments)
			}
		}
	}
}

// TestMemoryThatIsTheSame is the A/A check of the savings: if every cap needs the same memory, with 10 % noise, at most 5
// of 100 experiments may report a saving. If one cap needs half, at least 90 of 100 experiments with 10 rounds or more must
// report a saving.
func TestMemoryThatIsTheSame(t *testing.T) {
	const experiments = 300
	for _, c := range []struct{ caps, rounds int }{{2, 10}, {5, 10}, {6, 20}, {5, 2}} {
		for name, less := range map[string]float64{"the same": 1, "half": 0.5} {
			r := rand.New(rand.NewPCG(5, uint64(c.caps)))
			x, told := simulated(c.caps, false), 0
			for range experiments {
				runs := simulate(x, worlds[0], c.rounds, r)
				for i := range runs {
					size := float64(1<<30) * (1 + 0.1*r.NormFloat64())
					if runs[i].Cap == "1" {
						size *= less
					}
					runs[i].VirtualPeak, runs[i].ResidentPeak = uint64(size), uint64(size*(1+0.1*r.NormFloat64()))
				}
				a := Judge(x, runs).Advice
				if strings.Contains(a.Sentence, "at the peak it ") && !strings.Contains(a.Sentence, "saves nothing of virtual and nothing of resident") {
					told++
				}
			}
			t.Logf("%d caps, %d rounds, %s: %d of %d", c.caps, c.rounds, name, told, experiments)
			if less == 1 && told*100 > 5*experiments || less < 1 && c.rounds >= 10 && told*100 < 90*experiments {
				t.Errorf("%d caps, %d rounds, %s: a saving is reported in %d of %d experiments", c.caps, c.rounds, name, told, experiments)
			}
		}
	}
}

// TestCapsThatAreTheSameUntilNarrow is the A/A check for experiments that stop when their intervals are narrow enough.
func TestCapsThatAreTheSameUntilNarrow(t *testing.T) {
	const experiments = 200
	r := rand.New(rand.NewPCG(7, 7))
	x, wrong := simulated(4, false), 0
	x.Rounds, x.Until = 10, 0.015
	for range experiments {
		runs := simulate(x, worlds[0], 30, r)
		n := 4 * x.Rounds
		for ; n < len(runs) && !x.Narrow(runs[:n]); n += 4 {
		}
		if anyDifference(Judge(x, runs[:n])) {
			wrong++
		}
	}
	t.Logf("%d of %d", wrong, experiments)
	if wrong*100 > 5*experiments {
		t.Errorf("a difference in %d of %d experiments on equal caps", wrong, experiments)
	}
}

// TestCapsThatDiffer checks that at least 95 of 100 experiments find a real difference between caps. A Judge that never
// finds one would pass TestCapsThatAreTheSame.
func TestCapsThatDiffer(t *testing.T) {
	const experiments = 200
	r := rand.New(rand.NewPCG(2, 2))
	x, found := simulated(5, true), 0
	for range experiments {
		result := Judge(x, simulate(x, worlds[0], 10, r, 0.9)) // cap 1 has 10 % less throughput; the noise is 2 %
		if result.Outcomes[0].Measures[0].Worse && result.Advice.Cap == "2" {
			found++
		}
	}
	t.Logf("%d of %d", found, experiments)
	if found < experiments*95/100 {
		t.Errorf("10 %% less throughput at 2 %% noise was found in %d of %d experiments", found, experiments)
	}
}

// TestRoundsNeeded: with one round less than needed, the advice is marked as noisy even if the difference is large;
// with as many as needed, the difference is significant.
func TestRoundsNeeded(t *testing.T) {
	for _, c := range []struct{ caps, want int }{{2, 6}, {5, 6}, {6, 6}, {8, 7}, {12, 7}} {
		if got := stats.RoundsNeeded(c.caps, 1); got != c.want {
			t.Errorf("%d caps need %d rounds, want %d", c.caps, got, c.want)
		}
		x := simulated(c.caps, false)
		slow := make([]float64, c.caps)
		for i := range slow {
			slow[i] = math.Pow(0.5, float64(c.caps-i))
		}
		for rounds := c.want - 1; rounds <= c.want; rounds++ {
			r := Judge(x, simulate(x, worlds[0], rounds, rand.New(rand.NewPCG(1, 1)), slow...))
			slower := r.Outcomes[0].Measures[0].Worse
			if enough := rounds == c.want; enough && !slower || !enough && !r.Advice.Noisy {
				t.Errorf("%d caps, %d rounds: slower %t, noisy %t", c.caps, rounds, slower, r.Advice.Noisy)
			}
		}
	}
}

// TestNoisy: with little noise the advice is certain. With much noise the sentence says how far the advised cap is
// behind the best one, and which cap is safer, if there is one.
func TestNoisy(t *testing.T) {
	x := simulated(3, false)
	for _, c := range []struct {
		noise float64
		noisy bool
	}{{0, false}, {10, false}, {300, true}} {
		w := world{draw: func(r *rand.Rand, _ int) float64 { return 1000 + c.noise*r.NormFloat64() }}
		if a := Judge(x, simulate(x, w, 10, rand.New(rand.NewPCG(4, 4)))).Advice; a.Noisy != c.noisy {
			t.Errorf("noise %g: %t, %s", c.noise, a.Noisy, a.Sentence)
		}
	}
	runs := simulate(x, worlds[1], 10, rand.New(rand.NewPCG(4, 4)), 0.8)
	const toml = "[arenas]\n# the machine was too noisy to be sure; until a better measurement, the safer choice is cap = 2\ncap = 1\n"
	if a := Judge(x, runs).Advice; !a.Noisy || a.Cap != "1" || a.Safer != "2" || a.TOML != toml || !strings.Contains(a.Sentence, "%, and the median of a cap of 1 is ") ||
		!strings.Contains(a.Sentence, " worse than the best (cap 3), so a cap of 2, whose median is within 5.0 % of the best, is the safer choice; try --until 2% ") {
		t.Errorf("a fifth less throughput, which noise hides: %s", a.Sentence)
	}
	x = simulated(3, true)
	runs = simulate(x, worlds[1], 10, rand.New(rand.NewPCG(4, 4)), 0.7)
	for i := range runs { // the cap with the best throughput gets a higher latency
		v := runs[i].Values
		if v["latency"] = 1; runs[i].Cap == "3" {
			v["latency"], v["throughput"] = 2, v["throughput"]*1.2
		}
	}
	if a := Judge(x, runs).Advice; !a.Noisy || !strings.Contains(a.Sentence, " worse than the best (cap 3)") || strings.Contains(a.Sentence, "cap of 3 is the safer choice") ||
		strings.Contains(a.Sentence, "is the safer choice") != (a.Safer != "") {
		t.Errorf("no cap is safer: %s", a.Sentence)
	}
}

// TestSafer: if noise makes another cap look better than the advised one, the safer choice is a larger cap. No safer cap is
// named if the advice is to change nothing.
func TestSafer(t *testing.T) {
	x := situation{}.experiment()
	w := world{draw: func(r *rand.Rand, _ int) float64 { return 1000 * math.Exp(0.3*r.NormFloat64()) }}
	for _, memory := range []struct {
		saved bool
		cap   string
	}{{false, "off"}, {true, "1"}} {
		named := 0
		for seed := range uint64(100) {
			runs := simulate(x, w, 10, rand.New(rand.NewPCG(3, seed)), 1, 0.9)
			for i := range runs {
				if runs[i].VirtualPeak = 1 << 30; memory.saved && runs[i].Cap == "1" {
					runs[i].VirtualPeak = 1 << 29
				}
			}
			a := Judge(x, runs).Advice
			if a.Cap != memory.cap { // noise made another cap look better, or there was no advice
				continue
			}
			if a.Safer != "" {
				named++
			}
			if behind := strings.Contains(a.Sentence, " worse than the best "); a.Safer == a.Cap || !memory.saved && (behind || a.Safer != "") {
				t.Errorf("cap %q, safer %q: %s", a.Cap, a.Safer, a.Sentence)
			}
		}
		if (named > 0) != memory.saved {
			t.Errorf("cap %s: a safer choice was named %d times", memory.cap, named)
		}
	}
	// The advice does not name a cap below the chosen one as the safer choice, even if the values of the smaller cap are better.
	x = simulated(3, false)
	runs := simulate(x, worlds[1], 10, rand.New(rand.NewPCG(4, 4)), 1, 0.8, 0.8)
	for i := range runs {
		runs[i].VirtualPeak = 1 << 31
		if runs[i].Cap == "2" {
			runs[i].VirtualPeak = 1 << 29
		}
	}
	if a := Judge(x, runs).Advice; a.Cap != "2" || a.Safer != "" || !strings.Contains(a.Sentence, "the median of a cap of 2 is ") || !strings.Contains(a.Sentence, " worse than the best (cap 1); ") {
		t.Errorf("cap %q, safer %q: %s", a.Cap, a.Safer, a.Sentence)
	}
}

// TestUnusable: there is no advice if the intervals are so wide that half of the throughput could be lost unnoticed.
func TestUnusable(t *testing.T) {
	x := situation{}.experiment()
	for name, saved := range map[string]bool{"a cap saves memory": true, "none does": false} {
		runs := simulate(x, world{draw: func(r *rand.Rand, _ int) float64 { return math.Exp(1.5 * r.NormFloat64()) }}, 10, rand.New(rand.NewPCG(1, 1)))
		for i := range runs {
			if runs[i].VirtualPeak = 1 << 30; saved && runs[i].Cap == "1" {
				runs[i].VirtualPeak = 1 << 29
			}
		}
		a := Judge(x, runs).Advice
		if a.Cap != "" || a.TOML != "" || a.Safer != "" || !a.Noisy || !strings.HasPrefix(a.Sentence, "No advice: the machine was too noisy to tell the caps apart, and the medians are accurate only to ") ||
			!strings.HasSuffix(a.Sentence, " %; try --until 10% or a quieter machine.") {
			t.Errorf("%s: cap %q, %s", name, a.Cap, a.Sentence)
		}
	}
}

// TestTooFew: with too few rounds there is no advice. The rounds of a cap that is left out because of its failures do not
// count.
func TestTooFew(t *testing.T) {
	s := situation{throughput: []float64{1000, 1000, 1000, 1000}, virtual: []uint64{1024, 64, 128, 256}, resident: []uint64{100, 100, 100, 100}}
	runs := slices.DeleteFunc(s.runs(), func(r sweep.Run) bool { return r.Round > 3 })
	if a := Judge(s.experiment(), runs).Advice; a.Cap != "" || a.TOML != "" || !a.Noisy || a.Sentence != "No advice: 3 rounds cannot tell 4 caps apart; at least 6 are needed." {
		t.Errorf("cap %q, %q: %s", a.Cap, a.TOML, a.Sentence)
	}
	s.failed = []int{0, 8, 0, 0}
	if a := Judge(s.experiment(), s.runs()).Advice; a.Cap != "2" || !strings.Contains(a.Sentence, "a cap of 1 is left out, because 8 of its 10 runs failed") {
		t.Errorf("cap %q: %s", a.Cap, a.Sentence)
	}
}

// TestCapsThatDidNotCount: a cap is not compared if it had no effect, or if it led to as many arenas as a cap without
// effect, although the values of the caps differ much.
func TestCapsThatDidNotCount(t *testing.T) {
	const missed = "4 arenas; the program does not keep the cap"
	for name, c := range map[string]struct {
		arenas  []int  // numbers of arenas under the caps off, 1, 4 and 8
		missed  string // the caps whose runs the test marks as not kept (Run.NotKept)
		aside   string
		advises bool
	}{
		"all kept":                {[]int{16, 1, 4, 8}, "", "", true},
		"the program has its own": {[]int{4, 4, 4, 4}, "1", "1 4 8", false},
		"nothing arrived":         {[]int{16, 16, 16, 16}, "1 4 8", "1 4 8", false},
		"one is not kept":         {[]int{16, 3, 4, 8}, "1", "1", true},
		"only one arena":          {[]int{1, 1, 1, 1}, "", "", true},
		"arenas were not counted": {[]int{0, 0, 0, 0}, "", "", true},
	} {
		x := sweep.Experiment{Metrics: metrics("x")}
		var runs []sweep.Run
		for i, cap := range []int{0, 1, 4, 8} {
			candidate := sweep.Candidate{Name: strings.Replace(fmt.Sprint(cap), "0", "off", 1), ArenaMax: cap, Default: cap == 0}
			x.Candidates = append(x.Candidates, candidate)
			for round := 1; round <= 12; round++ {
				r := sweep.Run{Cap: candidate.Name, Round: round, Values: values(float64(1000*(i+1) + round)), Arenas: c.arenas[i]}
				if slices.Contains(strings.Fields(c.missed), candidate.Name) {
					r.NotKept = missed
				}
				runs = append(runs, r)
			}
		}
		got := Judge(x, runs)
		var aside []string
		for _, o := range got.Outcomes {
			if o.aside != "" {
				aside = append(aside, o.Name)
			}
			if o.aside != "" && slices.ContainsFunc(o.Measures, func(m Measure) bool { return m.Worse }) {
				t.Errorf("%s: cap %s is called worse", name, o.Name)
			}
		}
		if strings.Join(aside, " ") != c.aside || (got.Advice.Cap != "") != c.advises || len(got.NotCompared()) != len(aside) {
			t.Errorf("%s: left out %q, advice %q %q; want %q", name, aside, got.Advice.Cap, got.Advice.Sentence, c.aside)
		}
	}
}
