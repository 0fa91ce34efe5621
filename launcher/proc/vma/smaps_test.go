package vma

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestParseSmaps(t *testing.T) {
	const text = `1000-3000 rw-p 00000000 00:00 0
Size:                  8 kB
KernelPageSize:        4 kB
Rss:                   4 kB
Pss:                   4 kB
AnonHugePages:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
VmFlags: rd wr mr mw me ac
400000-a00000 rw-p 00000000 00:11 908991                     /anon_hugepage (deleted)
Rss:                   0 kB
Shared_Hugetlb:     2048 kB
Private_Hugetlb:    4096 kB
b00000-c00000 ---p 00000000 00:00 0
c00000-1400000 rw-p 00000000 00:00 0
Rss:                8192 kB
AnonHugePages:      2048 kB
ShmemPmdMapped:     1024 kB
FilePmdMapped:      4096 kB
`
	want := []uint64{0x1000, 0x3000, 4 << 10, 0, 0x400000, 0xa00000, 6 << 20, 6 << 20, 0xb00000, 0xc00000, 0, 0, 0xc00000, 0x1400000, 8 << 20, 7 << 20}
	var got []uint64
	err := ParseSmaps(strings.NewReader(text), func(s Smap) { got = append(got, s.Start, s.End, s.Resident, s.Huge) })
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"1000-\n", "1000-2000 rw-p 00000000 00:00 0\nRss: x kB\n", "1000-2000 rw-p 00000000 00:00 0\nRss: 4 MB\n", "1000-2000 rw-p 00000000 00:00 0\nAnonHugePages: kB\n", "1000-2000 r--p 00000000 fe:00 5 /x\nAnonymous: kB\n"} {
		if err := ParseSmaps(strings.NewReader(bad), func(Smap) {}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Clean must be false for any mapping that differs from its file: the watch drops the pages of clean mappings, and the
// kernel could not read changed pages again from the file.
func TestCleanMapping(t *testing.T) {
	for text, want := range map[string]bool{
		"1000-2000 r--p 00000000 fe:00 5 /x\nRss: 4 kB\nAnonymous:      0 kB\n":     true,
		"1000-2000 r-xp 00000000 fe:00 5 /a b: c (deleted)\nAnonymous: 0 kB\n":      true,
		"1000-2000 r--p 00000000 fe:00 5 /x\nAnonymous:      4 kB\n":                false, // pages were changed by relocation
		"1000-2000 r--p 00000000 fe:00 5 /x\nRss: 4 kB\n":                           false, // the text is cut off
		"1000-2000 r--p 00000000 fe:00 5 /x\nAnonHugePages: 0 kB\nLazyFree: 0 kB\n": false,
		"1000-2000 rw-p 00000000 fe:00 5 /x\nAnonymous: 0 kB\n":                     false,
		"1000-2000 r--s 00000000 fe:00 5 /x\nAnonymous: 0 kB\n":                     false,
		"1000-2000 ---p 00000000 fe:00 5 /x\nAnonymous: 0 kB\n":                     false,
		"1000-2000 r-xp 00000000 00:00 0 [vdso]\nAnonymous: 0 kB\n":                 false,
	} {
		if err := ParseSmaps(strings.NewReader(text), func(s Smap) {
			if s.Clean() != want {
				t.Errorf("%q is clean: %t", text, !want)
			}
		}); err != nil {
			t.Errorf("%q: %v", text, err)
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
		_ = ParseSmaps(bytes.NewReader(text), func(s Smap) {
			if s.Start >= s.End || s.Clean() && s.Perm&Write != 0 {
				t.Fatalf("%+v", s)
			}
		})
	})
}
