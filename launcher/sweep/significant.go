package sweep

import (
	"math"
	"strconv"
)

// Significant writes a number with the four digits that matter, for a table or a page.
func Significant(v float64) string {
	if v == 0 || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, 3-int(math.Floor(math.Log10(math.Abs(v))))), 64)
}
