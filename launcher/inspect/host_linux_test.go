package inspect

import (
	"context"
	"testing"
)

// A read that does not return occupies one reader only: its process is not read again, and the other processes are read.
func TestStuckProcess(t *testing.T) {
	const stuck = -1 // not the PID of a process: other tests read all PIDs, and List would skip one whose read has not ended
	release, entered := make(chan struct{}), make(chan struct{})
	read := func(pid int) answer {
		if pid == stuck {
			close(entered)
			<-release
		}
		return answer{ok: true}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if found := readEach(ctx, []int{stuck}, read); len(found) != 0 {
		t.Errorf("%v", found)
	}
	found := readEach(t.Context(), []int{-2, stuck, -3}, read)
	if len(found) != 3 || !found[-2].ok || found[stuck].err == nil || !found[-3].ok {
		t.Errorf("%v", found)
	}
	close(release)
}
