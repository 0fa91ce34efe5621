package target

// This file parses a carrier's arguments. It reads flags as getopt_long(3) does; the carrier's row of the table
// (carriers.go) lists the flags.

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Opaque replaces a part of a word that arenacap cannot compute, because only a shell or a service manager can expand
// it.
const Opaque = "\x00"

// reading is the result of parsing a carrier's arguments.
type reading struct {
	command []string // the command line that the carrier starts; nil if none
	script  bool     // command[0] is a script, and the carrier is its shell
	text    string   // shell text instead of a command, if isText is true
	isText  bool
	args    []string // arguments of the shell text: its "$0" and "$@"
	with    string   // the shell with which su or runuser runs the text, if a flag names it; "" is the user's login shell
	user    string   // the user as which the program runs; "" if not given
	stays   bool     // the carrier remains as the parent of the program
	root    string   // the root directory of the program: "" if it is the carrier's own, unknownRoot if it cannot be known
	tool    string   // the tool of valgrind, such as "memcheck"; "" for other carriers
	traces  bool     // valgrind also runs the programs that the program executes (--trace-children=yes)
	problem string   // why there is no command, a sentence
	sure    bool     // all flags were understood, so the environment fields are right even if there is a problem

	env       fate
	keep      []string // variables that are kept when the others are cleared
	unset     []string
	set       []string // variables that the carrier sets, as NAME=VALUE
	variables string   // a directory with one file per variable (envdir(8))
}

// unknownRoot stands for a root directory that arenacap cannot know, such as that of a container. No path can contain
// its NUL byte, so no file is found below it.
const unknownRoot = "/\x00"

// carrierAt returns the table row for the program at a path, or nil.
func carrierAt(path string) *carrier {
	name := filepath.Base(path)
	for i := range carriers {
		for known := range strings.SplitSeq(carriers[i].names, " ") {
			if known == name {
				return &carriers[i]
			}
		}
	}
	return nil
}

// IsCarrier reports whether the program at a path is in the table of carriers.
func IsCarrier(path string) bool { return carrierAt(path) != nil }

// StartsArenacap reports whether a command line with arguments starts arenacap, directly or through carriers. It reads
// no file: each program whose name begins with "arenacap", such as arenacap-386, counts.
func StartsArenacap(args []string) bool {
	for n := 0; n < maxCarriers && len(args) > 1; n++ {
		name := filepath.Base(args[0])
		row := carrierAt(name)
		if strings.HasPrefix(name, "arenacap") {
			return true
		}
		if row == nil {
			return false
		}
		args = row.read(name, args[1:], func(string) string { return "" }).command
	}
	return false
}

// maxCarriers limits the length of a chain.
const maxCarriers = 32

func (c *carrier) has(t trait) bool { return c.is&t != 0 }

// flag finds an entry "NAME[,NAME…][=][=][?][>EFFECT]" of a row. A name of one letter is a short flag. Each "=" means
// one value, attached to the name or in the next argument. "?" means an optional value, attached to the name. The
// name "#" matches any number, as in "nice -5"; the name "-" matches the argument "-" alone.
func (c *carrier) flag(name string) (values int, optional bool, effect string, ok bool) {
	for entry := range strings.FieldsSeq(c.flags) {
		names, effect, _ := strings.Cut(entry, ">")
		bare := strings.TrimRight(names, "=?")
		for known := range strings.SplitSeq(bare, ",") {
			if known == name {
				return strings.Count(names[len(bare):], "="), strings.HasSuffix(names, "?"), effect, true
			}
		}
	}
	return 0, false, "", false
}

// argReader parses the arguments of one carrier.
type argReader struct {
	*carrier
	name     string
	rest     []string
	operands []string // operands that were found before a flag
	program  string   // the program, if a flag names it (start-stop-daemon --exec)
	hasText  bool     // a flag says that the first operand is shell text (sh -c)
	target   string   // the process whose namespaces the program enters (nsenter)
	execs    bool     // a flag makes the carrier execute the program in its own place
	direct   bool     // a flag makes the operands a command (runuser -u)
	getenv   func(string) string
	reading
}

