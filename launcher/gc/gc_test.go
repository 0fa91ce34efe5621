package gc

import (
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
