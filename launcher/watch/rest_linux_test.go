package watch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/proc"
)

// The program goes on after it has let go of its pages, and holds fewer of them.
func TestForgetProgram(t *testing.T) {
	smaps, err := os.Open("/proc/self/smaps")
	must(t, err)
	defer smaps.Close()
	clean := 0
	must(t, proc.ParseSmaps(smaps, func(s proc.Smap) {
		if s.Clean() {
			clean++
		}
	}))
	if clean < 2 {
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
