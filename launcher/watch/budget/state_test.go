package budget

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/testenv"
	"arenacap/policy"
)

// TestState feeds one sample per second and lists the changes, each after the number of seconds since the first sample. A
// sample is the virtual size; "-" is a sample that failed; "1001!900" is a sample of 1001, after which a repeated reading
// gives 900.
func TestState(t *testing.T) {
	for _, test := range []struct {
		name    string
		limits  string
		window  string
		settle  int
		samples string
		want    string
	}{
		{"nothing is said while all is well", "virtual=1000", "3/5", 0, "1 100 799 799 799 799 799", ""},
		{"exactly the limit is not over it", "virtual=1000", "1/1", 0, "1000 1000 1000", "0:warning"},
		{"one byte over it is", "virtual=1000", "1/1", 0, "1001", "0:breach=1001"},
		{"the warning begins at its per cent of the limit", "virtual=1000", "1/1", 0, "799 800", "1:warning"},
		{"a breach takes n samples", "virtual=1000", "3/5", 0, "2000 2000 2000", "2:breach=2000"},
		{"n of m need not follow each other", "virtual=1000", "3/5", 0, "2000 1 2000 1 2000", "4:breach=2000"},
		{"what is older than m is forgotten", "virtual=1000", "3/5", 0, "2000 2000 1 1 1 2000 1 1", ""},
		{"a blip is no breach and no warning", "virtual=1000", "3/5", 0, "1 9999 1 1 9999 1 1", ""},
		{"a sample that is missing is neither over nor under", "virtual=1000", "3/5", 0, "2000 - - - - - - 2000 2000", "8:breach=2000"},
		{"a climb warns first", "virtual=1000", "2/3", 0, "700 850 900 950 1001 1100", "2:warning 5:breach=1100"},
		{"a jump is a breach and no warning beside it", "virtual=1000", "2/2", 0, "1 2000 2000", "2:breach=2000"},
		{"a breach is told once", "virtual=1000", "2/2", 0, "2000 2000 2000 2000 2000 2000", "1:breach=2000"},
		{"under the limit is not yet recovered", "virtual=1000", "2/2", 0, "2000 2000 999 951 950 960", "1:breach=2000"},
		{"under 95 per cent is", "virtual=1000", "2/2", 0, "2000 2000 949 949", "1:breach=2000 3:recovered"},
		{"recovery takes n of m too", "virtual=1000", "3/5", 0, "2000 2000 2000 1 2000 1 2000 1", "2:breach=2000 7:recovered"},
		{"flapping about the limit speaks once", "virtual=1000", "1/1", 0, "1001 999 1001 999 1001 960 1001", "0:breach=1001"},
		{"a second breach is a new one", "virtual=1000", "1/1", 0, "1001 1 1001 1", "0:breach=1001 1:recovered 2:breach=1001 3:recovered"},
		{"the end of a breach over the warning level is followed by a warning", "virtual=1000", "1/1", 0, "1001 940 930 700", "0:breach=1001 1:recovered 2:warning 3:recovered<warning"},
		{"a warning is told once a rise", "virtual=1000", "1/1", 0, "850 790 850 770 850", "0:warning"},
		{"and again after a fall under 95 per cent of its level", "virtual=1000", "1/1", 0, "850 759 850", "0:warning 1:recovered<warning 2:warning"},
		{"a warning ends when n of m samples are under it", "virtual=1000", "2/3", 0, "850 850 700 850 700 1", "1:warning 4:recovered<warning"},
		{"a breach after a warning, and its end, which ends both", "virtual=1000", "1/1", 0, "850 1001 1 1", "0:warning 1:breach=1001 2:recovered"},
		{"nothing counts before settle ends", "virtual=1000", "2/2", 3, "2000 2000 2000 1 2000 2000", "5:breach=2000"},
		{"a sample at the end of settle counts", "virtual=1000", "1/1", 2, "2000 2000 2000", "2:breach=2000"},
		{"a single sample is read again and withdrawn", "virtual=1000", "1/1", 0, "2000!900 1 1", "0:warning 1:recovered<warning"},
		{"the second reading is the one that is told", "virtual=1000", "1/1", 0, "2000!1500", "0:breach=1500"},
		{"no second reading, no breach", "virtual=1000", "1/1", 0, "2000!- 1", "0:warning 1:recovered<warning"},
		{"a withdrawn vote leaves the others", "virtual=1000", "3/5", 0, "2000 2000 2000!1 2000", "2:warning 3:breach=2000"},
		{"a withdrawn vote in a ring that has wrapped", "virtual=1000", "2/3", 0, "1 1 1 1 2000 2000!1 2000", "5:warning 6:breach=2000"},
		{"growth counts from the end of settle", "growth=200", "1/1", 2, "100 9000 5000 5200 5201", "3:warning 4:breach=201"},
		{"shrinking is no growth", "growth=200", "1/1", 0, "5000 1 4999 5000", ""},
		{"several limits stand alone", "virtual=1000 growth=100", "1/1", 0, "850 960 1001 900", "0:warning(virtual) 1:breach(growth)=110 2:breach(virtual)=1001 3:recovered(virtual) 3:recovered(growth)"},
		{"a limit of one byte", "growth=1", "1/1", 0, "5 6 7 5", "1:warning 2:breach=2 3:recovered"},
		{"the largest limit", "virtual=9223372036854775807", "1/1", 0, "7378697629483820645 9223372036854775807 9223372036854775808 1", "1:warning 2:breach=9223372036854775808 3:recovered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b policy.Budget
			b.WarnAt = 80
			if _, err := fmt.Sscanf(test.window, "%d/%d", &b.Breach.N, &b.Breach.Of); err != nil {
				t.Fatal(err)
			}
			limits := testenv.Limits(test.limits)
			s := New(limits, b, time.Duration(test.settle)*time.Second)
			var said []string
			for second, sample := range strings.Fields(test.samples) {
				if sample == "-" {
					continue
				}
				first, then, two := strings.Cut(sample, "!")
				if !two {
					then = first
				}
				for _, c := range s.Observe(time.Duration(second)*time.Second, virtual(t, first), func() (Reading, bool) {
					return virtual(t, then), then != "-"
				}) {
					said = append(said, describe(second, c, len(limits) > 1))
				}
			}
			if got := strings.Join(said, " "); got != test.want {
				t.Errorf("samples %s\n got %q\nwant %q", test.samples, got, test.want)
			}
		})
	}
}

