package sweep

import (
	"slices"
	"testing"
)

func TestThin(t *testing.T) {
	var sizes []Size
	for i := range 1000 {
		sizes = append(sizes, Size{Seconds: float64(i) * 0.02})
	}
	got := thin(sizes, 200)
	if len(got) != 200 || got[0] != sizes[0] || got[199] != sizes[999] || !slices.IsSortedFunc(got, func(a, b Size) int {
		if a.Seconds < b.Seconds {
			return -1
		}
		return 1
	}) {
		t.Errorf("%d samples, from %v to %v", len(got), got[0], got[len(got)-1])
	}
	if got := thin(sizes[:10], 200); len(got) != 10 {
		t.Errorf("%d of 10 samples were kept", len(got))
	}
}
