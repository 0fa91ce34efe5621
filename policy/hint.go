package policy

import (
	"fmt"
	"strings"

	"github.com/xrash/smetrics"
)

// hinted is an error of a value: what is wrong, and what to type instead. Both are one line.
type hinted struct{ what, hint string }

func (h hinted) Error() string {
	if h.hint == "" {
		return h.what
	}
	return h.what + "; " + h.hint
}

// didYouMean is the hint for a word that is not one of names: the same word in another case, or the
// nearest by edits where that is near enough to be a slip of the hand. "" is no such word.
func didYouMean(word string, names []string) string {
	if near, ok := nearest(word, names); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// nearest allows one edit in three letters, and one in two. A long word is nobody's slip and its distance costs.
func nearest(word string, names []string) (string, bool) {
	best, least := "", min(max(1, len(word)/3), len(word)-1)+1
	if len(word) > 64 {
		return "", false
	}
	for _, name := range names {
		if strings.EqualFold(word, name) {
			return name, true
		}
		if abs(len(word)-len(name)) >= least { // the distance is no less
			continue
		}
		if d := smetrics.WagnerFischer(strings.ToLower(word), strings.ToLower(name), 1, 1, 1); d < least {
			best, least = name, d
		}
	}
	return best, best != ""
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
