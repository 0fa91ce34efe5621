package origin

import (
	"runtime/debug"
	"testing"
)

// TestSetGCPercent sets with this package and asks runtime/debug, which answers what was set before.
func TestSetGCPercent(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	SetGCPercent(17)
	if percent := debug.SetGCPercent(-1); percent != 17 {
		t.Errorf("runtime/debug has %d %%", percent)
	}
}
