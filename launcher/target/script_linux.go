package target

// This file reads shell scripts, in files and in arguments (sh -c), to find their effect on the cap and the program
// that they start.

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// intoScript reads a script of a shell and walks to the program that it execs. Without exactly one such program, the script
// remains the current program.
func (c *chain) intoScript(shell string) bool {
	text, err := c.fs.readFile(c.path)
	if err != nil {
		return false
	}
	c.scripts++
	c.shell = shell
	before := *c
	file, stays := c.path, c.args
	commands := scanShell(string(text))
	c.judgeScript(commands, file, 0)
	next := successor(commands, false)
	link := Link{Name: filepath.Base(file), Environment: "kept"}
	switch {
	case c.lost != before.lost:
		link.Environment = "changed"
	case c.doubt != before.doubt:
		link.Environment = "unknown"
	}
	if next == nil || !c.start(*next, file, stays) {
		c.path, c.args, c.unseen, c.settled = file, stays, "", true
		return false
	}
	c.links = append(c.links, link)
	return true
}

// intoText reads the shell text after -c, and walks to the program that it starts, if there is exactly one.
func (c *chain) intoText(text string, args []string) bool {
	commands := scanShell(text)
	c.shell = filepath.Base(c.path)
	c.judgeScript(commands, "", 0)
	next := successor(commands, true)
	name, at := filepath.Base(c.fs.resolveLinks(c.path)), len(c.links)-1 // /bin/sh is a link to dash, bash or another shell
	if next == nil || !c.start(*next, "", args) {
		c.unknown(fmt.Sprintf("cannot determine which program %q starts", shown([]string{text})))
		return false
	}
	forks := name == "dash" && !c.applet(at) // dash forks even for the last command; the other shells exec it
	inPlace := next.executes() || next == &commands[len(commands)-1] && next.always && !forks
	link := &c.links[at]
	link.Stays = link.Stays || !inPlace
	return true
}

// start makes a command of a script the current program.
func (c *chain) start(next shellCommand, file string, args []string) bool {
	set, words := next.parts()
	c.line, c.in = nil, " in "+file
	if file == "" {
		c.in = " in the script text of " + c.last().Name
	}
	for _, w := range words {
		c.line = append(c.line, c.keptValue(w).expand(args)...)
	}
	c.leaveTool()
	c.args = c.line
	c.judgeSettings(next, file, set)
	return len(c.args) > 0 && !strings.Contains(c.args[0], Opaque) && c.find()
}

// parts splits a command into its leading assignments and its words, without exec(1), its flag -a NAME, and command(1).
func (s shellCommand) parts() (set, words []shellWord) {
	n := 0
	for n < len(s.words) && s.words[n].assigns() {
		n++
	}
	set, words = s.words[:n], s.words[n:]
	for len(words) > 1 && (words[0].raw == "exec" || words[0].raw == "command") {
		if words = words[1:]; len(words) > 2 && words[0].raw == "-a" {
			words = words[2:]
		}
	}
	return set, words
}

// keptValue resolves a word such as MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4}, which keeps the cap.
func (c *chain) keptValue(w shellWord) shellWord {
	if w.text == maxVariable+"="+Opaque && strings.Count(w.raw, maxVariable) > 1 {
		w.text = maxVariable + "=" + c.getenv(maxVariable)
	}
	return w
}

// expand expands $0, $1, … and $@ with the arguments of the script, "$0" first. Other expansions stay Opaque.
func (w shellWord) expand(args []string) []string {
	name := strings.TrimPrefix(strings.Trim(w.raw, `"`), "$")
	n, err := strconv.Atoi(name)
	switch {
	case w.text != Opaque:
	case name == "@" || name == "{@}":
		return args[min(1, len(args)):]
	case err == nil && n >= 0 && n < len(args):
		return args[n : n+1]
	}
	return []string{w.text}
}

func (w shellWord) assigns() bool {
	name, _, ok := strings.Cut(w.raw, "=")
	return ok && name != "" && strings.Trim(name, nameBytes) == ""
}

// builtins lists shell builtins, which do not start a program.
const builtins = " : . source cd export unset set umask ulimit trap wait true false echo printf test [ [[ read shift local return exit eval readonly declare typeset alias hash getopts kill let pushd popd shopt exec "

// successor returns the command that starts the program to follow: the only exec, which in a script file must always
// run, or, if the argument "text" is true (after -c) and there is no exec, the only program. It returns nil if there is
// no such command.
func successor(commands []shellCommand, text bool) (next *shellCommand) {
	execs, programs := 0, 0
	var program *shellCommand
	for i := range commands {
		_, words := commands[i].parts()
		switch {
		case len(words) == 0 || words[0].raw == "exec":
		case commands[i].executes():
			if execs++; text || commands[i].always {
				next = &commands[i]
			}
		case !strings.Contains(builtins, " "+words[0].raw+" "):
			programs++
			program = &commands[i]
		}
	}
	switch {
	case execs == 1:
		return next
	case execs == 0 && programs == 1 && text:
		return program
	}
	return nil
}

// executes reports whether a command execs a program.
func (s shellCommand) executes() bool {
	at := slices.IndexFunc(s.words, func(w shellWord) bool { return !w.assigns() })
	return at >= 0 && at+1 < len(s.words) && s.words[at].raw == "exec"
}

// maxSourced limits the nesting of sourced files.
const maxSourced = 8

