package main

// The dialects of env: how a shell, or who else reads variables, wants them written.

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/ordered"
	"arenacap/policy"
)

// dialect is one way to write an environment down for others to read, a line for each variable.
type dialect struct {
	name  string                       // as --shell takes it
	also  []string                     // other names, of shells that read the same
	set   string                       // of a name and a quoted value
	unset string                       // of a name; where a file cannot unset, an empty value
	quote func(string) (string, error) // refuses what the reader would not give back byte for byte
}

var dialects = []dialect{
	{"sh", []string{"bash", "dash", "ksh", "zsh"}, "export %s=%s\n", "unset %s\n", quoteSh},
	{"fish", nil, "set -gx %s %s\n", "set -eg %s\n", quoteFish},
	{"csh", []string{"tcsh"}, "setenv %s %s;\n", "unsetenv %s;\n", quoteCsh},
	{"systemd", nil, "%s=%s\n", "%s=\n", quoteSystemd},
	{"docker", nil, "%s=%s\n", "%s=\n", checkDocker},
	{"slurm", nil, "export %s=%s\n", "unset %s\n", checkSlurm},
	{name: "json"}, // renderJSON
}

// dialectNames are all that --shell takes.
func dialectNames() (names []string) {
	for _, d := range dialects {
		names = append(append(names, d.name), d.also...)
	}
	return names
}

// dialectsInWords is the list for the help and for a mistake.
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

// renderEnv writes the changes in the words of a shell or as a file that it is said to be for. An error
// means that there is nothing to print: half of the changes would be a different environment.
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
		words[i] = policy.ShellWord(arg)
	}
	return strings.Join(words, " ")
}

func quoteFish(value string) (string, error) { return inFishQuotes(value), nil }

// inFishQuotes: in single quotes only \' and \\ are special (fish, "Quotes").
func inFishQuotes(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
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

// longestName is the longest variable that env sets, with what stands behind it.
const longestName = len("MALLOC_ARENA_TEST=")

// dockerLine is the longest line that docker reads of an --env-file (docker/cli: a bufio.Scanner).
const dockerLine = 64<<10 - 1

// checkDocker passes a value as it is, for docker --env-file knows no quotes: what stands behind the "="
// up to the end of the line is the value.
func checkDocker(value string) (string, error) {
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

// slurmLine is the longest line that Slurm reads of a TaskProlog's output in one piece, in bytes (its
// src/slurmd/slurmstepd/task.c: fgets into a buffer of 4096, of which it leaves one out).
const slurmLine = 4096 - 2

// checkSlurm passes a value as it is: of "export NAME=value" in a TaskProlog's output, Slurm takes what stands
// behind the first "=" up to the end of the line (slurm.conf(5), TaskProlog).
func checkSlurm(value string) (string, error) {
	switch {
	case strings.Contains(value, "\n"):
		return "", fmt.Errorf("a line of a TaskProlog has no quotes, so no value with a line break")
	case len(value) > slurmLine-len("export ")-longestName:
		return "", fmt.Errorf("slurm reads no line over %d bytes", slurmLine)
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
