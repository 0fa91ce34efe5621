package verdict

import (
	"fmt"
	"strings"
	"testing"

	"arenacap/launcher/sweep"
)

// lines writes a table as text, with ! before a worse cell and > before the advised row.
func (t Table) lines() string {
	var b strings.Builder
	fmt.Fprintln(&b, strings.Join(t.Heads, "|"))
	for _, row := range t.Rows {
		var cells []string
		for _, c := range row.Cells {
			if c.Worse {
				c.Text = "!" + c.Text
			}
			cells = append(cells, c.Text)
		}
		if row.Advised {
			b.WriteByte('>')
		}
		fmt.Fprintln(&b, strings.Join(cells, "|"))
	}
	return b.String()
}

// fourCaps returns the result for four caps: "off"; 1, which is slow and has a high latency; 1/core, which fails in the
// first round; 4, which fails in all rounds.
func fourCaps() Result {
	x := sweep.Experiment{Metrics: metrics("x", "y"), Candidates: []sweep.Candidate{
		{Name: "off", Default: true}, {Name: "1", ArenaMax: 1}, {Name: "1/core", ArenaMax: 2}, {Name: "4", ArenaMax: 4}}}
	var runs []sweep.Run
	for round := range 8 {
		step := float64(round)
		runs = append(runs,
			sweep.Run{Cap: "off", Round: round, Values: values(1000+step, 0.01), VirtualPeak: 1 << 30, VirtualFinal: 1 << 29, ResidentPeak: 10 << 20, ResidentFinal: 9 << 20,
				Arenas: 16, ArenaReserved: 15 << 26, ArenaResident: 5 << 20, CPU: 1.5, MinorFaults: 1999, MajorFaults: 1, VoluntarySwitches: 10, InvoluntarySwitches: 2},
			sweep.Run{Cap: "1", Round: round, Values: values(500+step, 0.02), VirtualPeak: 64 << 20, ResidentPeak: 10 << 20, Arenas: 1, CPU: 1.25},
			sweep.Run{Cap: "1/core", Round: round, Values: values(1000+step, 0.01), CPU: 1.5},
			sweep.Run{Cap: "4", Round: round, Error: "the load ended with status 1", Tail: "no"})
	}
	runs[2].Error, runs[2].Tail = "the server was killed by SIGSEGV", "oops"
	return Judge(x, runs)
}

func TestTable(t *testing.T) {
	r := fourCaps()
	want := `Cap|Throughput|Latency|VmSize peak|Resident peak|Arenas|CPU|Runs
>off|1004 ±0.3%|0.01000 ±0.0%|1 GiB|10 MiB|16|1.500 s|8
1|!503.5 ±0.7%|!0.02000 ±0.0%|64 MiB|10 MiB|1|1.250 s|8
1/core (2)|1004 ±0.3%|0.01000 ±0.0%|?|?|?|1.500 s|!7, 1 failed
4|-|-|?|?|?|-|!0, 8 failed
`
	if got := r.Table().lines(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	want = `Cap|VmSize at the end|Resident at the end|Arenas reserved|Arenas resident|Page faults|Context switches
>off|512 MiB|9 MiB|960 MiB|5 MiB|2000|12
1|?|?|0 B|0 B|0|0
1/core (2)|?|?|?|?|0|0
`
	if got := r.Details().lines(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestFailuresAreTold(t *testing.T) {
	r := fourCaps()
	want := []Failure{{"1/core", "1 of 8 runs failed; round 0: the server was killed by SIGSEGV", "oops"}, {"4", "8 of 8 runs failed; round 0: the load ended with status 1", "no"}}
	if got := fmt.Sprint(r.Failures()); got != fmt.Sprint(want) {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestHeadings(t *testing.T) {
	for _, c := range []struct {
		metrics []sweep.Metric
		want    string
	}{
		{metrics(""), "Wall time in seconds|VmSize"},
		{metrics("x"), "Throughput|VmSize"},
		{metrics("lower:x"), "Throughput (less is better)|VmSize"},
		{metrics("", "higher:x"), "Wall time in seconds|Latency (more is better)|VmSize"},
		{metrics("", "lower:x"), "Wall time in seconds|Latency|VmSize"},
	} {
		r := Judge(sweep.Experiment{Metrics: c.metrics}, nil)
		if got := strings.Join(r.Table().Heads, "|"); !strings.HasPrefix(got, "Cap|"+c.want) {
			t.Errorf("%+v: %s", c.metrics, got)
		}
	}
}

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234567: "1234567", 999.96: "1000.0", 12.345678: "12.35", 0.00123456: "0.001235", -3: "-3.000"} {
		if got := significant(v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}

// TestSizesThatShareMuch: if the sizes under all caps have a large part in common, a size that differs much from it is
// written as that part plus the rest.
func TestSizesThatShareMuch(t *testing.T) {
	const tera = 1 << 40
	for _, c := range []struct {
		sizes []uint64
		want  string
	}{
		{[]uint64{8*tera + 1024<<20, 8*tera + 64<<20, 8*tera + 128<<20, 8*tera + 64<<20 + 4096}, "8 TiB +960 MiB|8 TiB|8 TiB +64 MiB|8 TiB"},
		{[]uint64{8*tera + 200<<30, 8 * tera, 0, 8*tera + 64<<20}, "8 TiB +200 GiB|8 TiB|?|8 TiB +64 MiB"},
		{[]uint64{8 * tera, 8 * tera, 8 * tera, 8*tera + 1<<20}, "8 TiB|8 TiB|8 TiB|8 TiB"},
		{[]uint64{17 << 30, 17<<30 + 64<<20, 18 << 30, 0}, "17 GiB|17.1 GiB|18 GiB|?"},
		{[]uint64{0, 0, 0, 0}, "?|?|?|?"},
	} {
		var outcomes []Outcome
		for _, size := range c.sizes {
			outcomes = append(outcomes, Outcome{VirtualPeak: size})
		}
		if got := strings.Join(sizeTexts(outcomes, Outcome.virtual), "|"); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
