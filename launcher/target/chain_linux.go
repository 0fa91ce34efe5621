package target

// From a command line through its carriers and scripts to the server.

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"arenacap/launcher/environ"
)

// Link is a carrier in front of the server.
type Link struct {
	Name        string `json:"carrier"`
	Environment string `json:"environment"` // what becomes of it: "kept", "changed", "cleared", "elsewhere" or "unknown"
	Stays       bool   `json:"stays"`       // it goes on as a parent of the server
}

// maxCarriers bounds a chain.
const maxCarriers = 32

// chain is what was found behind a command line.
type chain struct {
	fs    fsys
	links []Link
	line  []string // the whole command line, of which args is the end
	args  []string // of the program that is looked at, its name first
	path  string   // of that program; "" is not known
	begin []string // the environment of the first carrier
	env   []string // that of the program
	user  string   // whom it runs as; "" is not said

	lost, instead string   // why the cap does not arrive, and what to write
	doubt         string   // why it is not known whether it arrives
	unseen        string   // why the server is not known
	scripts       int      // that were read
	settled       bool     // the script at path is the last, and was read
	unfollowed    []string // files that scripts read in, as they name them
}

// follow goes from a program to the server behind it.
func (fs fsys) follow(path string, args, env []string) *chain {
	c := &chain{fs: fs, path: path, line: args, args: args, env: env}
	if _, set := environ.Lookup(env, maxVariable); !set { // then what happens to one is the question all the same
		c.env = append(slices.Clone(env), pretended)
	}
	c.begin = c.env
	c.pastCarriers()
	return c
}

// pastCarriers goes on to a program that is no carrier.
func (c *chain) pastCarriers() {
	for c.step() {
		if len(c.links) > maxCarriers {
			c.unknown(fmt.Sprintf("there are more than %d carriers in a row", maxCarriers))
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

func (c *chain) unknown(why string) { c.path, c.args, c.unseen = "", nil, why }

// step goes on by one carrier or script, and reports whether there may be another.
func (c *chain) step() bool {
	row := carrierAt(c.path)
	if row == nil || len(c.args) == 0 || c.path == "" {
		return false
	}
	name := filepath.Base(c.path)
	r := row.read(name, c.args[1:], func(name string) string { value, _ := environ.Lookup(c.env, name); return value })
	at := len(c.links)
	c.links = append(c.links, Link{Name: name, Environment: "kept", Stays: r.stays})
	c.user = cmp.Or(r.user, c.user)
	c.pass(row, name, r)
	if row.doubt != "" {
		c.doubt = row.doubt
	}
	switch {
	case r.problem != "":
		c.unknown(r.problem)
		if r.env != kept && !r.sure {
			c.doubt = r.problem
			c.links[at].Environment = "unknown"
		}
		return false
	case r.isText:
		return c.intoText(r.text, r.args)
	case r.root:
		c.args = r.command
		c.unknown(fmt.Sprintf("%s starts it in another root directory", name))
		return false
	}
	c.args = r.command
	if r.script {
		c.path = r.command[0]
		return c.intoScript()
	}
	return c.find()
}

// followsScript goes on behind a script, whose interpreters were found, where it is a shell's: by its own #! line, or
// through env(1). It reports whether there is more.
func (c *chain) followsScript(interpreters []string) bool {
	n := len(interpreters)
	if n == 0 || n > 2 || n == 2 && filepath.Base(interpreters[0]) != "env" || c.settled {
		return false
	}
	if row := carrierAt(interpreters[n-1]); row == nil || !row.has(shell) || !c.intoScript() {
		return false
	}
	c.pastCarriers()
	return true
}

// tell hands on what the verdict follows from.
func (c *chain) tell(f *facts) {
	f.sourced = c.unfollowed
	switch c.arrives() {
	case No:
		f.lost, f.instead = c.lost, c.instead
	case Unknown:
		f.doubt, f.instead = c.doubt, c.instead
	}
}

// find looks the next program up: by the environment that it gets, or where service managers and sudo look.
func (c *chain) find() bool {
	path, err := c.fs.find(c.args[0], c.env)
	if err != nil {
		path, err = c.fs.find(c.args[0], []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
	}
	if err != nil {
		c.unknown(err.Error())
		return false
	}
	c.path = path
	return true
}

// pass takes the environment through a carrier.
func (c *chain) pass(row *carrier, name string, r reading) {
	if row.has(caps) {
		c.env, c.lost, c.doubt = c.begin, "", ""
	}
	before, link := c.env, &c.links[len(c.links)-1]
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
		c.doubt = fmt.Sprintf("what %s leaves of the environment stands in its configuration, which cannot be read here or is not the same for all", name)
		c.instead = c.behind(r)
		c.env = before
	case r.problem != "" && !r.sure:
		return
	case len(r.set)+len(r.unset) > 0 && r.env == kept || r.variables != "":
		link.Environment = "changed"
		c.lose(name+" changes "+maxVariable+" on the way", c.behind(r))
	case r.env == elsewhere:
		link.Environment = "elsewhere"
		instead := c.behind(r)
		if row.has(ofImage) {
			instead = `write "-e ` + maxVariable + `" behind "run", which hands the cap over, or ` + instead
		}
		c.lose(fmt.Sprintf("behind %s it is %s that starts the program, and the environment does not reach it", name, row.who), instead)
	default:
		link.Environment = "cleared"
		c.lose(name+" clears the environment", c.behind(r))
	}
}

// lose records that the cap is gone; of several carriers the last counts, for arenacap belongs behind it.
func (c *chain) lose(why, instead string) { c.lost, c.instead, c.doubt = why, instead, "" }

// sameCap reports whether two environments ask glibc for the same.
func sameCap(a, b []string) bool {
	x, y := environ.Inherited(a), environ.Inherited(b)
	return x.MaxOK == y.MaxOK && x.Max == y.Max
}

// behind is the command line with arenacap behind the carrier.
func (c *chain) behind(r reading) string {
	const own = "arenacap run … -- "
	switch before := len(c.line) - len(r.command); {
	case r.isText && r.text != "" && !strings.ContainsAny(r.text, ";&|\n'"):
		i := slices.Index(c.line, r.text)
		if i < 0 {
			break
		}
		return "put arenacap behind it: " + shown(c.line[:i]) + " '" + own + r.text + "'"
	case len(r.command) > 0 && before > 0 && slices.Equal(c.line[before:], r.command):
		return "put arenacap behind it: " + shown(c.line[:before]) + " " + own + shown(r.command)
	}
	return "put arenacap behind it, in front of the server"
}

// shown is a command line for people, cut where it is long.
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

// withVariables lays a folder of variables over an environment, as envdir(8) does: a file is a variable, its first line
// the value, and an empty file removes it.
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
