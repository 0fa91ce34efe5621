package main

// The dialects of env: how a shell, or who else reads variables, wants them written.

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/sweep/ordered"
)

// dialect is one way to write an environment down for others to read, a line for each variable.
type dialect struct {
	name  string                       // as --shell takes it
	set   string                       // of a name and a quoted value
	unset string                       // of a name; where a file cannot unset, an empty value
	quote func(string) (string, error) // refuses what the reader would not give back byte for byte
}

var dialects = []dialect{
	{"sh", "export %s=%s\n", "unset %s\n", quoteSh},
	{"fish", "set -gx %s %s\n", "set -eg %s\n", quoteFish},
	{"csh", "setenv %s %s;\n", "unsetenv %s;\n", quoteCsh},
	{"systemd", "%s=%s\n", "%s=\n", quoteSystemd},
	{"docker", "%s=%s\n", "%s=\n", checkDocker},
	{name: "json"}, // renderJSON
}

// The dialects in words, for the help and for who asks for another one.
const (
	dialectsHelp   = "sh (also bash, dash, ksh, zsh), fish, csh, systemd, docker or json"
	dialectsWanted = "sh (for bash, dash, ksh and zsh too), fish, csh (for tcsh too), systemd, docker or json"
)

// renderEnv writes the changes in the words of a shell or as a file that it is said to be for. An error
// means that there is nothing to print: half of the changes would be a different environment.
func renderEnv(shell string, changes []environ.Change) (string, error) {
	if shell == "json" {
		return renderJSON(changes)
	}
	at := slices.IndexFunc(dialects, func(d dialect) bool { return d.name == shell })
	if at < 0 {
		return "", say.Usage("env", fmt.Sprintf("--shell %q is not one; write %s", shell, dialectsWanted))
	}
	d := dialects[at]
	var sets, unsets strings.Builder
	for _, c := range changes {
		if c.Unset {
			fmt.Fprintf(&unsets, d.unset, c.Name)
			continue
		}
		value, err := d.quote(c.Value)
		if err != nil {
			return "", cannotSay(shell, c, err)
		}
		fmt.Fprintf(&sets, d.set, c.Name, value)
	}
	// fish's "set -e" of a variable that is not there fails; a set last makes the whole succeed.
	return unsets.String() + sets.String(), nil
}

func cannotSay(shell string, c environ.Change, why error) error {
	return fmt.Errorf("%s=%.80q cannot be written for %s: %w; clean it up or use another --shell", c.Name, c.Value, shell, why)
}

// quoteSh writes a value for every shell of the Bourne family: in single quotes nothing is special but
// their end. One text has to serve dash, bash, ksh and zsh and carry any byte, which is why the quoting of
// a shell library is not used: mvdan.cc/sh writes for one shell, with $'…' for bash, which dash does not
// know, and refuses bytes that are not printable for POSIX.
func quoteSh(value string) (string, error) { return inQuotes(value), nil }

func inQuotes(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

// shellWords are arguments as a shell of that family takes them, quoted where they have to be.
func shellWords(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		if words[i] = arg; arg == "" || !plain(arg, "._:=,/+-%@") {
			words[i] = inQuotes(arg)
		}
	}
	return strings.Join(words, " ")
}

// quoteFish: in single quotes only \' and \\ are special (fish, "Quotes").
func quoteFish(value string) (string, error) {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'", nil
}

// quoteCsh puts what is special even in single quotes behind a backslash outside of them: the quote, "!"
// (history), and the backslash, which reads differently with tcsh's backslash_quote set. A line break
// could be sourced from a file but not pass the backquotes of eval "`…`", where it separates words.
func quoteCsh(value string) (string, error) {
	if strings.Contains(value, "\n") {
		return "", fmt.Errorf("csh loses line breaks between backquotes")
	}
	return "'" + strings.NewReplacer(`\`, `'\\'`, "'", `'\''`, "!", `'\!'`).Replace(value) + "'", nil
}

// quoteSystemd writes a value for EnvironmentFile= (systemd.exec(5)): in double quotes, "\" before one of
// "$\` and itself is taken away, and line breaks stay. Nothing is expanded. A plain sh reads it the same.
// systemd ignores an assignment that is not UTF-8, and older versions one with a control character other
// than tab and line break (src/basic/env-util.c, env_value_is_valid).
func quoteSystemd(value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("it is not UTF-8, and systemd ignores such an assignment")
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' || r == 0x7f }
	if i := strings.IndexFunc(value, control); i >= 0 {
		return "", fmt.Errorf("systemd ignores an assignment with the control character %q", value[i])
	}
	if plain(value, "._:=,/+-") {
		return value, nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(value) + `"`, nil
}

// plain reports whether a value is made of letters, digits and these marks alone.
func plain(value, marks string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return strings.Trim(value, letters+marks) == ""
}

// dockerLine is the longest line that docker reads of an --env-file (docker/cli: a bufio.Scanner).
const dockerLine = 64<<10 - 1

// checkDocker passes a value as it is, for docker --env-file knows no quotes: what stands behind the "="
// up to the end of the line is the value.
func checkDocker(value string) (string, error) {
	const longestName = len("MALLOC_ARENA_TEST=")
	switch {
	case strings.Contains(value, "\n"), strings.HasSuffix(value, "\r"):
		return "", fmt.Errorf("an --env-file has no quotes, so no value with a line break")
	case !utf8.ValidString(value):
		return "", fmt.Errorf("it is not UTF-8, and docker refuses such a file")
	case len(value) > dockerLine-longestName:
		return "", fmt.Errorf("docker reads no line over %d bytes", dockerLine)
	}
	return value, nil
}

// renderJSON writes {"set": {NAME: VALUE}, "unset": [NAME]}.
func renderJSON(changes []environ.Change) (string, error) {
	set, unset := map[string]string{}, []string{}
	for _, c := range changes {
		switch {
		case c.Unset:
			unset = append(unset, c.Name)
		case !utf8.ValidString(c.Value):
			return "", cannotSay("json", c, fmt.Errorf("it is not UTF-8"))
		default:
			set[c.Name] = c.Value
		}
	}
	var text strings.Builder
	err := printJSON(&text, ordered.Object{"set", set, "unset", unset})
	return text.String(), err
}
