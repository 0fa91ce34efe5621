package proc

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestParseStatm(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       Statm
		ok         bool
	}{
		{"a process", "1098 392 350 5 0 133 0\n", Statm{1098, 392, 133}, true},
		{"a zombie", "0 0 0 0 0 0 0\n", Statm{}, true},
		{"no end of line", "1 2 3 4 5 6 7", Statm{1, 2, 6}, true},
		{"the largest number", "18446744073709551615 1 1 1 1 1 1\n", Statm{1<<64 - 1, 1, 1}, true},
		{"too large a number", "18446744073709551616 1 1 1 1 1 1\n", Statm{}, false},
		{"empty", "", Statm{}, false},
		{"too few", "1 2 3 4 5 6\n", Statm{}, false},
		{"negative", "-1 2 3 4 5 6 7\n", Statm{}, false},
		{"a word", "1 2 kB 4 5 6 7\n", Statm{}, false},
		{"cut in a number's middle is seen as too few", "1098 39", Statm{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := ParseStatm([]byte(test.line))
			if ok != test.ok || ok && got != test.want {
				t.Errorf("%q: %+v, %t; want %+v, %t", test.line, got, ok, test.want, test.ok)
			}
		})
	}
	if got, want := pages(3).Bytes(), 3*uint64(os.Getpagesize()); got != want {
		t.Errorf("3 pages are %d bytes, want %d", got, want)
	}
}

func TestParseStatmAllocatesNothing(t *testing.T) {
	line := []byte("1098 392 350 5 0 133 0\n")
	if n := testing.AllocsPerRun(100, func() { ParseStatm(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseStatm(f *testing.F) {
	f.Add([]byte("1098 392 350 5 0 133 0\n"))
	f.Add([]byte("18446744073709551615 1 1 1 1 1 1"))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, ok := ParseStatm(line)
		if !ok {
			return
		}
		fields := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\n' })
		if len(fields) < 7 {
			t.Fatalf("%q has not seven fields", line)
		}
		for i, got := range map[int]pages{0: s.Size, 1: s.Resident, 5: s.Data} {
			if want := strings.TrimLeft(fields[i], "0"); strings.TrimLeft(fmt.Sprint(got), "0") != want {
				t.Fatalf("%q: field %d is %d", line, i, got)
			}
		}
	})
}
