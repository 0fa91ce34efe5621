package policy

import (
	"fmt"
	"math/bits"
	"strings"
)

// Sizes: bytes and shares of the machine's memory as people write them, and bytes as they are shown.

// size is a limit as the operator wrote it: bytes, or a percentage of the memory that the machine gives. The zero size is
// a limit that is not set.
type size struct {
	Bytes   uint64
	Percent float64 // over 0 where the size is relative; Bytes is 0 then
	From    string  // where it was said: "policy.toml:9", "--budget"
}

func (s size) isZero() bool { return s.Bytes == 0 && s.Percent == 0 }

// maxSize is the largest size in bytes: what fits a signed 64-bit offset, far over any address space.
const maxSize = 1<<63 - 1

// sizeUnits are the units in the order they are tried; the one-letter forms mean the binary ones.
var sizeUnits = []struct {
	suffix string
	bytes  uint64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1}, {"", 1},
}

// parseLimit reads a size or "80%".
func parseLimit(text string) (size, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	if !ok {
		bytes, err := ParseSize(text)
		return size{Bytes: bytes}, err
	}
	micro, ok := parseMicro(number)
	if !ok || micro == 0 || micro > 100_000_000 {
		return size{}, hinted{fmt.Sprintf("%q is out of range", text), "a percentage is over 0% and at most 100%"}
	}
	return size{Percent: float64(micro) / 1e6}, nil
}

// ParseSize reads "4GiB", "1.5G", "500MB" or "4096" as bytes. It is exact: a fraction of a byte and a size over 8 EiB are
// errors.
func ParseSize(text string) (uint64, error) {
	s := strings.TrimSpace(text)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			bytes, why := scale(strings.TrimRight(number, " "), u.bytes)
			if why.what != "" {
				return 0, hinted{fmt.Sprintf("%q %s", text, why.what), why.hint}
			}
			return bytes, nil
		}
	}
	panic("unreachable: the empty suffix matches")
}

// scale is number × unit, exactly, or what is wrong with it.
func scale(number string, unit uint64) (uint64, hinted) {
	whole, frac, dot := strings.Cut(number, ".")
	if whole == "" || dot && frac == "" || strings.Trim(whole+frac, "0123456789") != "" {
		return 0, hinted{"is no size", `write bytes or a number with KiB, MiB, GiB or TiB, for example "4GiB"`}
	}
	n, ok := mulAdd(whole, unit)
	frac = strings.TrimRight(frac, "0")
	if frac != "" && ok {
		part, exact := fraction(frac, unit)
		if !exact {
			return 0, hinted{"is not a whole number of bytes", "take a smaller unit or fewer decimals"}
		}
		n += part // part < unit ≤ 1 TiB and n ≤ maxSize, so this cannot wrap
	}
	if !ok || n > maxSize {
		return 0, hinted{"is too large", "the largest size is 8 EiB less one byte, 9223372036854775807"}
	}
	if n == 0 {
		return 0, hinted{"is no limit at all", `write "off" for no limit`}
	}
	return n, hinted{}
}

// mulAdd is the decimal digits times unit; ok is false over maxSize.
func mulAdd(digits string, unit uint64) (n uint64, ok bool) {
	for _, d := range []byte(digits) {
		hi, lo := bits.Mul64(n, 10)
		if hi != 0 || lo > maxSize { // checked before the digit is added, which could wrap
			return 0, false
		}
		n = lo + uint64(d-'0')
	}
	hi, lo := bits.Mul64(n, unit)
	return lo, hi == 0 && lo <= maxSize
}

// fraction is 0.digits × unit where that is a whole number.
func fraction(digits string, unit uint64) (uint64, bool) {
	if len(digits) > 18 { // ten to the 18th fits 64 bits; no unit has so many divisors
		return 0, false
	}
	num, den := uint64(0), uint64(1)
	for _, d := range []byte(digits) {
		num, den = num*10+uint64(d-'0'), den*10
	}
	hi, lo := bits.Mul64(num, unit)
	quo, rem := bits.Div64(hi, lo, den)
	return quo, rem == 0
}

// FormatSize gives bytes for people, in the largest binary unit that leaves at least one: "4.4 GiB",
// "64 MiB", "512 B".
func FormatSize(bytes uint64) string {
	const units = "KMGTPE"
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, i := float64(bytes)/1024, 0
	for value >= 1023.95 && i < len(units)-1 {
		value, i = value/1024, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[i:i+1] + "iB"
}
