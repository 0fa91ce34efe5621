package target

// This file walks from a command line, through its carriers and shell scripts, to the server.

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
)

// Link is a carrier in front of the server.
type Link struct {
	Name        string `json:"carrier"`
	Environment string `json:"environment"` // what the carrier does to the cap: "kept", "changed", "cleared", "unknown", or "elsewhere" if another process starts the program
	Stays       bool   `json:"stays"`       // whether the carrier remains as a parent of the server
}

// chain is the state of the walk along a command line. The current program is the one that the last carrier starts.
type chain struct {
	fs     fsys
	links  []Link
	line   []string // the whole command line; args is its end
	in     string   // where this command line is written, for messages: " in FILE", " in the script text of sh"; "" for the command line that was given
	args   []string // arguments of the current program, its name first
	path   string   // path of the current program; "" if unknown
	begin  []string // environment of the first carrier
	env    []string // environment of the current program
	inside string   // the carrier that set the root directory of fs; "" if none
	user   string   // user of the current program; "" if not given

	lost, instead string   // why the cap does not reach the server, and what to write instead
	doubt         string   // why the cap may not reach the server
	unseen        string   // why arenacap cannot tell which program is the server
	tool          string   // the tool of valgrind that runs the current program, such as memcheck; "" if none
	traces        bool     // valgrind also runs the programs that the current program executes (--trace-children=yes)
	shell         string   // the name of the shell that runs the current script or text
	scripts       int      // number of scripts read
	settled       bool     // the script at path was read, and it starts no program that can be followed
	unfollowed    []string // sourced files that were not read, as the scripts name them
}

// follow walks from a program to the server.
func (fs fsys) follow(path string, args, env []string) *chain {
	c := &chain{fs: fs, path: path, line: args, args: args, env: env}
	if _, set := environ.Lookup(env, maxVariable); !set { // without a cap in env, an invented one shows whether a cap would reach the server
		c.env = append(slices.Clone(env), pretended)
	}
	c.begin = c.env
	c.pastCarriers()
	return c
}

// pastCarriers walks to the first program that is not a carrier.
func (c *chain) pastCarriers() {
	for c.step() {
		if len(c.links) > maxCarriers {
			c.unknown(fmt.Sprintf("a chain of more than %d programs such as env or sudo, each of which starts the next", maxCarriers))
			return
		}
	}
}

// arrives reports whether the server gets the cap that the first carrier got.
func (c *chain) arrives() Answer {
	switch {
	case c.lost != "" && !sameCap(c.begin, c.env):
		return No
	case c.doubt != "":
		return Unknown
	}
	return Yes
}

const (
	maxVariable = "MALLOC_ARENA_MAX"
	pretended   = maxVariable + "=65535"
)

// last returns the carrier that starts the current program.
func (c *chain) last() *Link { return &c.links[len(c.links)-1] }

func (c *chain) getenv(name string) string { value, _ := environ.Lookup(c.env, name); return value }

func (c *chain) unknown(why string) { c.path, c.args, c.unseen = "", nil, why }

// step walks past one carrier or script, and reports whether another may follow.
func (c *chain) step() bool {
	row := carrierAt(c.path)
	if row == nil || len(c.args) == 0 || c.path == "" {
		return false
	}
	name := filepath.Base(c.path)
	r := row.read(name, c.args[1:], c.getenv)
	at := len(c.links)
	// busybox's timeout forks a child as its timer and then execs the program, so it does not remain as the parent.
	c.links = append(c.links, Link{Name: name, Environment: "kept", Stays: r.stays && !(name == "timeout" && c.applet(at))})
	c.user = cmp.Or(r.user, c.user)
	c.leaveTool()
	if r.tool != "" {
		c.tool, c.traces = r.tool, r.traces
	}
	c.pass(row, name, r)
	if r.problem != "" {
		c.unknown(r.problem)
		if r.env != kept && !r.sure {
			c.doubt = r.problem
			c.links[at].Environment = "unknown"
		}
		return false
	}
	if r.root != "" {
		c.enter(name, r.root)
	}
	if r.isText {
		return c.intoText(r.text, r.args)
	}
	if c.args = r.command; len(c.args) == 0 {
		return c.outside()
	}
	if r.script {
		c.path = c.args[0]
		return c.intoScript(name)
	}
	return c.find()
}

