package watch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCleanMappings(t *testing.T) {
	const head = "00400000-007d2000 r-xp 00000000 fe:00 10283142                           /usr/bin/arenacap\n"
	const clean = "Size:               3912 kB\nAnonymous:             0 kB\nVmFlags: rd ex mr mw me\n"
	want := []mapping{{0x400000, 0x7d2000}}
	for _, test := range []struct {
		name, smaps string
		want        []mapping
	}{
		{"text of a program", head + clean, want},
		{"a path with blanks", strings.Replace(head, "/usr/bin/arenacap", "/opt/a b: c (deleted)", 1) + clean, want},
		{"constants", strings.Replace(head, "r-xp", "r--p", 1) + clean, want},
		{"relocated, then made read-only", head + strings.Replace(clean, "   0 kB", "  12 kB", 1), nil},
		{"writable", strings.Replace(head, "r-xp", "rw-p", 1) + clean, nil},
		{"shared", strings.Replace(head, "r-xp", "r--s", 1) + clean, nil},
		{"of no file", "7f626e700000-7f626e900000 r--p 00000000 00:00 0 \n" + clean, nil},
		{"two, the first of which tells nothing", head + "00800000-00900000 rw-p 00000000 fe:00 1 /x\n" + clean, nil},
		{"garbage", "x-y r-xp 0 0 1 /x\n" + clean + "- -\n-", nil},
		{"nothing", "", nil},
	} {
		if got := cleanMappings([]byte(test.smaps)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %x, want %x", test.name, got, test.want)
		}
	}
}

func FuzzCleanMappings(f *testing.F) {
	f.Add([]byte("00400000-007d2000 r-xp 00000000 fe:00 12 /x\nAnonymous: 0 kB\n"))
	f.Fuzz(func(t *testing.T, smaps []byte) {
		for _, m := range cleanMappings(smaps) {
			if m.from >= m.to {
				t.Errorf("%q: a mapping from %#x to %#x", smaps, m.from, m.to)
			}
		}
	})
}

// The program goes on after it has let go of its pages, and holds fewer of them.
func TestForgetProgram(t *testing.T) {
	text, err := os.ReadFile("/proc/self/smaps")
	must(t, err)
	if len(cleanMappings(text)) < 2 {
		t.Error("neither the text nor the constants of this program's file are found")
	}
	before := residentOfFiles(t)
	forgetProgram()
	if after := residentOfFiles(t); after >= before {
		t.Errorf("%d kB of files are resident, of %d before", after, before)
	}
}

// residentOfFiles counts those in memory too: go test builds in /tmp, often a tmpfs, whose pages are RssShmem.
func residentOfFiles(t *testing.T) (kB uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for _, key := range []string{"RssFile:", "RssShmem:"} {
		var n uint64
		_, rest, _ := strings.Cut(string(text), key)
		_, err = fmt.Sscan(rest, &n)
		must(t, err)
		kB += n
	}
	return kB
}

// It rests once when all is quiet, not again without a reason, and not too often.
func TestWhenToRest(t *testing.T) {
	var r rest
	if yes, until := r.due(0, true); yes || until != never {
		t.Error("it rests in a process that is not the watch's")
	}
	r.allowed = true
	if yes, until := r.due(0, false); yes || until != never {
		t.Error("it rests while there is something to do")
	}
	if yes, _ := r.due(0, true); !yes {
		t.Error("it does not rest")
	}
	r.taken, r.after = true, restEvery
	if yes, until := r.due(time.Hour, true); yes || until != never {
		t.Error("it rests again though nothing happened")
	}
	r.taken = false
	if yes, until := r.due(restEvery-1, true); yes || until != restEvery {
		t.Errorf("it rests at once again, or waits until %s", until)
	}
	if yes, _ := r.due(restEvery, true); !yes {
		t.Error("it does not rest again")
	}
}