// read parses the arguments that follow a carrier's name. getenv looks up the variables that "env -S" expands.
func (c *carrier) read(name string, args []string, getenv func(string) string) reading {
	a := argReader{carrier: c, name: name, rest: args, getenv: getenv}
	a.reading.env, a.reading.stays, a.reading.tool = c.env, c.has(stays), c.tool
	if c.has(hidden) {
		a.root = unknownRoot
	}
	if a.problem = a.takeAll(); a.problem == "" && !a.isText && len(a.command) == 0 && !a.has(ofImage) {
		a.problem = a.noCommand()
	}
	if len(a.command) > 0 && strings.Contains(a.command[0], Opaque) {
		a.problem, a.sure = fmt.Sprintf("cannot determine which program %s starts", name), true
	}
	if a.problem != "" {
		a.command, a.isText = nil, false
	}
	if strings.Contains(a.user, Opaque) {
		a.user = ""
	}
	if pid, err := strconv.Atoi(a.target); err == nil && a.root == unknownRoot {
		a.root = fmt.Sprintf("/proc/%d/root", pid)
	}
	a.reading.stays = a.reading.stays && !a.execs
	return a.reading
}

func (a *argReader) takeAll() (problem string) {
	if a.after != "" {
		a.takeBehindWord()
		return ""
	}
	if problem = a.takeFlags(); problem != "" {
		return problem
	}
	if a.sub != "" {
		if len(a.rest) == 0 {
			return a.noCommand()
		}
		if !slices.Contains(strings.Fields(a.sub), a.rest[0]) {
			return fmt.Sprintf("arenacap does not know which program \"%s %s\" starts", a.name, a.rest[0])
		}
		a.rest = a.rest[1:]
		if problem = a.takeFlags(); problem != "" {
			return problem
		}
	}
	return a.takeCommand()
}

func (a *argReader) noCommand() string { return a.name + " has no command" }

// takeBehindWord takes the command that follows one of the words with which this carrier introduces a command, such as -exec
// of find(1). ";" ends a command of find.
func (a *argReader) takeBehindWord() {
	words := strings.Fields(a.after)
	if i := slices.IndexFunc(a.rest, func(w string) bool { return slices.Contains(words, w) }); i >= 0 {
		a.command = a.rest[i+1:]
	}
	if end := slices.Index(a.command, ";"); end >= 0 {
		a.command = a.command[:end]
	}
}

func (a *argReader) takeFlags() (problem string) {
	_, _, _, dash := a.flag("-")
	for len(a.rest) > 0 && problem == "" {
		word := a.rest[0]
		switch {
		case word == "--":
			a.rest = a.rest[1:]
			return ""
		case word == "-" && dash:
			a.rest = a.rest[1:]
			problem = a.apply("-", nil)
		case len(word) > 1 && word[0] == '-':
			a.rest = a.rest[1:]
			problem = a.takeFlag(word)
		case a.has(permutes):
			a.operands, a.rest = append(a.operands, word), a.rest[1:]
		default:
			return ""
		}
	}
	return problem
}

func (a *argReader) takeFlag(word string) (problem string) {
	if _, _, _, numbers := a.flag("#"); numbers && strings.Trim(word, "-0123456789") == "" {
		return ""
	}
	long, isLong := strings.CutPrefix(word, "--")
	if !isLong {
		return a.takeLetters(word[1:])
	}
	name, value, assigned := strings.Cut(long, "=")
	values, optional, _, known := a.flag(name)
	switch {
	case !known && a.has(anyLong):
		return ""
	case !known || len(name) < 2 || assigned && values == 0 && !optional:
		return a.unknown("--" + name)
	case assigned:
		return a.apply(name, []string{value})
	}
	return a.takeValues(name, values)
}

func (a *argReader) unknown(flag string) string {
	return fmt.Sprintf("arenacap does not know the flag %q of %s, so it cannot find the command", flag, a.name)
}

// takeLetters reads a word of short flags. The last flag may have its value in the same word.
func (a *argReader) takeLetters(letters string) (problem string) {
	for i := 0; i < len(letters) && problem == ""; i++ {
		name, behind := letters[i:i+1], letters[i+1:]
		values, optional, _, known := a.flag(name)
		switch {
		case !known:
			return a.unknown("-" + name)
		case behind != "" && (optional || values > 0):
			return a.apply(name, []string{behind})
		}
		problem = a.takeValues(name, values)
	}
	return problem
}

func (a *argReader) takeValues(name string, n int) string {
	if len(a.rest) < n {
		return a.noCommand()
	}
	values := a.rest[:n]
	a.rest = a.rest[n:]
	return a.apply(name, values)
}

