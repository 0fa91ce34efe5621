package verdict

import (
	"math/rand/v2"
	"strings"
	"testing"

	"arenacap/launcher/sweep"
)

// situation is an invented measurement: for each candidate its throughput, latency, memory and failures.
type situation struct {
	name                string
	throughput, latency []float64
	virtual, resident   []uint64 // sizes in MiB
	failed              []int    // for each candidate, the number of failed runs among its 10 runs
	cap                 string
	sentence            string
}

var situations = []situation{
	{"a smaller cap is slower", []float64{1000, 500, 1000, 1000}, nil, []uint64{1024, 64, 128, 256}, []uint64{200, 100, 100, 100}, nil,
		"2", `A cap of 2 is the smallest that costs no measurable throughput: at the peak it saves 896 MiB (88 %) of virtual and 100 MiB (50 %) of resident memory against "off"`},
	{"nothing differs", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, nil,
		"1", `Nothing differs measurably in throughput; a cap of 1 saves the most memory: at the peak it saves 960 MiB (94 %) of virtual and nothing of resident memory against "off"`},
	{"two caps save the same but for some pages", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 130, 129, 256}, []uint64{100, 100, 100, 100}, nil,
		"1", `Nothing differs measurably in throughput; a cap of 1 saves the most memory: at the peak it saves 894 MiB (87 %) of virtual and nothing of resident memory against "off"`},
	{"the smallest cap takes more", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 2048, 129, 256}, []uint64{100, 100, 100, 100}, nil,
		"2", `Nothing differs measurably in throughput; a cap of 2 saves the most memory: at the peak it saves 895 MiB`},
	{"nothing differs and nothing is saved", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 1024, 1024, 1024}, []uint64{100, 100, 100, 100}, nil,
		"off", `Nothing differs measurably in throughput, and no cap saves memory: keep "off"`},
	{"what is saved is noise", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 1024, 1024, 1024}, []uint64{100, 97, 98, 99}, nil,
		"off", `Nothing differs measurably in throughput, and no cap saves memory: keep "off"`},
	{"resident memory is saved", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 1024, 1024, 1024}, []uint64{100, 60, 98, 99}, nil,
		"1", `a cap of 1 saves the most memory: at the peak it saves nothing of virtual and 40 MiB (40 %) of resident memory against "off"`},
	{"every cap costs", []float64{1000, 500, 600, 700}, nil, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, nil,
		"off", `Every tested cap costs throughput or fails: keep "off"`},
	{"a smaller cap has more latency", []float64{1000, 1000, 1000, 1000}, []float64{5, 10, 7, 5}, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, nil,
		"4", `A cap of 4 is the smallest that costs no measurable throughput or latency: `},
	{"what is fastest is slow to answer", []float64{1000, 500, 500, 500}, []float64{10, 5, 5, 5}, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, nil,
		"", `No cap is best in both metrics: the caps with the best throughput are measurably worse by another metric (more latency than other caps); decide which metric matters more.`},
	{"the smallest cap fails at times", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, []int{0, 1, 0, 0},
		"2", `A cap of 2 is the smallest that costs no measurable throughput: `},
	{"all fail at times", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, []int{1, 1, 1, 1},
		"1", `Nothing differs measurably in throughput; a cap of 1 saves the most memory: `},
	{"all fail", []float64{1000, 1000, 1000, 1000}, nil, []uint64{1024, 64, 128, 256}, []uint64{100, 100, 100, 100}, []int{10, 10, 10, 10},
		"", `no run succeeded`},
	{"a cap takes more memory", []float64{1000, 400, 1000, 1000}, nil, []uint64{1024, 64, 512, 600}, []uint64{100, 100, 200, 100}, nil,
		"2", `of virtual, and takes 100 MiB (100 %) more of resident memory against "off"`},
	{"only resident memory is saved", []float64{1000, 400, 1000, 1000}, nil, []uint64{1024, 1024, 1024, 1024}, []uint64{100, 50, 60, 90}, nil,
		"2", `at the peak it saves nothing of virtual and 40 MiB (40 %) of resident memory against "off"`},
	{"a cap takes more address space", []float64{1000, 400, 1000, 1000}, nil, []uint64{1024, 64, 2048, 600}, []uint64{100, 100, 50, 100}, nil,
		"2", `at the peak it takes 1 GiB (100 %) more of virtual, and saves 50 MiB (50 %) of resident memory against "off"`},
	{"a terabyte is reserved besides", []float64{1000, 1000, 1000, 1000}, nil, []uint64{8<<20 + 1024, 8<<20 + 64, 8<<20 + 128, 8<<20 + 256}, []uint64{100, 100, 100, 100}, nil,
		"1", `at the peak it saves 960 MiB of virtual and nothing of resident memory`},
	{"nothing differs and memory is not known", []float64{1000, 1000, 1000, 1000}, nil, []uint64{0, 0, 0, 0}, []uint64{0, 0, 0, 0}, nil,
		"off", `and what a cap saves is not known, because the runs were too short to measure memory: keep "off"`},
	{"memory is not known", []float64{1000, 400, 1000, 1000}, nil, []uint64{0, 0, 0, 0}, []uint64{0, 0, 0, 0}, nil,
		"2", `; what it saves is not known: the runs were too short to measure memory`},
}