func virtual(t *testing.T, text string) (r Reading) {
	t.Helper()
	if text == "-" {
		return r
	}
	if _, err := fmt.Sscan(text, &r.Virtual); err != nil {
		t.Fatal(err)
	}
	return r
}

func describe(second int, c Change, several bool) string {
	s := fmt.Sprintf("%d:%s", second, c.Kind)
	if c.Ended == Warning {
		s += "<warning"
	}
	if several {
		s += "(" + c.Metric + ")"
	}
	if c.Kind == Breach {
		s += fmt.Sprintf("=%d", c.Value)
	}
	return s
}

// Each metric uses its own value of the reading, and arenas that were not counted cause no breach.
func TestStateMetrics(t *testing.T) {
	all := testenv.Limits("virtual=10 growth=10 data=10 resident=10 arenas=10")
	b := policy.Budget{WarnAt: 100, Breach: policy.Window{N: 1, Of: 1}}
	for _, test := range []struct {
		name string
		r    Reading
		want []string
	}{
		{"virtual", Reading{Virtual: 11}, []string{"virtual"}},
		{"virtual and growth", Reading{Virtual: 11 + 10}, []string{"virtual", "growth"}},
		{"data", Reading{Data: 11}, []string{"data"}},
		{"resident", Reading{Resident: 11}, []string{"resident"}},
		{"arenas", Reading{arenas: 11}, []string{"arenas"}},
		{"arenas not counted", Reading{arenas: 11, uncounted: true}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := New(all, b, 0)
			s.Observe(0, Reading{Virtual: 10}, nil)
			var got []string
			for _, c := range s.Observe(1, test.r, func() (Reading, bool) { return test.r, true }) {
				if c.Kind == Breach {
					got = append(got, c.Metric)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("breached %v, want %v", got, test.want)
			}
		})
	}
}

