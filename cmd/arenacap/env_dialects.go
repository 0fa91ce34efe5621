package main

// This file has the dialects of the command env: the syntax in which each shell or other reader sets variables.

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/ordered"
	"arenacap/policy/text"
)

// dialect is a syntax for variables, one line per variable.
type dialect struct {
	name  string                       // value of --shell
	also  []string                     // other values of --shell: shells with the same syntax
	set   string                       // fmt format with the name and the quoted value as arguments
	unset string                       // fmt format with the name as argument; systemd and docker cannot unset, so it sets an empty value
	quote func(string) (string, error) // quotes a value; refuses one that the reader would change or ignore
}

var dialects = []dialect{
	{"sh", []string{"bash", "dash", "ksh", "zsh"}, "export %s=%s\n", "unset %s\n", quoteSh},
	{"fish", nil, "set -gx %s %s\n", "set -eg %s\n", quoteFish},
	{"csh", []string{"tcsh"}, "setenv %s %s;\n", "unsetenv %s;\n", quoteCsh},
	{"systemd", nil, "%s=%s\n", "%s=\n", quoteSystemd},
	{"docker", nil, "%s=%s\n", "%s=\n", checkDocker},
	{"slurm", nil, "export %s=%s\n", "unset %s\n", checkSlurm},
	{name: kubernetes}, // the function envKubernetes prints this format
	{name: "json"},     // the function renderJSON prints this format
}

// dialectNames returns all values of --shell.
func dialectNames() (names []string) {
	for _, d := range dialects {
		names = append(append(names, d.name), d.also...)
	}
	return names
}

// dialectsInWords returns the list of dialects for help and error messages.
func dialectsInWords() string {
	words := make([]string, len(dialects))
	for i, d := range dialects {
		if words[i] = d.name; d.also != nil {
			words[i] += " (or " + strings.Join(d.also, ", ") + ")"
		}
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// renderEnv writes the changes in a dialect. On an error it returns no text, because half of the changes would be a
// different environment.
func renderEnv(shell string, changes []environ.Change) (string, error) {
	if shell == "json" {
		return renderJSON(changes)
	}
	at := slices.IndexFunc(dialects, func(d dialect) bool { return d.name == shell || slices.Contains(d.also, shell) })
	if at < 0 {
		return "", say.Usage("env", fmt.Sprintf("--shell: unknown dialect %q; write %s", shell, dialectsInWords()))
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
	// fish's "set -e" fails for an unset variable; the text as a whole succeeds, because the commands that set
	// variables come last.
	return unsets.String() + sets.String(), nil
}

func cannotSay(shell string, c environ.Change, why error) error {
	return fmt.Errorf("%s=%.80q cannot be written for %s: %w; change the value or use another --shell", c.Name, c.Value, shell, why)
}

// quoteSh quotes a value for all Bourne shells: in single quotes only the closing quote is special. One text has to
// work in dash, bash, ksh and zsh, with any byte. The shell library mvdan.cc/sh does not do that: it writes $'…' for
// bash, which dash does not know, and refuses non-printable bytes for POSIX.
func quoteSh(value string) (string, error) { return inQuotes(value), nil }

func inQuotes(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

// shellWords joins arguments for a Bourne shell, and quotes them where necessary.
func shellWords(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = text.ShellWord(arg)
	}
	return strings.Join(words, " ")
}

func quoteFish(value string) (string, error) { return inFishQuotes(value), nil }

// inFishQuotes: in single quotes only \' and \\ are special (fish, "Quotes").
func inFishQuotes(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
}

// quoteCsh closes the single quotes for characters that are special even in them, and puts a backslash before these:
// the quote, "!" (history), and the backslash, whose meaning depends on tcsh's backslash_quote. It refuses a line
// break, where eval "`…`" would split the value.
func quoteCsh(value string) (string, error) {
	if strings.Contains(value, "\n") {
		return "", fmt.Errorf("csh loses line breaks between backquotes")
	}
	return "'" + strings.NewReplacer(`\`, `'\\'`, "'", `'\''`, "!", `'\!'`).Replace(value) + "'", nil
}

// quoteSystemd quotes a value for EnvironmentFile= (systemd.exec(5)): in double quotes systemd removes a "\" before ",
// $, \ and `, keeps line breaks and expands nothing. sh reads it the same way. systemd ignores an assignment that is
// not UTF-8. Older versions also ignore an assignment with a control character other than tab and line break
// (src/basic/env-util.c, env_value_is_valid).
func quoteSystemd(value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("the value is not UTF-8, and systemd ignores such an assignment")
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

// plain reports whether a value consists of letters, digits and marks only.
func plain(value, marks string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return strings.Trim(value, letters+marks) == ""
}

// longestName is the length of the longest variable name that env sets, with "=".
const longestName = len("MALLOC_ARENA_TEST=")

// dockerLine is the longest line of an --env-file that docker reads, in bytes (docker/cli uses a bufio.Scanner).
const dockerLine = 64<<10 - 1

// checkDocker reports whether a file for docker --env-file can hold the value, and returns it unchanged. Such a file has no
// quotes: in a line NAME=value, docker takes everything after the "=" as the value.
func checkDocker(value string) (string, error) {
	switch {
	case strings.Contains(value, "\n"), strings.HasSuffix(value, "\r"):
		return "", fmt.Errorf("an --env-file cannot hold a line break")
	case !utf8.ValidString(value):
		return "", fmt.Errorf("the value is not UTF-8, and docker refuses such a file")
	case len(value) > dockerLine-longestName:
		return "", fmt.Errorf("docker does not read a line of more than %d bytes", dockerLine)
	}
	return value, nil
}

// slurmLine is the longest line of a TaskProlog's output that Slurm reads in one piece, in bytes
// (src/slurmd/slurmstepd/task.c: fgets with a size of 4095, which reads 4094).
const slurmLine = 4096 - 2

// checkSlurm returns the value unchanged: in a line "export NAME=value" of a TaskProlog's output, the value is the rest
// of the line after the first "=" (slurm.conf(5), TaskProlog).
func checkSlurm(value string) (string, error) {
	switch {
	case strings.Contains(value, "\n"):
		return "", fmt.Errorf("a TaskProlog cannot print a value with a line break")
	case len(value) > slurmLine-len("export ")-longestName:
		return "", fmt.Errorf("slurm does not read a line of more than %d bytes", slurmLine)
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
			return "", cannotSay("json", c, fmt.Errorf("the value is not UTF-8"))
		default:
			set[c.Name] = c.Value
		}
	}
	var text strings.Builder
	err := printJSON(&text, ordered.Object{"set", set, "unset", unset})
	return text.String(), err
}
