package proc

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 9 0 4321 606552064 443 0 1 2 3\n"
	sleeps := func(name string) Stat {
		return Stat{Name: name, State: 'S', Parent: 7, Threads: 9, Started: 43210 * time.Millisecond, Virtual: 606552064}
	}
	for _, test := range []struct {
		name, text string
		want       Stat
		ok         bool
	}{
		{"plain", "42 (sleep)" + rest, sleeps("sleep"), true},
		{"a name that looks like the end", "42 (a) Z 1 (b))" + rest, sleeps("a) Z 1 (b)"), true},
		{"a name with a newline", "42 (a\nb)" + rest, sleeps("a\nb"), true},
		{"a name of no text", "42 (\xff()" + rest, sleeps("\xff("), true},
		{"no name", "42 ()" + rest, sleeps(""), true},
		{"a thread of the kernel", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0\n",
			Stat{Name: "kthreadd", State: 'S', Kernel: true, Threads: 1, Started: 30 * time.Millisecond}, true},
		{"a zombie", "3 (x) Z 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0\n", Stat{Name: "x", State: 'Z', Parent: 1, Threads: 1, Started: 30 * time.Millisecond}, true},
		{"no parentheses", "42 sleep" + rest, Stat{}, false},
		{"one parenthesis", "42 (sleep", Stat{}, false},
		{"the wrong way round", ")(" + rest, Stat{}, false},
		{"cut", "42 (sleep) S 7 1", Stat{}, false},
		{"a negative parent", "42 (x)" + strings.Replace(rest, "7", "-7", 1), Stat{}, false},
		{"no number of flags", "42 (x)" + strings.Replace(rest, "4194560", "x", 1), Stat{}, false},
		{"a long state", "42 (x)" + strings.Replace(rest, "S", "SS", 1), Stat{}, false},
		{"empty", "", Stat{}, false},
		{"a PID alone", "12", Stat{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseStat([]byte(test.text))
			if (err == nil) != test.ok || got != test.want {
				t.Errorf("%q: %+v, %v; want %+v", test.text, got, err, test.want)
			}
		})
	}
	for state, ended := range map[byte]bool{'R': false, 'S': false, 'D': false, 'T': false, 't': false, 'I': false, 'Z': true, 'X': true, 'x': true} {
		if (Stat{State: state}).Ended() != ended {
			t.Errorf("state %c: ended is not %t", state, ended)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("42 (a) Z 1 (b)) S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 18446744073709551615 1000 20"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseStat(text)
		if err == nil && (s.Parent < 0 || s.Threads < 0 || s.Started < 0 || !strings.Contains(string(text), "("+s.Name+")")) {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}
