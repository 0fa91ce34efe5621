package watch

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseStatm(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       statm
		ok         bool
	}{
		{"a process", "1098 392 350 5 0 133 0\n", statm{1098, 392, 133}, true},
		{"a zombie", "0 0 0 0 0 0 0\n", statm{}, true},
		{"no end of line", "1 2 3 4 5 6 7", statm{1, 2, 6}, true},
		{"the largest number", "18446744073709551615 1 1 1 1 1 1\n", statm{1<<64 - 1, 1, 1}, true},
		{"too large a number", "18446744073709551616 1 1 1 1 1 1\n", statm{}, false},
		{"empty", "", statm{}, false},
		{"too few", "1 2 3 4 5 6\n", statm{}, false},
		{"negative", "-1 2 3 4 5 6 7\n", statm{}, false},
		{"a word", "1 2 kB 4 5 6 7\n", statm{}, false},
		{"cut in a number's middle is seen as too few", "1098 39", statm{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseStatm([]byte(test.line))
			if ok != test.ok || ok && got != test.want {
				t.Errorf("%q: %+v, %t; want %+v, %t", test.line, got, ok, test.want, test.ok)
			}
		})
	}
}

func FuzzParseStatm(f *testing.F) {
	f.Add([]byte("1098 392 350 5 0 133 0\n"))
	f.Add([]byte("18446744073709551616 1 1 1 1 1 1"))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, ok := parseStatm(line)
		if !ok {
			return
		}
		fields := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\n' })
		if len(fields) < 7 {
			t.Fatalf("%q has not seven fields", line)
		}
		for i, got := range map[int]uint64{0: s.size, 1: s.resident, 5: s.data} {
			if want := strings.TrimLeft(fields[i], "0"); strings.TrimLeft(fmt.Sprint(got), "0") != want {
				t.Fatalf("%q: field %d is %d", line, i, got)
			}
		}
	})
}

func TestParseSignal(t *testing.T) {
	for name, want := range map[string]int{
		"SIGHUP": 1, "SIGUSR1": 10, "SIGTERM": 15, "SIGRTMIN": 34, "SIGRTMIN+3": 37, "SIGRTMAX": 64, "SIGRTMAX-1": 63, "SIGRTMIN+30": 64,
		"": 0, "USR1": 0, "SIGUSR3": 0, "sigusr1": 0, "10": 0, "SIGRTMIN+31": 0, "SIGRTMIN-1": 0, "SIGRTMAX+1": 0, "SIGRTMIN+": 0, "SIGRTMIN+x": 0, "SIGRTMINX": 0,
	} {
		if got, err := parseSignal(name); int(got) != want || (err == nil) != (want != 0) {
			t.Errorf("%q is %d, %v; want %d", name, got, err, want)
		}
	}
}

func TestClassify(t *testing.T) {
	is := func(pids ...int) func(int) bool { return func(pid int) bool { return slices.Contains(pids, pid) } }
	for _, test := range []struct {
		name    string
		fresh   []edge
		in, out []int
	}{
		{"a child", []edge{{101, 100}}, []int{101}, nil},
		{"a grandchild that is listed first, as PIDs wrap", []edge{{5, 101}, {101, 100}}, []int{5, 101}, nil},
		{"someone else's child", []edge{{50, 1}, {51, 50}}, nil, []int{50, 51}},
		{"the first process has no parent", []edge{{9, 0}}, nil, []int{9}},
		{"a parent that was not listed yet decides nothing", []edge{{300, 299}}, nil, nil},
		{"its child neither", []edge{{300, 299}, {301, 300}}, nil, nil},
		{"a ring, as PIDs were reused in the middle of a listing", []edge{{7, 8}, {8, 7}}, nil, nil},
		{"nothing", nil, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, out := classify(test.fresh, is(100), is(1))
			if !reflect.DeepEqual(in, test.in) || !reflect.DeepEqual(out, test.out) {
				t.Errorf("in %v, out %v; want %v, %v", in, out, test.in, test.out)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	values := placeholders(change{kind: eventBreach, metric: "virtual", value: 4509715660, limit: 4294967296}, subject{service: "{pid}", pid: 42})
	got := expand([]string{"x", "{pid}", "--of={service}:{event}", "{metric}={value}/{limit}", "{unknown} {}"}, values)
	want := []string{"x", "42", "--of={pid}:breach", "virtual=4509715660/4294967296", "{unknown} {}"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
