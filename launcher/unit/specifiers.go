package unit

// Specifiers: "%" and a letter, which systemd replaces by what it knows of the unit and the system (systemd.unit(5),
// "SPECIFIERS").

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// expand replaces a text's specifiers (v252: src/core/unit-printf.c, src/shared/specifier.c). known is false where only
// systemd knows a value: there stays what is written, with a "/" before it if the value is a path.
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

// expanded is a text's value as far as it is known here; what systemd refuses is "".
func (u Unit) expanded(text string) string {
	value, _, _ := u.expand(text)
	return value
}

// managerValues are those of the system's manager. A user's has others, by its environment and its version.
var managerValues = map[byte]string{
	'C': "/var/cache", 'E': "/etc", 'L': "/var/log", 'S': "/var/lib", 't': "/run", 'T': "/tmp", 'V': "/var/tmp",
	'h': "/root", 'u': "root", 'g': "root", 'U': "0", 'G': "0",
}

// specifier is the value of one; a letter or digit without a meaning has none.
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

// nameSpecifier is about the parts of the unit's name. A template has no instance yet.
func (u Unit) nameSpecifier(letter byte) (value string, known bool) {
	stem := strings.TrimSuffix(u.Name, suffix)
	prefix, instance, isInstance := strings.Cut(stem, "@")
	if known = !isInstance || instance != ""; !known {
		instance = "%i"
		stem += instance
	}
	last := prefix[strings.LastIndexByte(prefix, '-')+1:]
	switch letter {
	case 'n':
		return stem + suffix, known
	case 'N':
		return stem, known
	case 'i':
		return instance, known
	case 'I':
		return unescapeName(instance), known
	case 'f':
		if !isInstance {
			instance = prefix
		}
		return path.Join("/", unescapeName(instance)), known
	case 'p':
		return prefix, true
	case 'P':
		return unescapeName(prefix), true
	case 'j':
		return last, true
	case 'J':
		return unescapeName(last), true
	case '%':
		return "%", true
	}
	if letter < '0' || letter > 'z' || letter > '9' && letter < 'A' || letter > 'Z' && letter < 'a' {
		return "%" + string(letter), true
	}
	return "", false
}

// unescapeName undoes systemd-escape(1).
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
