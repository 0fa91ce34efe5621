package text

import (
	"fmt"
	"strings"

	"github.com/xrash/smetrics"
)

// This file suggests corrections for misspelt words.

// DidYouMean returns `did you mean "cap"?` with the name nearest to word, or "" if none is near enough. Near enough
// means at most len(word)/3 edits; a word of two bytes may have one edit, a word of one byte or of over 64 bytes none.
// Case does not count.
func DidYouMean(word string, names []string) string {
	if len(word) > 64 { // the distance of long words is costly to compute
		return ""
	}
	best, least := "", min(max(1, len(word)/3), len(word)-1)+1
	for _, name := range names {
		if d := edits(strings.ToLower(word), strings.ToLower(name), least); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// edits is the Levenshtein distance, or 1 for two swapped neighbours. If the lengths alone differ by limit or more, it
// returns limit.
func edits(word, name string, limit int) int {
	switch {
	case max(len(word), len(name))-min(len(word), len(name)) >= limit:
		return limit
	case swapped(word, name):
		return 1
	}
	return smetrics.WagnerFischer(word, name, 1, 1, 1)
}

// swapped reports whether two words differ only in the order of two neighbouring letters.
func swapped(a, b string) bool {
	for i := 0; i+1 < len(a) && len(a) == len(b); i++ {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}
