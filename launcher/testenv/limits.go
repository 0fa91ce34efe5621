package testenv

// This file parses the limits of a budget for tests.

import (
	"fmt"
	"strings"

	"arenacap/policy"
)

// Limits parses limits in bytes, such as "virtual=1000 growth=200". It panics if a field has no name or no number.
func Limits(text string) (limits []policy.Limit) {
	for field := range strings.FieldsSeq(text) {
		var l policy.Limit
		if _, err := fmt.Sscanf(strings.Replace(field, "=", " ", 1), "%s %d", &l.Metric, &l.Bytes); err != nil {
			panic(err)
		}
		limits = append(limits, l)
	}
	return limits
}
