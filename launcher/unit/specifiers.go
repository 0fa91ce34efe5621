package unit

// This file replaces specifiers: "%" and a letter, for which systemd inserts a property of the unit or of the system
// (systemd.unit(5), "SPECIFIERS").

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// expand replaces a text's specifiers (v252: src/core/unit-printf.c, src/shared/specifier.c). The second result,
// "known", is false if only systemd knows one of the values; expand keeps such a specifier, with a "/" before it if its
// value is a path.
func (u Unit) expand(text string) (value string, known bool, err error) {
	var b strings.Builder
	known = true
	for {
		before, after, ok := strings.Cut(text, "%")
		b.WriteString(before)
		switch {
		case !ok:
			return b.String(), known, nil
		case after == "":
			return b.String() + "%", known, nil
		}
		value, sure := u.specifier(after[0])
		if value == "" && !sure {
			return "", false, fmt.Errorf("%q is not a specifier", text[len(before):][:2])
		}
		b.WriteString(value)
		text, known = after[1:], known && sure
	}
}

// expanded is a text with the specifiers replaced whose values are known here, or "" if systemd rejects the text.
func (u Unit) expanded(text string) string {
	value, _, _ := u.expand(text)
	return value
}

// managerValues are the values of the system manager. Those of a user manager depend on its environment and version.
var managerValues = map[byte]string{
	'C': "/var/cache", 'E': "/etc", 'L': "/var/log", 'S': "/var/lib", 't': "/run", 'T': "/tmp", 'V': "/var/tmp",
	'h': "/root", 'u': "root", 'g': "root", 'U': "0", 'G': "0",
}

// specifier returns the value of a specifier, and whether it is known here; "" and false for a letter or digit that
// is not a specifier.
func (u Unit) specifier(letter byte) (value string, known bool) {
	if value, ok := managerValues[letter]; ok && u.Home == "" {
		return value, true
	}
	switch {
	case letter == 'h':
		return u.Home, true
	case letter == 'y' && len(u.Files) > 0:
		return u.Files[0], true
	case letter == 'Y' && len(u.Files) > 0:
		return path.Dir(u.Files[0]), true
	case strings.IndexByte("cdDsCELStTV", letter) >= 0:
		return "/%" + string(letter), false
	case strings.IndexByte("aAbBgGHlmMoqrRuUvwW", letter) >= 0:
		return "%" + string(letter), false
	}
	return u.nameSpecifier(letter)
}

// nameSpecifier returns the value of a specifier for a part of the unit's name. The instance of a template is not known.
func (u Unit) nameSpecifier(letter byte) (value string, known bool) {
	stem := strings.TrimSuffix(u.Name, suffix)
	prefix, instance, isInstance := strings.Cut(stem, "@")
	if known = !isInstance || instance != ""; !known {
		instance = "%i"
		stem += instance
	}
	last, file := prefix[strings.LastIndexByte(prefix, '-')+1:], instance
	if !isInstance {
		file = prefix
	}
	if value, ok := map[byte]string{
		'n': stem + suffix, 'N': stem, 'i': instance, 'I': unescapeName(instance), 'f': path.Join("/", unescapeName(file)),
	}[letter]; ok {
		return value, known
	}
	if value, ok := map[byte]string{'p': prefix, 'P': unescapeName(prefix), 'j': last, 'J': unescapeName(last), '%': "%"}[letter]; ok {
		return value, true
	}
	if letter < '0' || letter > 'z' || letter > '9' && letter < 'A' || letter > 'Z' && letter < 'a' {
		return "%" + string(letter), true
	}
	return "", false
}

// unescapeName reverses systemd-escape(1).
func unescapeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '-' {
			c = '/'
		} else if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				c = byte(n)
				i += 3
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}
