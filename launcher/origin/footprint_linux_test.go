package origin

import (
	"runtime/debug"
	"testing"
)

// TestSetGCPercent sets the value with this package's function, and reads it with that of runtime/debug, which returns
// the previous value.
func TestSetGCPercent(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	SetGCPercent(17)
	if percent := debug.SetGCPercent(-1); percent != 17 {
		t.Errorf("runtime/debug has %d %%", percent)
	}
}