// Several breaches in one sample share one confirming reading.
func TestStateReadsAgainOnce(t *testing.T) {
	s := New(testenv.Limits("virtual=10 data=10 resident=10"), policy.Budget{WarnAt: 80, Breach: policy.Window{N: 1, Of: 1}}, 0)
	r, asked := Reading{Virtual: 11, Data: 11, Resident: 11}, 0
	changes := s.Observe(0, r, func() (Reading, bool) { asked++; return r, true })
	if len(changes) != 3 || asked != 1 {
		t.Errorf("%d breaches and %d second readings, want 3 and 1", len(changes), asked)
	}
}

// Every change says how many samples were taken since the previous one, at most the window.
func TestStateCountsTheSamplesTaken(t *testing.T) {
	for _, test := range []struct{ samples, want string }{
		{"850 850 850 700 700 700", "warning 3 of 3, recovered 3 of 3"},
		{"1 850 850 850", "warning 3 of 4"},
		{"1 1 1 1 1 850 850 850", "warning 3 of 5"},
		{"2000 2000 2000 1 1 1", "breach 3 of 3, recovered 3 of 3"},
	} {
		s := New(testenv.Limits("virtual=1000"), policy.Budget{WarnAt: 80, Breach: policy.Window{N: 3, Of: 5}}, 0)
		var got []string
		for second, sample := range strings.Fields(test.samples) {
			r := virtual(t, sample)
			for _, c := range s.Observe(time.Duration(second)*time.Second, r, func() (Reading, bool) { return r, true }) {
				got = append(got, fmt.Sprintf("%s %d of %d", c.Kind, c.Votes, c.Of))
			}
		}
		if said := strings.Join(got, ", "); said != test.want {
			t.Errorf("samples %s: %q, want %q", test.samples, said, test.want)
		}
	}
}

func TestPercentOf(t *testing.T) {
	for _, test := range []struct {
		bytes uint64
		n     int
		want  uint64
	}{{0, 95, 0}, {1, 95, 1}, {100, 95, 95}, {101, 95, 96}, {1 << 62, 50, 1 << 61}, {1<<63 - 1, 100, 1<<63 - 1}, {10, 1, 1}} {
		if got := percentOf(test.bytes, test.n); got != test.want {
			t.Errorf("percentOf(%d, %d) = %d, want %d", test.bytes, test.n, got, test.want)
		}
	}
}

// FuzzState checks the rules of warnings, breaches and recoveries for any sequence of samples.
func FuzzState(f *testing.F) {
	f.Add([]byte{0, 255, 255, 255, 0, 0, 0, 255}, 3, 5)
	f.Add([]byte{210, 0, 210, 0}, 1, 1)
	f.Fuzz(func(t *testing.T, samples []byte, n, of int) {
		if n < 1 || of < n || of > 32 {
			t.Skip()
		}
		s := New([]policy.Limit{{Metric: "virtual", Bytes: 200}}, policy.Budget{WarnAt: 80, Breach: policy.Window{N: n, Of: of}}, 0)
		on, warned, since := false, false, 0
		for i, sample := range samples {
			v := Reading{Virtual: uint64(sample)}
			since++
			for _, c := range s.Observe(time.Duration(i), v, func() (Reading, bool) { return v, true }) {
				switch {
				case c.Kind == Warning && on:
					t.Fatalf("sample %d: a warning during a breach", i)
				case c.Kind == Breach && (on || c.Value <= 200 || since < n):
					t.Fatalf("sample %d: a breach at %d after %d samples, already on: %t", i, c.Value, since, on)
				case c.Kind == Warning && (warned || c.Value < 160):
					t.Fatalf("sample %d: a warning at %d, already on: %t", i, c.Value, warned)
				case c.Ended == Breach && (!on || c.Value >= 190 || since < n):
					t.Fatalf("sample %d: recovered at %d after %d samples, on: %t", i, c.Value, since, on)
				case c.Ended == Warning && (on || !warned || c.Value >= 152):
					t.Fatalf("sample %d: recovered from a warning at %d, on: %t, breach: %t", i, c.Value, warned, on)
				}
				warned = c.Kind == Warning
				if c.Kind == Breach || c.Ended == Breach {
					on, since = c.Kind == Breach, 0
				}
			}
		}
	})
}
