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
		"":                           "is no size",
		" ":                          "is no size",
		"off":                        "is no size",
		"-1":                         "is no size",
		"+1":                         "is no size",
		"GiB":                        "is no size",
		"1,5GiB":                     `is no size; write "1.5GiB"`,
		"1.GiB":                      "is no size",
		".5GiB":                      "is no size",
		"1.2.3":                      "is no size",
		"4Gi":                        `is no size; write "4GiB"`,
		"512mi":                      `is no size; write "512MiB"`,
		"4 bytes":                    `is no size; write "4 B"`,
		"4_000":                      `is no size; write "4000"`,
		"4,5GiB":                     `is no size; write "4.5GiB"`,
		"4,500MB":                    "is no size; write bytes or a number with",
		"unlimited":                  `is no size; write "off" for no limit`,
		"4Gb/s":                      "is no size; write bytes or a number with",
		"50 %":                       `"50 %" is no percentage: "50 " has a blank in it; write "50%"`,
		"50,5%":                      `is no percentage: "50,5" has a comma, and decimals stand behind a "."; write "50.5%"`,
		"half%":                      `is no percentage: "half" is no number over 0; write for example "50%"`,
		"99999999999%":               "is out of range",
		"4EiB":                       "is no size",
		"1e3":                        "is no size",
		"0x10":                       "is no size",
		"٤GiB":                       "is no size",
		"4G iB":                      "is no size",
		"0":                          "is no limit at all",
		"0.0GiB":                     "is no limit at all",
		"1.5":                        "is not a whole number of bytes",
		"0.3KiB":                     "is not a whole number of bytes",
		"0.0000000000000000001TiB":   "is not a whole number of bytes",
		"9223372036854775808":        "is too large",
		"18446744073709551615":       "is too large",
		"18446744073709551616":       "is too large",
		"18446744073709551619":       "is too large", // wraps to 3 if a digit is added before the check
		"8388608TiB":                 "is too large",
		"9999999TiB":                 "is too large",
		"9223372.036854775808TB":     "is too large", // one byte over
		"9223372.999999999999TB":     "is too large",
		"99999999999999999999999999": "is too large",
		"0%":                         "is out of range",
		"101%":                       "is out of range",
		"100.000001%":                "is out of range",
		"-5%":                        "is out of range",
		"%":                          "is no percentage",
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

// FuzzParseSize compares with rational numbers: what is accepted is exact.
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

// unitBytes is the units once more, by their rule: a letter is a power, "IB" or nothing is 1024, "B" is 1000.
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
