package policy

import (
	"fmt"
	"strings"

	"github.com/xrash/smetrics"
)

// Words that a typing mistake may have been meant to be.

// DidYouMean is the hint for a word that is none of names, `did you mean "cap"?`, or "" where none is near enough to be a
// slip of the hand: the same word in another case, or the nearest with at most one edit in three letters, and one in two.
func DidYouMean(word string, names []string) string {
	if len(word) > 64 { // nobody's slip, and its distance costs
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

// edits is how many letters were added, left out or taken for others, or 1 where two neighbours were swapped. It is not
// worked out where it is no less than most.
func edits(word, name string, most int) int {
	switch {
	case abs(len(word)-len(name)) >= most:
		return most
	case swapped(word, name):
		return 1
	}
	return smetrics.WagnerFischer(word, name, 1, 1, 1)
}

// swapped reports whether two words differ in the order of two neighbours alone.
func swapped(a, b string) bool {
	for i := 0; i+1 < len(a) && len(a) == len(b); i++ {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

func abs(n int) int { return max(n, -n) }

// quoteList is the words for a hint: "a", "b" or "c".
func quoteList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