// applet reports whether the carrier at an index of links is an applet of busybox.
func (c *chain) applet(at int) bool { return at > 0 && c.links[at-1].Name == "busybox" }

// enter changes to the root directory that a carrier sets.
func (c *chain) enter(carrier, root string) {
	if root != "/" {
		c.inside, c.fs.root = carrier, c.fs.path(root)
	}
}

// followsScript walks into a script, if its interpreter is a shell, directly or through env(1). It reports whether it
// walked to a program that the script starts.
func (c *chain) followsScript(interpreters []string) bool {
	n := len(interpreters)
	if n == 0 || n > 2 || n == 2 && filepath.Base(interpreters[0]) != "env" || c.settled {
		return false
	}
	if row := carrierAt(interpreters[n-1]); row == nil || !row.has(shell) || !c.intoScript(filepath.Base(interpreters[n-1])) {
		return false
	}
	c.pastCarriers()
	return true
}

func (c *chain) outside() bool {
	c.unknown(c.inside + " starts the program in another root directory")
	return false
}

// leaveTool ends the effect of valgrind's tool when the current program executes another program, unless valgrind also runs
// the other program (--trace-children=yes).
func (c *chain) leaveTool() {
	if !c.traces {
		c.tool = ""
	}
}

// tell copies the results of the walk into the facts for the verdict. The argument "interpreted" is true if the server
// is a script.
func (c *chain) tell(f *facts, interpreted bool) {
	f.sourced = c.unfollowed
	if !interpreted || c.traces {
		f.tool = c.tool
	}
	switch c.arrives() {
	case No:
		f.lost, f.instead = c.lost, c.instead
	case Unknown:
		f.doubt, f.instead = c.doubt, c.instead
	}
}