// judgeScript records how the commands of a script change the cap: assignments, export, readonly, declare, typeset,
// unset, read, eval, printf -v, and the commands of sourced files. It stops at an exec that always runs, because the
// shell runs no command after it. The argument "file" is the path of the script, "" for the text after -c; "depth" is
// the number of nested source commands.
func (c *chain) judgeScript(commands []shellCommand, file string, depth int) {
	for _, command := range commands {
		set, words := command.parts()
		if c.keepsSettings(command) {
			c.judgeSettings(command, file, set)
		}
		switch {
		case command.executes() && command.always:
			return
		case len(words) == 0:
			c.judgeSettings(command, file, command.words)
		case words[0].raw == "export" || words[0].raw == "readonly" || words[0].raw == "declare" || words[0].raw == "typeset":
			c.judgeSettings(command, file, words[1:])
			if len(words) > 1 && (words[1].raw == "-n" || words[1].raw == "+x") {
				c.judgeUnset(command, file, words[2:])
			}
		case words[0].raw == "read" || words[0].raw == "eval" || words[0].raw == "printf" && len(words) > 1 && words[1].raw == "-v":
			c.judgeHidden(command, file, words[1:])
		case words[0].raw == "unset":
			c.judgeUnset(command, file, words[1:])
		case (words[0].raw == "." || words[0].raw == "source") && len(words) > 1 && len(set) == 0:
			c.source(words[1], file, depth)
		}
	}
}

// specialBuiltins lists the builtins after which the assignments in front of them stay in force (POSIX, 2.14). exec is not
// here: the program that it starts gets them, and nothing runs after it.
const specialBuiltins = " : . break continue eval exit export readonly return set shift times trap unset "

// keepsSettings reports whether the assignments in front of a command stay in force after it. They do in front of a special
// builtin, unless the word "command" precedes the builtin. bash and zsh follow this rule of POSIX only under the name sh.
func (c *chain) keepsSettings(s shellCommand) bool {
	at := slices.IndexFunc(s.words, func(w shellWord) bool { return !w.assigns() })
	return at > 0 && strings.Contains(specialBuiltins, " "+s.words[at].raw+" ") &&
		strings.Contains(" sh dash ash ksh ksh93 mksh ", " "+c.shell+" ")
}

// judgeSettings handles words such as NAME=VALUE.
func (c *chain) judgeSettings(command shellCommand, file string, words []shellWord) {
	for _, w := range words {
		name, value, _ := strings.Cut(w.raw, "=")
		if !w.assigns() || name != maxVariable && name != "GLIBC_TUNABLES" {
			continue
		}
		switch {
		case !strings.Contains(w.text, Opaque):
			c.change(command, file, "sets "+w.text, reading{set: []string{w.text}})
		case name == maxVariable && !strings.Contains(value, maxVariable):
			c.change(command, file, "sets "+w.raw, reading{unset: []string{name}})
		case strings.Contains(value, "arena_max"):
			c.change(command, file, "sets "+w.raw, reading{set: []string{opaqueTunables.Replace(w.text)}})
		}
	}
}

// opaqueTunables replaces the parts of GLIBC_TUNABLES that only the shell can compute. An unknown cap becomes 65534, so that
// it differs from the cap before the assignment and the change is noticed. Other unknown parts are deleted.
var opaqueTunables = strings.NewReplacer("arena_max="+Opaque, "arena_max=65534", Opaque, "")

func (c *chain) judgeUnset(command shellCommand, file string, words []shellWord) {
	for _, w := range words {
		if w.text == maxVariable {
			c.change(command, file, "unsets "+w.text, reading{unset: []string{w.text}})
		}
	}
}

// judgeHidden handles a builtin, such as read or eval, that may set MALLOC_ARENA_MAX to a value that only the shell
// can compute.
func (c *chain) judgeHidden(command shellCommand, file string, words []shellWord) {
	if slices.ContainsFunc(words, func(w shellWord) bool { return strings.Contains(w.text, maxVariable) }) {
		command.always = false
		c.change(command, file, "sets "+maxVariable, reading{unset: []string{maxVariable}})
	}
}

// change records that a command changes the cap, always or under a condition.
func (c *chain) change(command shellCommand, file, what string, r reading) {
	before := c.env
	if c.env = r.environment(before); sameCap(before, c.env) {
		return
	}
	place := fmt.Sprintf("%s:%d", file, command.line)
	if file == "" {
		place = "the script text of " + c.last().Name
	}
	instead := "write MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4} in the script, with your default instead of 4, to keep the cap"
	if command.always {
		c.lose(place+" "+what, instead)
		return
	}
	c.doubt, c.instead = place+" "+what+" in some cases", instead
}

// source follows a sourced file, if its path has no expansions other than the directory of the script.
func (c *chain) source(word shellWord, file string, depth int) {
	path := word.text
	for _, own := range []string{`$(dirname "$0")/`, `"$(dirname "$0")"/`, `"$(dirname "$0")/`, "$(dirname $0)/", `"${0%/*}"/`, "${0%/*}/", `"${0%/*}/`} {
		if rest, ok := strings.CutPrefix(word.raw, own); ok && file != "" {
			path = filepath.Dir(file) + "/" + strings.TrimSuffix(rest, `"`)
		}
	}
	text, err := c.fs.readFile(path)
	if strings.Contains(path, Opaque) || err != nil || depth == maxSourced || !strings.Contains(path, "/") {
		c.unfollowed = append(c.unfollowed, word.raw)
		return
	}
	c.judgeScript(scanShell(string(text)), path, depth+1)
}
