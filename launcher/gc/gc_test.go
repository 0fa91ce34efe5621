package gc

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// TestOracle sets with one package and asks the other, which answers what was set before.
func TestOracle(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	SetPercent(17)
	SetMemoryLimit(64 << 20)
	if percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(-1); percent != 17 || limit != 64<<20 {
		t.Errorf("runtime/debug has %d %% and %d bytes", percent, limit)
	}
}

// TestFreeOSMemory allocates a lot, drops it, and asks the runtime what it gave back.
func TestFreeOSMemory(t *testing.T) {
	const much = 64 << 20
	var before, after runtime.MemStats
	b := make([]byte, much)
	b[0] = 1
	runtime.KeepAlive(b)
	runtime.ReadMemStats(&before)
	FreeOSMemory()
	runtime.ReadMemStats(&after)
	if after.HeapReleased < before.HeapReleased+much/2 {
		t.Errorf("%d bytes are given back, %d before", after.HeapReleased, before.HeapReleased)
	}
}