func TestAdvice(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			a := Judge(s.experiment(), s.runs()).Advice
			if a.Cap != s.cap || !strings.Contains(a.Sentence, s.sentence) || a.Noisy || !strings.HasSuffix(a.Sentence, ".") {
				t.Errorf("cap %q, noisy %t: %s", a.Cap, a.Noisy, a.Sentence)
			}
			want := map[string]string{"": "", "off": "[arenas]\ncap = \"off\"\n"}
			if toml, ok := want[a.Cap]; ok && a.TOML != toml || !ok && a.TOML != "[arenas]\ncap = "+a.Cap+"\n" {
				t.Errorf("%q", a.TOML)
			}
		})
	}
}

var names = []string{"off", "1", "2", "4"}

func (s situation) experiment() sweep.Experiment {
	x := sweep.Experiment{Metrics: metrics("x", "y")}
	if s.latency == nil {
		x.Metrics = x.Metrics[:1]
	}
	for i, name := range names {
		x.Candidates = append(x.Candidates, sweep.Candidate{Name: name, ArenaMax: []int{0, 1, 2, 4}[i], Default: i == 0})
	}
	return x
}

func (s situation) runs() (runs []sweep.Run) {
	r := rand.New(rand.NewPCG(11, 11))
	for round := range 10 {
		for i, name := range names {
			run := sweep.Run{Cap: name, Round: round + 1, Values: values(s.throughput[i] * (1 + 0.005*r.NormFloat64())), VirtualPeak: s.virtual[i] << 20, ResidentPeak: s.resident[i] << 20}
			if s.latency != nil {
				run.Values["latency"] = s.latency[i] * (1 + 0.005*r.NormFloat64())
			}
			if s.failed != nil && round < s.failed[i] {
				run.Error = "failed"
			}
			runs = append(runs, run)
		}
	}
	return runs
}

// With only one arena a cap saves nothing, whatever the sizes are.
func TestOneArenaSavesNothing(t *testing.T) {
	s := situation{throughput: []float64{1000, 1000, 1000, 1000}, virtual: []uint64{1024, 64, 128, 256}, resident: []uint64{200, 100, 100, 100}}
	for arenas, want := range map[int]string{
		1: `Nothing differs measurably in throughput, and no cap saves memory: keep "off"`,
		2: `a cap of 1 saves the most memory: at the peak it saves 960 MiB (94 %) of virtual and 100 MiB (50 %) of resident memory`,
		0: `a cap of 1 saves the most memory: `, // not known
	} {
		runs := s.runs()
		for i := range runs {
			runs[i].Arenas = arenas
		}
		if a := Judge(s.experiment(), runs).Advice; !strings.Contains(a.Sentence, want) {
			t.Errorf("%d arenas: %s", arenas, a.Sentence)
		}
	}
}

// TestWhatStays: the advice says "keep" only for a setting that the program may have at present: "off", under which the
// program may inherit a cap, or glibc's own limit. Of any other cap, which was set for the sweep alone, the advice says
// that it is as good as any.
func TestWhatStays(t *testing.T) {
	for want, base := range map[string]sweep.Candidate{
		`no cap saves memory: a cap of 4 is as good as any;`: {Name: "4", ArenaMax: 4},
		`no cap saves memory: keep a cap of "off" (4 here);`: {Name: "off", ArenaMax: 4},
		`no cap saves memory: keep "glibc";`:                 {Name: "glibc", Default: true},
	} {
		x := sweep.Experiment{Metrics: metrics("x"), Candidates: []sweep.Candidate{{Name: "1", ArenaMax: 1}, base}}
		runs := simulate(x, worlds[0], 10, rand.New(rand.NewPCG(1, 1)))
		for i := range runs {
			runs[i].VirtualPeak, runs[i].ResidentPeak = 1<<30, 1<<20
		}
		if a := Judge(x, runs).Advice; a.Cap != base.Name || !strings.Contains(a.Sentence, want) {
			t.Errorf("cap %q: %s, want %s", a.Cap, a.Sentence, want)
		}
	}
}

func TestAdviceTellsOfFailures(t *testing.T) {
	s := situation{throughput: []float64{1000, 1000, 1000, 1000}, virtual: []uint64{1024, 64, 128, 256}, resident: []uint64{100, 100, 100, 100}}
	for want, failed := range map[string][]int{
		`against "off"; differences`: {0, 0, 0, 0},
		`against "off"; a cap of 1 is left out, because 1 of its 10 runs failed; differences`:                                              {0, 1, 0, 0},
		`; a cap of 1 is left out, because 10 of its 10 runs failed; a cap of 4 is left out, because 2 of its 10 runs failed; differences`: {0, 10, 0, 2},
		`against "off"; 5 of 40 runs failed, some under each cap; differences`:                                                             {1, 1, 1, 2},
	} {
		s.failed = failed
		if a := Judge(s.experiment(), s.runs()).Advice; !strings.Contains(a.Sentence, want) {
			t.Errorf("%v: %s", failed, a.Sentence)
		}
	}
}

func TestWhatIsMeasured(t *testing.T) {
	for want, list := range map[string][]sweep.Metric{
		"throughput": metrics("x"), "throughput or latency": metrics("x", "y"), "wall time": metrics(""), "wall time or latency": metrics("", "y"),
	} {
		if got := either(list, sweep.Metric.Word); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
