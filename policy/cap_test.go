package policy

import (
	"strings"
	"testing"
)

func TestParseCap(t *testing.T) {
	for text, want := range map[string]Cap{
		"1":               {Mode: Fixed, N: 1},
		"4":               {Mode: Fixed, N: 4},
		"65535":           {Mode: Fixed, N: MaxCap},
		"1/core":          {Mode: PerCore, Micro: 1_000_000},
		"2/core":          {Mode: PerCore, Micro: 2_000_000},
		"0.5/core":        {Mode: PerCore, Micro: 500_000},
		"0.1/core":        {Mode: PerCore, Micro: 100_000},
		"1.000001/core":   {Mode: PerCore, Micro: 1_000_001},
		"0.000001/core":   {Mode: PerCore, Micro: 1},
		"65535/core":      {Mode: PerCore, Micro: MaxCap * 1_000_000},
		"65534.9999/core": {Mode: PerCore, Micro: 65_534_999_900},
		"off":             {Mode: Off},
		"glibc":           {Mode: Glibc},
	} {
		got, err := parseCap(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%q is written %q", text, got)
		}
	}
}

func TestParseCapRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "invalid cap",
		"0":                               `"off" to change nothing`,
		"00":                              "invalid cap",
		"-1":                              "invalid cap",
		"+4":                              `write the cap as 4`,
		" 4":                              `write the cap as 4`,
		"04":                              `write the cap as 4`,
		"4.0":                             "invalid cap",
		"65536":                           `is too large; the largest cap is 65535`,
		"99999999999999999":               `is too large; the largest cap is 65535`,
		"four":                            "invalid cap",
		"OFF":                             `write "off", in lower case`,
		"1/cores":                         `write the cap as "1/core"`,
		"1 /core":                         `"1 " contains a space; write the cap as "1/core"`,
		"/core":                           `"" is not a number above 0`,
		"0/core":                          `"0" is not a number above 0`,
		"0.0/core":                        `"0.0" is not a number above 0`,
		"-1/core":                         `"-1" is not a number above 0`,
		".5/core":                         `".5" is not a number above 0`,
		"1./core":                         `"1." is not a number above 0`,
		"1.2.3/core":                      `"1.2.3" is not a number above 0`,
		"0.0000001/core":                  "has more than six decimals",
		"65535.000001/core":               "is too large; the largest factor is 65535",
		"100000/core":                     "is too large; the largest factor is 65535",
		"1e3/core":                        "is not a number above 0",
		"0,5/core":                        `contains a comma instead of a decimal point; write the cap as "0.5/core"`,
		"0.5/cpu":                         `write the cap as "0.5/core"`,
		"2 / Cores":                       `write the cap as "2/core"`,
		"99999999999999999999999999/core": "is too large; the largest factor is 65535",
	} {
		got, err := parseCap(text)
		if err == nil || !strings.Contains(err.Error(), want) || got != (Cap{}) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}

// FuzzParseCap: formatting and parsing an accepted cap gives the same cap.
func FuzzParseCap(f *testing.F) {
	for _, s := range []string{"1", "65535", "0", "1/core", "0.5/core", "1.000001/core", "off", "glibc", "٤", "-1/core"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCap(text)
		if err != nil {
			if c != (Cap{}) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %+v, %v", text, c, err)
			}
			return
		}
		again, err := parseCap(c.String())
		if err != nil || again != c {
			t.Fatalf("%q: %+v is written %q and read as %+v, %v", text, c, c, again, err)
		}
		if n := c.of(MaxCap); c.Mode == PerCore && n < 1 {
			t.Fatalf("%q gives %d arenas", text, n)
		}
	})
}
