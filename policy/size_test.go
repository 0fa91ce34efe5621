package policy

import (
	"math/big"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]size{
		"1":                   {Bytes: 1},
		"4096":                {Bytes: 4096},
		"4096B":               {Bytes: 4096},
		"0010":                {Bytes: 10},
		"1K":                  {Bytes: 1 << 10},
		"1KiB":                {Bytes: 1 << 10},
		"1KB":                 {Bytes: 1e3},
		"3M":                  {Bytes: 3 << 20},
		"3MiB":                {Bytes: 3 << 20},
		"3MB":                 {Bytes: 3e6},
		"4G":                  {Bytes: 4 << 30},
		"4GiB":                {Bytes: 4 << 30},
		"4 GiB":               {Bytes: 4 << 30},
		" 4GiB ":              {Bytes: 4 << 30},
		"4GB":                 {Bytes: 4e9},
		"4g":                  {Bytes: 4 << 30},
		"4gib":                {Bytes: 4 << 30},
		"4gb":                 {Bytes: 4e9},
		"512m":                {Bytes: 512 << 20},
		"512mb":               {Bytes: 512e6},
		"64k":                 {Bytes: 64 << 10},
		"64kB":                {Bytes: 64e3},
		"2t":                  {Bytes: 2 << 40},
		"4096b":               {Bytes: 4096},
		"5T":                  {Bytes: 5 << 40},
		"5TiB":                {Bytes: 5 << 40},
		"5TB":                 {Bytes: 5e12},
		"1.5GiB":              {Bytes: 3 << 29},
		"0.5KiB":              {Bytes: 512},
		"2.0":                 {Bytes: 2},
		"0.0009765625MiB":     {Bytes: 1024},
		"0.001KB":             {Bytes: 1},
		"8388607.999TB":       {Bytes: 8388607999000000000},
		"9223372036854775807": {Bytes: 1<<63 - 1},
		"8388607TiB":          {Bytes: 8388607 << 40},
		"80%":                 {Percent: 80},
		"100%":                {Percent: 100},
		"0.5%":                {Percent: 0.5},
		"0.000001%":           {Percent: 0.000001},
		"12.345678%":          {Percent: 12.345678},
	} {
		if got, err := parseLimit(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseSizeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "is not a size",
		" ":                          "is not a size",
		"off":                        "is not a size",
		"-1":                         "is not a size",
		"+1":                         "is not a size",
		"GiB":                        "is not a size",
		"1,5GiB":                     `is not a size; write "1.5GiB"`,
		"1.GiB":                      "is not a size",
		".5GiB":                      "is not a size",
		"1.2.3":                      "is not a size",
		"4Gi":                        `is not a size; write "4GiB"`,
		"512mi":                      `is not a size; write "512MiB"`,
		"4 bytes":                    `is not a size; write "4 B"`,
		"4_000":                      `is not a size; write "4000"`,
		"4,5GiB":                     `is not a size; write "4.5GiB"`,
		"4,500MB":                    "is not a size; write bytes or a number with",
		"unlimited":                  `is not a size; write "off" for no limit`,
		"4Gb/s":                      "is not a size; write bytes or a number with",
		"50 %":                       `"50 %" is not a percentage: "50 " contains a space; write "50%"`,
		"50,5%":                      `is not a percentage: "50,5" contains a comma instead of a decimal point; write "50.5%"`,
		"half%":                      `is not a percentage: "half" is not a number above 0; write for example "50%"`,
		"99999999999%":               "is out of range",
		"4EiB":                       "is not a size",
		"1e3":                        "is not a size",
		"0x10":                       "is not a size",
		"٤GiB":                       "is not a size",
		"4G iB":                      "is not a size",
		"0":                          "is not a limit",
		"0.0GiB":                     "is not a limit",
		"1.5":                        "is not a whole number of bytes",
		"0.3KiB":                     "is not a whole number of bytes",
		"0.0000000000000000001TiB":   "is not a whole number of bytes",
		"9223372036854775808":        "is too large",
		"18446744073709551615":       "is too large",
		"18446744073709551616":       "is too large",
		"18446744073709551619":       "is too large", // overflows to 3 if the check comes too late
		"8388608TiB":                 "is too large",
		"9999999TiB":                 "is too large",
		"9223372.036854775808TB":     "is too large", // one byte over
		"9223372.999999999999TB":     "is too large",
		"99999999999999999999999999": "is too large",
		"0%":                         "is out of range",
		"101%":                       "is out of range",
		"100.000001%":                "is out of range",
		"-5%":                        "is out of range",
		"%":                          "is not a percentage",
		"0.0000001%":                 "has more than six decimals",
	} {
		got, err := parseLimit(text)
		if err == nil || !strings.Contains(err.Error(), want) || got != (size{}) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 B", 512: "512 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 4724464025: "4.4 GiB",
		1<<20 - 1: "1 MiB", 1<<30 - 1: "1 GiB", 8 << 40: "8 TiB", 1<<63 - 1: "8 EiB", 1<<64 - 1: "16 EiB",
	} {
		if got := FormatSize(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

// FuzzParseSize compares with math/big rationals: accepted sizes are exact.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"4GiB", "1.5G", "0.3KiB", "9999999TiB", "18446744073709551619", "80%", "off", "-1", "4gib", "4\u212aB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseLimit(text)
		if err != nil || got.Percent != 0 {
			if got.Percent != 0 && (err != nil || got.Bytes != 0 || got.Percent < 0 || got.Percent > 100) {
				t.Fatalf("%q: %+v, %v", text, got, err)
			}
			return
		}
		s := strings.TrimSpace(text)
		number := strings.TrimRight(s, "KMGTIBkmgtib ")
		unit := strings.ToUpper(strings.TrimSpace(s[len(number):]))
		value, ok := new(big.Rat).SetString(number)
		if !ok {
			t.Fatalf("%q is no number to math/big", text)
		}
		value.Mul(value, new(big.Rat).SetInt64(unitBytes(unit)))
		if !value.IsInt() || !value.Num().IsUint64() || value.Num().Uint64() != got.Bytes || got.Bytes == 0 || !value.Num().IsInt64() {
			t.Fatalf("%q: %d, want %s", text, got.Bytes, value)
		}
	})
}

// unitBytes computes the units by rule: the letter is the power, of 1024 with "iB" or nothing after it, of 1000 with "B".
func unitBytes(unit string) int64 {
	if unit == "" || unit == "B" {
		return 1
	}
	base := int64(1024)
	if unit[1:] == "B" {
		base = 1000
	}
	n := int64(1)
	for range strings.Index("KMGT", unit[:1]) + 1 {
		n *= base
	}
	return n
}
