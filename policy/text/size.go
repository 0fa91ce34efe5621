package text

// This file parses and formats sizes.

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"
	"unicode"
)

// sizeUnits are the units in the order in which parseBytes tries them; upper and lower case are equal. One letter means the
// binary unit.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1}, {"", 1},
}

// ParseSize parses "4GiB", "1.5G", "500MB" or "4096" into bytes. The result is exact: a fraction of a byte and a size of 8
// EiB or more are errors. If the size is invalid, the second result, "wrong", says what is wrong, and "hint" says what
// to type instead; "wrong" is "" for a valid size.
func ParseSize(text string) (bytes uint64, wrong, hint string) {
	bytes, wrong, hint = parseBytes(text)
	if wrong != "" {
		wrong, hint = fmt.Sprintf("%q %s", text, wrong), cmp.Or(meantSize(text), hint)
	}
	return bytes, wrong, hint
}

// meantSize suggests a correction for an invalid size; it returns "" if it knows no correction.
func meantSize(text string) string {
	s := strings.TrimSpace(text)
	switch strings.ToLower(s) {
	case "off", "none", "no", "unlimited", "infinity", "max", "-1":
		return `write "off" for no limit`
	}
	number := strings.TrimRightFunc(s, unicode.IsLetter)
	unit := strings.ToLower(s[len(number):])
	switch {
	case strings.HasSuffix(unit, "i"): // Kubernetes writes "Mi" for MiB
		unit += "b"
	case strings.HasSuffix(unit, "bytes"):
		unit = "B"
	}
	if whole, frac, comma := strings.Cut(number, ","); comma && len(strings.TrimSpace(frac)) != 3 { // three digits after a comma may mean thousands
		number = whole + "." + frac
	}
	meant := strings.ReplaceAll(number, "_", "") + strings.Replace(strings.ToUpper(unit), "IB", "iB", 1)
	if _, wrong, _ := parseBytes(meant); wrong != "" {
		return ""
	}
	return fmt.Sprintf("write the size as %q", meant)
}

// parseBytes does what ParseSize does, but its error does not quote the text, and it suggests no correction.
func parseBytes(text string) (bytes uint64, wrong, hint string) {
	s := strings.TrimSpace(text)
	for _, u := range sizeUnits {
		at := len(s) - len(u.suffix)
		if at >= 0 && strings.EqualFold(s[at:], u.suffix) {
			return scale(strings.TrimRight(s[:at], " "), u.bytes)
		}
	}
	panic("unreachable: the empty suffix matches")
}

// scale computes number × unit exactly.
func scale(number string, unit int64) (bytes uint64, wrong, hint string) {
	whole, frac, dot := strings.Cut(number, ".")
	if whole == "" || dot && frac == "" || strings.Trim(whole+frac, "0123456789") != "" {
		return 0, "is not a size", `write bytes or a number with KiB, MiB, GiB or TiB (K, M, G, T for short), for example "4GiB"`
	}
	n, _ := new(big.Int).SetString(whole+frac, 10)
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(frac))), nil)
	n, rest := n.Mul(n, big.NewInt(unit)).QuoRem(n, power, new(big.Int))
	switch {
	case !n.IsInt64():
		return 0, "is too large", "the largest size is 8 EiB less one byte, 9223372036854775807"
	case rest.Sign() != 0:
		return 0, "is not a whole number of bytes", "use a smaller unit or fewer decimals"
	case n.Sign() == 0:
		return 0, "is not a limit", `write "off" for no limit`
	}
	return n.Uint64(), "", ""
}

// Size formats bytes with at most one decimal, in the smallest binary unit in which the rounded number is below 1024:
// "4.4 GiB", "64 MiB", "512 B".
func Size(bytes uint64) string {
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
