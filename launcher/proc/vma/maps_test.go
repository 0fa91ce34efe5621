package vma

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const anonRW = Read | Write

func TestParseMaps(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Mapping
	}{
		{"nothing", "", nil},
		{"file", "55aaa5418000-55aaa5419000 r-xp 00001000 fe:00 9982675                    /usr/bin/cat\n",
			[]Mapping{{0x55aaa5418000, 0x55aaa5419000, Read | Exec, 0x1000, 9982675, "/usr/bin/cat"}}},
		{"no newline at the end", "1000-2000 rw-p 00000000 00:00 0 ", []Mapping{{0x1000, 0x2000, anonRW, 0, 0, ""}}},
		{"no blank behind the inode", "1000-2000 ---p 00000000 00:00 0\n", []Mapping{{0x1000, 0x2000, 0, 0, 0, ""}}},
		{"i386", "08048000-08056000 r-xp 00000000 03:0c 64593      /usr/sbin/gpm\n",
			[]Mapping{{0x8048000, 0x8056000, Read | Exec, 0, 64593, "/usr/sbin/gpm"}}},
		{"shared", "1000-2000 rw-s 00000000 00:01 29                           /memfd:java_heap (deleted)\n",
			[]Mapping{{0x1000, 0x2000, anonRW | Shared, 0, 29, "/memfd:java_heap (deleted)"}}},
		{"blanks and an escaped newline in a name", "1000-2000 r--p 00000000 fe:00 5          /tmp/a  b\\012c d (deleted)\n",
			[]Mapping{{0x1000, 0x2000, Read, 0, 5, "/tmp/a  b\\012c d (deleted)"}}},
		{"bytes that are no UTF-8", "1000-2000 r--p 00000000 fe:00 5 /tmp/\xff\x1b[31m\n",
			[]Mapping{{0x1000, 0x2000, Read, 0, 5, "/tmp/\xff\x1b[31m"}}},
		{"named anonymous", "1000-2000 rw-p 00000000 00:00 0          [anon: glibc: malloc arena]\n",
			[]Mapping{{0x1000, 0x2000, anonRW, 0, 0, "[anon: glibc: malloc arena]"}}},
		{"last page of the address space", "fffffffffffff000-ffffffffffffffff ---p 00000000 00:00 0 \n",
			[]Mapping{{0xfffffffffffff000, 0xffffffffffffffff, 0, 0, 0, ""}}},
		{"one that grew between two reads", "1000-3000 rw-p 00000000 00:00 0 \n1000-5000 rw-p 00000000 00:00 0 \n2000-5000 rw-p 00000000 00:00 0 \n",
			[]Mapping{{0x1000, 0x3000, anonRW, 0, 0, ""}, {0x3000, 0x5000, anonRW, 0, 0, ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMaps(nil, []byte(tt.text))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseMapsRefuses(t *testing.T) {
	for _, text := range []string{
		"\n", "x\n", "1000\n", "1000-\n", "1000-2000\n", "1000-2000 rw-p\n", "2000-1000 rw-p 00000000 00:00 0\n",
		"1000-1000 rw-p 00000000 00:00 0\n", "-2000 rw-p 00000000 00:00 0\n", "1000-2000 qw-p 00000000 00:00 0\n",
		"1000-2000 rwp 00000000 00:00 0\n", "1000-2000 rw-p 0 0 0\n", "10000000000000000-2 rw-p 0 0:0 0\n",
		"1000-2000 rw-p 00000000 00:00 99999999999999999999\n", "1000-2000 rw-p 00000000 00:00 7a\n", "1000-2000 rw-p 00000000 00:00 \n",
	} {
		if got, err := ParseMaps(nil, []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "maps:1: ") {
			t.Errorf("%q: %+v, %v; want an error with its line", text, got, err)
		}
	}
}

func TestParseMapsIsCheap(t *testing.T) {
	text := bytes.Repeat([]byte("1000-2000 rw-p 00000000 00:00 0 \n"), 1000)
	l := make([]Mapping, 0, 1000)
	if n := testing.AllocsPerRun(10, func() { ParseMaps(l, text) }); n != 0 {
		t.Errorf("%v allocations for 1,000 mappings without names", n)
	}
}

// FuzzParseMaps compares the parser with fmt.Sscanf.
func FuzzParseMaps(f *testing.F) {
	own, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(own) {
		f.Add(line)
	}
	f.Add([]byte("1000-3000 rw-p 00000000 00:00 0 \n2000-5000 rw-p 00000000 00:00 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseMaps(nil, text)
		if err != nil {
			return
		}
		var end uint64
		for _, m := range got {
			if m.Start < end || m.Start >= m.End {
				t.Fatalf("not in order: %+v", got)
			}
			end = m.End
		}
		if bytes.Count(text, []byte("\n")) == 1 && len(got) == 1 {
			var start, end, offset, inode uint64
			var major, minor int
			var access string
			if _, err := fmt.Sscanf(string(text), "%x-%x %s %x %x:%x %d", &start, &end, &access, &offset, &major, &minor, &inode); err == nil &&
				(start != got[0].Start || end != got[0].End || inode != got[0].Inode) {
				t.Fatalf("%q is %+v", text, got)
			}
		}
	})
}
