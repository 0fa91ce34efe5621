package policy

import (
	"strings"
	"testing"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]size{
		"4GiB":       {Bytes: 4 << 30},
		"80%":        {Percent: 80},
		"100%":       {Percent: 100},
		"0.5%":       {Percent: 0.5},
		"0.000001%":  {Percent: 0.000001},
		"12.345678%": {Percent: 12.345678},
	} {
		if got, err := parseLimit(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseLimitRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"4Gi":          `"4Gi" is not a size; write the size as "4GiB"`,
		"50 %":         `"50 %" is not a percentage: the number "50 " contains a space; write "50%"`,
		"50,5%":        `is not a percentage: the number "50,5" contains a comma instead of a decimal point; write "50.5%"`,
		"half%":        `is not a percentage: the number "half" is not a number above 0; write for example "50%"`,
		"99999999999%": "is out of range",
		"0%":           "is out of range",
		"101%":         "is out of range",
		"100.000001%":  "is out of range",
		"-5%":          "is out of range",
		"%":            "is not a percentage",
		"0.0000001%":   "has more than six decimals",
	} {
		got, err := parseLimit(text)
		if err == nil || !strings.Contains(err.Error(), want) || got != (size{}) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}
