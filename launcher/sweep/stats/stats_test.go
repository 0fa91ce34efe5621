package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The median's interval covers the true median in at least 95 % of the samples, less three standard deviations.
func TestIntervalCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	covered := 0
	for range 2000 {
		values := make([]float64, 12)
		for i := range values {
			values[i] = math.Exp(r.NormFloat64())
		}
		if i := Of(values); i.Low <= 1 && 1 <= i.High {
			covered++
		}
	}
	if covered < 1900-30 { // 1,900 is 95 % of the 2,000 samples; 30 is 3 standard deviations of the number covered
		t.Errorf("the interval covers the true median in %d of 2000 samples", covered)
	}
}

func TestIntervalOfFew(t *testing.T) {
	for n := 1; n < 6; n++ {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i)
		}
		if i := Of(values); i.Known() || !math.IsInf(i.Width(), 1) {
			t.Errorf("%d values have the interval %v", n, i)
		}
	}
	if i := Of([]float64{3, 1, 2, 5, 4, 6}); !i.Known() || i.Median != 3.5 || i.Low != 1 || i.High != 6 {
		t.Errorf("six values: %v", i)
	}
}
