package arena

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestParseMaps(t *testing.T) {
	tests := []struct {
		name, text string
		want       layout
	}{
		{"nothing", "", nil},
		{"file", "55aaa5418000-55aaa5419000 r-xp 00001000 fe:00 9982675                    /usr/bin/cat\n",
			layout{{0x55aaa5418000, 0x55aaa5419000, permRead | permExec, 0x1000, 9982675, "/usr/bin/cat"}}},
		{"no newline at the end", "1000-2000 rw-p 00000000 00:00 0 ", layout{{0x1000, 0x2000, anonRW, 0, 0, ""}}},
		{"no blank behind the inode", "1000-2000 ---p 00000000 00:00 0\n", layout{{0x1000, 0x2000, 0, 0, 0, ""}}},
		{"i386", "08048000-08056000 r-xp 00000000 03:0c 64593      /usr/sbin/gpm\n",
			layout{{0x8048000, 0x8056000, permRead | permExec, 0, 64593, "/usr/sbin/gpm"}}},
		{"shared", "1000-2000 rw-s 00000000 00:01 29                           /memfd:java_heap (deleted)\n",
			layout{{0x1000, 0x2000, anonRW | permShared, 0, 29, "/memfd:java_heap (deleted)"}}},
		{"blanks and an escaped newline in a name", "1000-2000 r--p 00000000 fe:00 5          /tmp/a  b\\012c d (deleted)\n",
			layout{{0x1000, 0x2000, permRead, 0, 5, "/tmp/a  b\\012c d (deleted)"}}},
		{"bytes that are no UTF-8", "1000-2000 r--p 00000000 fe:00 5 /tmp/\xff\x1b[31m\n",
			layout{{0x1000, 0x2000, permRead, 0, 5, "/tmp/\xff\x1b[31m"}}},
		{"named anonymous", "1000-2000 rw-p 00000000 00:00 0          [anon: glibc: malloc arena]\n",
			layout{{0x1000, 0x2000, anonRW, 0, 0, "[anon: glibc: malloc arena]"}}},
		{"last page of the address space", "fffffffffffff000-ffffffffffffffff ---p 00000000 00:00 0 \n",
			layout{{0xfffffffffffff000, 0xffffffffffffffff, 0, 0, 0, ""}}},
		{"one that grew between two reads", "1000-3000 rw-p 00000000 00:00 0 \n1000-5000 rw-p 00000000 00:00 0 \n2000-5000 rw-p 00000000 00:00 0 \n",
			layout{{0x1000, 0x3000, anonRW, 0, 0, ""}, {0x3000, 0x5000, anonRW, 0, 0, ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMaps(nil, []byte(tt.text))
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
		if got, err := parseMaps(nil, []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "maps:1: ") {
			t.Errorf("%q: %+v, %v; want an error with its line", text, got, err)
		}
	}
}

func TestParseMapsIsCheap(t *testing.T) {
	text := bytes.Repeat([]byte("1000-2000 rw-p 00000000 00:00 0 \n"), 1000)
	l := make(layout, 0, 1000)
	if n := testing.AllocsPerRun(10, func() { parseMaps(l, text) }); n != 0 {
		t.Errorf("%v allocations for 1,000 mappings without names", n)
	}
}

// FuzzParseMaps holds the parser against fmt's: what is accepted means the same.
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
		got, err := parseMaps(nil, text)
		if err != nil {
			return
		}
		var end, sum uint64
		for _, m := range got {
			if m.start < end || m.start >= m.end {
				t.Fatalf("not in order: %+v", got)
			}
			end = m.end
			sum += m.size()
		}
		if bytes.Count(text, []byte("\n")) == 1 && len(got) == 1 {
			var start, end, offset, inode uint64
			var major, minor int
			var access string
			if _, err := fmt.Sscanf(string(text), "%x-%x %s %x %x:%x %d", &start, &end, &access, &offset, &major, &minor, &inode); err == nil &&
				(start != got[0].start || end != got[0].end || inode != got[0].inode) {
				t.Fatalf("%q is %+v", text, got)
			}
		}
		var cut uint64
		for _, r := range regions(got, []owner{{start: 0x1800, end: 0x2800, kind: KindArenas}}) {
			cut += r.size()
		}
		if cut != got.virtual() {
			t.Fatalf("regions of %d bytes, mappings of %d", cut, got.virtual())
		}
		got.bases(got.word())
	})
}

func TestParseSmaps(t *testing.T) {
	const text = `1000-3000 rw-p 00000000 00:00 0
Size:                  8 kB
KernelPageSize:        4 kB
Rss:                   4 kB
Pss:                   4 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
VmFlags: rd wr mr mw me ac
400000-a00000 rw-p 00000000 00:11 908991                     /anon_hugepage (deleted)
Rss:                   0 kB
Shared_Hugetlb:     2048 kB
Private_Hugetlb:    4096 kB
b00000-c00000 ---p 00000000 00:00 0
`
	want := []uint64{0x1000, 0x3000, 4 << 10, 0x400000, 0xa00000, 6 << 20, 0xb00000, 0xc00000, 0}
	var got []uint64
	err := parseSmaps(strings.NewReader(text), func(start, end, resident uint64) { got = append(got, start, end, resident) })
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"1000-\n", "1000-2000 rw-p 00000000 00:00 0\nRss: x kB\n", "1000-2000 rw-p 00000000 00:00 0\nRss: 4 MB\n"} {
		if err := parseSmaps(strings.NewReader(bad), func(_, _, _ uint64) {}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParseSmaps(f *testing.F) {
	own, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own[:min(len(own), 4000)])
	f.Add([]byte("1000-2000 rw-p 00000000 00:00 0\nRss: 99999999999999999999 kB\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parseSmaps(bytes.NewReader(text), func(start, end, _ uint64) {
			if start >= end {
				t.Fatalf("%x-%x", start, end)
			}
		})
	})
}
