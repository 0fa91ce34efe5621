package text

import (
	"math/big"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"1":                   1,
		"4096":                4096,
		"4096B":               4096,
		"0010":                10,
		"1K":                  1 << 10,
		"1KiB":                1 << 10,
		"1KB":                 1e3,
		"3M":                  3 << 20,
		"3MiB":                3 << 20,
		"3MB":                 3e6,
		"4G":                  4 << 30,
		"4GiB":                4 << 30,
		"4 GiB":               4 << 30,
		" 4GiB ":              4 << 30,
		"4GB":                 4e9,
		"4g":                  4 << 30,
		"4gib":                4 << 30,
		"4gb":                 4e9,
		"512m":                512 << 20,
		"512mb":               512e6,
		"64k":                 64 << 10,
		"64kB":                64e3,
		"2t":                  2 << 40,
		"4096b":               4096,
		"5T":                  5 << 40,
		"5TiB":                5 << 40,
		"5TB":                 5e12,
		"1.5GiB":              3 << 29,
		"0.5KiB":              512,
		"2.0":                 2,
		"0.0009765625MiB":     1024,
		"0.001KB":             1,
		"8388607.999TB":       8388607999000000000,
		"9223372036854775807": 1<<63 - 1,
		"8388607TiB":          8388607 << 40,
	} {
		if got, wrong, _ := ParseSize(text); wrong != "" || got != want {
			t.Errorf("%q: %d, %s; want %d", text, got, wrong, want)
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
		"1,5GiB":                     `is not a size; write the size as "1.5GiB"`,
		"1.GiB":                      "is not a size",
		".5GiB":                      "is not a size",
		"1.2.3":                      "is not a size",
		"4Gi":                        `is not a size; write the size as "4GiB"`,
		"512mi":                      `is not a size; write the size as "512MiB"`,
		"4 bytes":                    `is not a size; write the size as "4 B"`,
		"4_000":                      `is not a size; write the size as "4000"`,
		"4,5GiB":                     `is not a size; write the size as "4.5GiB"`,
		"4,500MB":                    "is not a size; write bytes or a number with",
		"unlimited":                  `is not a size; write "off" for no limit`,
		"4Gb/s":                      "is not a size; write bytes or a number with",
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
		"18446744073709551619":       "is too large", // 2^64 + 3, which would become 3 in 64 bits
		"8388608TiB":                 "is too large",
		"9999999TiB":                 "is too large",
		"9223372.036854775808TB":     "is too large", // one byte more than the largest size
		"9223372.999999999999TB":     "is too large",
		"99999999999999999999999999": "is too large",
	} {
		got, wrong, hint := ParseSize(text)
		if wrong == "" || !strings.Contains(wrong+"; "+hint, want) || got != 0 {
			t.Errorf("%q: %d, %s; %s; want %s", text, got, wrong, hint, want)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 B", 512: "512 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 4724464025: "4.4 GiB",
		1<<20 - 1: "1 MiB", 1<<30 - 1: "1 GiB", 8 << 40: "8 TiB", 1<<63 - 1: "8 EiB", 1<<64 - 1: "16 EiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

// FuzzParseSize compares with math/big rationals: accepted sizes are exact.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"4GiB", "1.5G", "0.3KiB", "9999999TiB", "18446744073709551619", "off", "-1", "4gib", "4\u212aB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, wrong, _ := ParseSize(text)
		if wrong != "" {
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
		if !value.IsInt() || !value.Num().IsUint64() || value.Num().Uint64() != got || got == 0 || !value.Num().IsInt64() {
			t.Fatalf("%q: %d, want %s", text, got, value)
		}
	})
}

// unitBytes computes the size of a unit by rule. The letter K, M, G or T gives the exponent 1 to 4. The base is 1000 if "B"
// follows the letter, and 1024 if "iB" or nothing follows.
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
