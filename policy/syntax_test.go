package policy

import (
	"strings"
	"testing"
)

// TestSyntax checks the messages for many mistakes, most of them syntax errors, with position and hint.
func TestSyntax(t *testing.T) {
	const isTOML = ", but a policy is TOML; write [arenas], and on the next line cap = 4 | "
	const chars = " has characters other than letters, digits, - and _; put the name in quotes: "
	const dot = ", because a dot separates tables; put a name with a dot in quotes: "
	for text, want := range map[string]string{
		"[service.php8.2-fpm]\narenas.cap = 4":            `1:1: unknown table "2-fpm" in [service.php8]` + dot + `[service."php8.2-fpm"] | [service.php8.2-fpm]`,
		"[service.php8.2-fpm]":                            `1:1: unknown table "2-fpm" in [service.php8]` + dot + `[service."php8.2-fpm"] | [service.php8.2-fpm]`,
		"[service.php8.2-fpm]\ncap = 4":                   `1:1: unknown table "2-fpm" in [service.php8]` + dot + `[service."php8.2-fpm"] | [service.php8.2-fpm]`,
		"[service.php8.2-fpm.budget]\nvirtual = 4":        `1:1: unknown table "2-fpm" in [service.php8]` + dot + `[service."php8.2-fpm"] | [service.php8.2-fpm.budget]`,
		"[service]\nphp8.2-fpm.arenas.cap = 4":            `2:1: unknown table "2-fpm" in [service.php8]` + dot + `[service."php8.2-fpm"] | php8.2-fpm.arenas.cap = 4`,
		"service.ssh.service.arenas.cap = 4":              `1:1: unknown table "service" in [service.ssh]` + dot + `[service."ssh.service"] | service.ssh.service.arenas.cap = 4`,
		"[service.org.gnome.Shell.arenas]\ncap = 4":       `1:1: unknown table "Shell" in [service.org.gnome]` + dot + `[service."org.gnome.Shell"] | [service.org.gnome.Shell.arenas]`,
		"[service.a.budgett]\nvirtual = 4":                `1:1: unknown table "budgett"; did you mean "budget"? | [service.a.budgett]`,
		"[service.getty@tty1]\narenas.cap = 4":            `1:15: the name "getty@tty1"` + chars + `[service."getty@tty1"] | [service.getty@tty1]`,
		"[service.getty@.service.budget]\nvirtual = 4":    `1:15: the name "getty@.service"` + chars + `[service."getty@.service".budget] | [service.getty@.service.budget]`,
		"service.getty@tty1.arenas.cap = 4":               `1:14: the name "getty@tty1"` + chars + `service."getty@tty1".arenas.cap | service.getty@tty1.arenas.cap = 4`,
		"[service.my app]\narenas.cap = 4":                `1:13: the name "my app"` + chars + `[service."my app"] | [service.my app]`,
		"{\"arenas\": {\"cap\": 4}}":                      `1:1: the file looks like JSON` + isTOML + `{"arenas": {"cap": 4}}`,
		"[\n  {\"arenas\": 4}\n]":                         `1:2: the file looks like JSON` + isTOML + `[`,
		"# mine\narenas:\n  cap: 4":                       `2:7: the file looks like YAML` + isTOML + `arenas:`,
		"---\narenas: {cap: 4}":                           `1:4: the file looks like YAML` + isTOML + `---`,
		"- cap: 4":                                        `1:3: the file looks like YAML` + isTOML + `- cap: 4`,
		"<policy/>":                                       `1:1: the file looks like XML` + isTOML + `<policy/>`,
		"#!/bin/sh\nexec true":                            `2:6: the file looks like a script` + isTOML + `exec true`,
		"export MALLOC_ARENA_MAX=4":                       `1:8: this is a line of a shell script; a policy is TOML: write [arenas], and on the next line cap = 4 | export MALLOC_ARENA_MAX=4`,
		"[arenas]\ncap: 4":                                `2:4: ":" is used instead of "="; write cap = 4 | cap: 4`,
		"[arenas]\ncap := 1/core":                         `2:5: ":" is used instead of "="; write cap = "1/core" | cap := 1/core`,
		"[arenas]\ncap == 4":                              `2:6: "=" is written twice; write cap = 4 | cap == 4`,
		"[arenas]\ncap 4":                                 `2:5: there is no "=" after "cap"; write cap = 4 | cap 4`,
		"[arenas]\ncap":                                   `2:4: "cap" has no "=" and no value; write cap = and its value, or [cap] for a table | cap`,
		"[arenas]\ncap = 4;":                              `2:8: ";" at the end of a line is not TOML; write cap = 4 | cap = 4;`,
		"; mine\ncap = 4":                                 `1:1: a comment begins with "#", not with ";"; write # mine | ; mine`,
		"[arenas]\ncap = 4 // four":                       `2:8: a comment begins with "#", not with "//"; write cap = 4 # four | cap = 4 // four`,
		"[arenas]\ncap = “1/core”":                        `2:7: typographic quotation marks are not TOML; write cap = "1/core" | cap = “1/core”`,
		"[arenas]\ncap = '1/core\"":                       `2:15: the string that begins with ' is not closed on its line; write cap = "1/core" | cap = '1/core"`,
		"arenas]\ncap = 4":                                `1:7: a table header needs both [ and ]; write [arenas] | arenas]`,
		"[arenas]\n“cap” = 4":                             `2:1: typographic quotation marks are not TOML; write cap = 4 | “cap” = 4`,
		"[arenas]\ncap = 4.0":                             `2:7: the value of "cap" is a float; write cap = 4 | cap = 4.0`,
		"[arenas]\ncap = nan":                             `2:7: the value of "cap" is a float; write for example cap = 4 or cap = "1.5/core" | cap = nan`,
		"[service.a]\nservice.b.arenas.cap = 4":           `2:1: a service section is nested in [service.a]; write the settings of that service in a table of its own, such as [service.NAME.arenas] | service.b.arenas.cap = 4`,
		"[service.\"\"]\narenas.cap = 4":                  `1:1: a section has no service name; write [service.NAME] | [service.""]`,
		"[arenas]\ncap = 04":                              `2:7: the number 04 has a leading zero; write cap = 4 | cap = 04`,
		"[arenas]\ncap = 99999999999999999999":            `2:7: cap: the cap "99999999999999999999" is too large; the largest cap is 65535 | cap = 99999999999999999999`,
		"service.a.arenas.cap = 99999999999999999999":     `1:24: cap: the cap "99999999999999999999" is too large; the largest cap is 65535 | service.a.arenas.cap = 99999999999999999999`,
		"[arenas]\nmin = 99999999999999999999":            `2:7: 99999999999999999999 is too large for a number in TOML; numbers in a policy are at most 65535 | min = 99999999999999999999`,
		"[budget]\ncommand = [/bin/logger, {pid}]":        `2:12: expected value but found '/' instead; put each argument in quotes, with commas between them: command = ["/usr/local/bin/on-breach", "{pid}"] | command = [/bin/logger, {pid}]`,
		"[budget]\ncommand = [\"/bin/logger\" \"{pid}\"]": `2:26: expected a comma (',') or array terminator (']'), but got '"'; put each argument in quotes, with commas between them: command = ["/usr/local/bin/on-breach", "{pid}"] | command = ["/bin/logger" "{pid}"]`,
		"[arenas] cap = 4":                                `1:9: a table header needs its own line; write [arenas], and on the next line cap = 4 | [arenas] cap = 4`,
		"[arenas]\ncap = 4 max = 8":                       `2:8: each key needs its own line; write cap = 4, and on the next line max = 8 | cap = 4 max = 8`,
		"[arenas]\ncap = 4, max = 8":                      `2:8: each key needs its own line; write cap = 4, and on the next line max = 8 | cap = 4, max = 8`,
		"[arenas]\ncap = 4cores = 8":                      `2:8: the value 4cores = 8 is text without quotes; write cap = "4cores = 8" | cap = 4cores = 8`,
		"= 4":                                             `1:1: there is no key before "="; write for example cap = 4 | = 4`,
		"\"cap = 4":                                       `1:9: the quotation mark of the key is not closed before "="; write cap = 4 | "cap = 4`,
		"\"cap = 1/core\"":                                `1:15: the quotation mark of the key is not closed before "="; write cap = "1/core" | "cap = 1/core"`,
	} {
		_, err := read("p.toml", []byte(text+"\n"), "")
		if err == nil {
			t.Errorf("%q: no problem", text)
			continue
		}
		got, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "p.toml:"), " (and ")
		if got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}
