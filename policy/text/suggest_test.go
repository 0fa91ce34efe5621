package text

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	names := []string{"run", "plan", "inspect", "virtual"}
	for word, want := range map[string]string{
		"rn": "run", "runn": "run", "rum": "run", "rnu": "run", "RUN": "run", "palns": "", "pln": "plan", "lpan": "plan",
		"inspcet": "inspect", "nspcte": "", "inspects": "inspect", "virtul": "virtual", "virual_": "virtual",
		"": "", "r": "", "x": "", "rx": "", "urn": "run", "nur": "", "vertical": "", strings.Repeat("run", 22): "",
	} {
		if want != "" {
			want = `did you mean "` + want + `"?`
		}
		if got := DidYouMean(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