// find looks up the current program's name in the PATH of its environment, or else in the default PATH of service managers
// and sudo.
func (c *chain) find() bool {
	if strings.Contains(c.fs.root, Opaque) {
		c.path = c.args[0]
		return IsCarrier(c.path) || c.outside()
	}
	path, err := c.fs.find(c.args[0], c.env)
	if err != nil {
		path, err = c.fs.find(c.args[0], []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
	}
	if err != nil {
		where := ""
		if c.inside != "" {
			where = fmt.Sprintf("in the root directory of %s, ", c.inside)
		}
		c.unknown(where + err.Error())
		return false
	}
	c.path = path
	return true
}

// pass applies the effect of a carrier to the environment, and records whether the cap is lost.
func (c *chain) pass(row *carrier, name string, r reading) {
	if row.has(caps) {
		c.env, c.lost, c.doubt = c.begin, "", ""
	}
	before, link := c.env, c.last()
	var said Answer
	switch {
	case r.env == bySudoers && !slices.Contains(r.keep, maxVariable):
		said = c.fs.sudoKeeps(maxVariable)
	case r.env == byDoas:
		said = c.fs.doasKeeps(maxVariable)
	}
	if said == Yes {
		r.keep = append(r.keep, maxVariable)
	}
	c.env = c.fs.withVariables(r.environment(before), r.variables)
	switch {
	case sameCap(before, c.env):
	case said == Unknown && (r.env == bySudoers || r.env == byDoas) && (r.problem == "" || r.sure):
		link.Environment = "unknown"
		c.doubt = fmt.Sprintf("%s's configuration decides which variables it keeps, but is unreadable here or differs by user, host or command", name)
		c.instead = c.behind(r)
		c.env = before
	case r.problem != "" && !r.sure:
		return
	case slices.ContainsFunc(r.set, func(s string) bool { return strings.HasPrefix(s, maxVariable+"=") && strings.Contains(s, Opaque) }):
		link.Environment = "unknown"
		c.doubt, c.instead = name+" sets "+maxVariable+" to a value that arenacap cannot determine", c.behind(r)
	case len(r.set)+len(r.unset) > 0 && r.env == kept || r.variables != "":
		link.Environment = "changed"
		c.lose(name+" changes "+maxVariable, c.behind(r))
	case r.env == elsewhere:
		link.Environment = "elsewhere"
		instead := c.behind(r)
		if row.has(ofImage) {
			instead = `pass the cap with the flag "-e ` + maxVariable + `", or ` + instead
		}
		c.lose(fmt.Sprintf("%s asks %s to start the program, so the program does not get this environment", name, row.who), instead)
	default:
		link.Environment = "cleared"
		c.lose(name+" clears the environment", c.behind(r)+c.fs.shellHint(r))
	}
}

// lose records why the cap is lost. The last carrier that loses it counts, because arenacap must be written behind
// that carrier.
func (c *chain) lose(why, instead string) { c.lost, c.instead, c.doubt = why, instead, "" }

// sameCap reports whether two environments set the same cap, also if one has another spelling of it, such as "02".
func sameCap(a, b []string) bool {
	x, y := environ.Inherited(a), environ.Inherited(b)
	if x.MaxOK == y.MaxOK && x.Max == y.Max {
		return true
	}
	// glibc before 2.26 reads the number with atoi. Since 2.26 it also reads octal and hexadecimal numbers, and since
	// 2.39 it rejects a number with text after it. One release stands for each of these periods.
	for _, minor := range []int{17, 36, 44} {
		v := glibc.Version{Major: 2, Minor: minor}
		if x, y := environ.Effective(a, v).Max, environ.Effective(b, v).Max; !x.OK || !y.OK || x.N != y.N {
			return false
		}
	}
	return true
}

// behind returns the hint to write arenacap behind the carrier, with the changed command line if it can be shown.
func (c *chain) behind(r reading) string {
	const own = "arenacap run … -- "
	switch before := len(c.line) - len(r.command); {
	case r.isText && r.text != "" && !strings.ContainsAny(r.text, ";&|\n'"):
		i := slices.Index(c.line, r.text)
		if i < 0 {
			break
		}
		return "put arenacap behind it" + c.in + ": " + shown(c.line[:i]) + " '" + own + r.text + "'"
	case len(r.command) > 0 && before > 0 && slices.Equal(c.line[before:], r.command):
		return "put arenacap behind it" + c.in + ": " + shown(c.line[:before]) + " " + own + shown(r.command)
	}
	return "put arenacap behind it, in front of the server"
}

// shellHint says what to add to the carrier's command line if the carrier runs the text with the login shell of a user, and
// that shell (nologin or false) runs no commands.
func (fs fsys) shellHint(r reading) string {
	text, err := fs.readFile("/etc/passwd")
	if !r.isText || r.with != "" || err != nil {
		return ""
	}
	_, entry, _ := strings.Cut("\n"+string(text), "\n"+cmp.Or(r.user, "root")+":")
	entry, _, _ = strings.Cut(entry, "\n")
	shell := entry[strings.LastIndexByte(entry, ':')+1:] // passwd(5): the last field
	if base := filepath.Base(shell); base != "nologin" && base != "false" {
		return ""
	}
	return fmt.Sprintf("; add -s /bin/sh, because the shell of %s is %s, which starts nothing", r.user, shell)
}

// shown formats a command line for a message, and cuts a long one.
func shown(words []string) string {
	const most = 12
	var b strings.Builder
	for i, word := range words {
		if i == most {
			return b.String() + " …"
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		if word == "" || strings.ContainsAny(word, " \t\n'\"\\$;&|<>()*?`") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		b.WriteString(word)
	}
	return strings.ReplaceAll(b.String(), Opaque, "$…")
}

// withVariables applies a directory of variables as envdir(8) does: a file name is a variable, its first line the value;
// an empty file removes the variable. Only the variables that this package uses are applied.
func (fs fsys) withVariables(env []string, dir string) []string {
	if dir == "" {
		return env
	}
	for _, name := range []string{maxVariable, "GLIBC_TUNABLES", "LD_PRELOAD", "PATH"} {
		text, err := fs.readFile(dir + "/" + name)
		if err != nil {
			continue
		}
		r := reading{unset: []string{name}}
		if line, _, _ := bytes.Cut(text, []byte("\n")); len(text) > 0 {
			r = reading{set: []string{name + "=" + string(bytes.TrimRight(line, " \t"))}}
		}
		env = r.environment(env)
	}
	return env
}