// apply performs the effect of a flag.
func (a *argReader) apply(name string, values []string) (problem string) {
	value := strings.Join(values, "=")
	_, _, effect, _ := a.flag(name)
	switch effect {
	case "stop":
		return a.noCommand()
	case "bind":
		if values[1] == "/" {
			a.root = values[0]
		}
	case "hidden":
		a.root = unknownRoot
	case "inside":
		a.root = cmp.Or(value, unknownRoot)
	case "all":
		a.root, a.reading.stays = unknownRoot, true
	case "traces":
		a.traces = value == "yes"
	case "text":
		a.text, a.isText = value, true
	case "operands":
		a.user, a.direct = value, true
	case "split":
		a.rest = append(splitWords(value, a.getenv), a.rest...)
	case "clear", "keep", "list", "set", "unset", "pass", "assign":
		a.change(effect, value)
	default:
		a.store(effect, value)
	}
	return ""
}

// change applies the effect of a flag to the environment.
func (a *argReader) change(effect, value string) {
	switch effect {
	case "clear":
		a.reading.env = cleared
	case "keep":
		a.reading.env = kept
	case "list":
		a.keep = append(a.keep, strings.Split(value, ",")...)
		if value == "" {
			a.reading.env = kept
		}
	case "set":
		a.set = append(a.set, value)
	case "unset":
		a.unset = append(a.unset, value)
	case "pass", "assign":
		a.assign(value, effect == "pass")
	}
}

// store performs an effect that sets one field.
func (a *argReader) store(effect, value string) {
	switch effect {
	case "stays":
		a.reading.stays = true
	case "execs":
		a.execs = true
	case "shell":
		a.hasText = true
	case "root":
		a.root = value
	case "target":
		a.target = value
	case "tool":
		a.reading.tool = value
	case "program":
		a.program = value
	case "with":
		a.with = value
	case "user":
		a.user = value
	case "envdir":
		a.variables = value
	}
}

// assign reads NAME=VALUE. If the word is only a NAME, the variable NAME is kept if the argument "keep" is true, else
// unset.
func (a *argReader) assign(word string, keep bool) {
	switch {
	case strings.Contains(word, "="):
		a.set = append(a.set, word)
	case keep:
		a.keep = append(a.keep, word)
	default:
		a.unset = append(a.unset, word)
	}
}

// takeCommand reads the operands: first those for the carrier itself, then the command.
func (a *argReader) takeCommand() (problem string) {
	a.rest = append(a.operands, a.rest...)
	if len(a.rest) < a.words {
		return a.noCommand()
	}
	first := append(a.rest, "")[0]
	switch {
	case a.has(config):
		return fmt.Sprintf("%s starts the commands of %s; put arenacap in front of them there", a.name, a.who)
	case a.has(userWord) && !a.direct:
		a.user = first
	case a.has(envdir):
		a.variables = first
	case a.has(newRoot):
		a.root = first
	}
	a.rest = a.rest[a.words:]
	for a.has(assigns) && len(a.rest) > 0 && strings.Contains(a.rest[0], "=") {
		a.set, a.rest = append(a.set, a.rest[0]), a.rest[1:]
	}
	a.takeOperands()
	return ""
}

func (a *argReader) takeOperands() {
	switch {
	case a.program != "":
		a.command = append([]string{a.program}, a.rest...)
	case a.has(permutes) && !a.direct, len(a.rest) == 0: // no command: su starts the user's shell
	case a.has(folder):
		a.command = []string{a.rest[0] + "/run"}
	case a.has(joins):
		a.text, a.isText = strings.Join(a.rest, " "), true
	case a.has(stringC) && a.rest[0] == "-c" && len(a.rest) > 1, a.hasText:
		at := slices.Index(a.rest[:1], "-c") + 1
		a.text, a.isText, a.args = a.rest[at], true, a.rest[at+1:]
	default:
		a.command, a.script = a.rest, a.has(shell)
	}
}

// environment returns the environment that the program gets from a carrier whose own environment is env. The last setting
// of a variable counts.
func (r reading) environment(env []string) []string {
	var out []string
	for i, entry := range slices.Concat(env, r.set) {
		name, _, _ := strings.Cut(entry, "=")
		gone := i < len(env) && (r.env != kept && !slices.Contains(r.keep, name) || slices.Contains(r.unset, name))
		if !gone && !slices.ContainsFunc(r.set[max(0, i-len(env)+1):], func(s string) bool { return strings.HasPrefix(s, name+"=") }) {
			out = append(out, entry)
		}
	}
	return out
}
