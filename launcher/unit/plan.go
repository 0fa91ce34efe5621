package unit

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// Wish is what is to stand in front, and how it was asked for.
type Wish struct {
	Root      string      // "" is the real one
	Command   string      // the command line that asks, for the comment
	Flags     []string    // run's
	Supervise bool        // arenacap stays as the parent: by a flag
	Plan      policy.Plan // what arenacap will do by the policy that counts for the unit
}

// DropIn is the answer.
type DropIn struct {
	Place   string   // where the file goes
	Text    string   // "" where there is nothing to do
	Notes   []string // what an operator should know, a line each; they stand in the text too
	Nothing string   // why there is nothing to do
}

// Plan says what the drop-in holds. An error says, a line for each reason, why none would work: what would keep the
// service from starting, or have no effect at all. It is pure.
func Plan(u Unit, w Wish, f Found) (DropIn, error) {
	p := planner{u: u, w: w, f: f, notes: slices.Clone(u.Remarks)}
	if !slices.ContainsFunc(u.Commands, func(c Command) bool { return !c.inFront() }) {
		return DropIn{Nothing: fmt.Sprintf("arenacap stands in front of %s already (%s)", u.Name, u.Commands[0].from.place())}, nil
	}
	p.judgeCommands()
	p.judgePrograms()
	p.judgeType()
	if slices.ContainsFunc(u.Commands, Command.boxed) {
		p.judgeUser()
		p.judgeFolders()
		p.judgeCalls()
	}
	p.judgeLimits()
	p.judgeEnvironment()
	p.judgeRestart()
	if len(p.refusals) > 0 {
		return DropIn{}, errors.Join(p.refusals...)
	}
	place := w.Root + "/etc/systemd/system/" + u.Name + ".d/" + u.Own
	return DropIn{Place: place, Text: p.text(place), Notes: p.notes}, nil
}

// planner gathers what there is to say.
type planner struct {
	u        Unit
	w        Wish
	f        Found
	refusals []error
	notes    []string
	lines    []string // of the drop-in, beside ExecStart=
}

func (p *planner) refuse(format string, args ...any) {
	p.refusals = append(p.refusals, fmt.Errorf(p.u.Name+": "+format, args...))
}

func (p *planner) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *planner) line(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *planner) watched() bool { return len(p.w.Plan.Limits) > 0 }

// supervised reports whether arenacap stays as the parent.
func (p *planner) supervised() bool {
	return p.w.Supervise || p.w.Plan.Policy.Launch.Mode == "supervise"
}

// boxed reports whether the unit's sandbox is around a command.
func (c Command) boxed() bool { return !strings.Contains(c.prefix, "+") }

// judgeCommands finds what cannot be kept of a command.
func (p *planner) judgeCommands() {
	for _, c := range p.u.Commands {
		switch {
		case c.viaShell() && c.program.value == "":
			p.refuse(`ExecStart=%s starts the user's shell (%s); write the shell's path, and ask again`, c.text, c.from.place())
		case c.argv0 != nil && !c.literal() && splits(c.argv0.value):
			p.refuse(`the name behind "@" is %s (%s), which systemd makes several words of; write ${%s}, and ask again`,
				c.argv0.raw, c.from.place(), c.argv0.value[1:])
		case !c.boxed() && p.u.last("User") != "":
			p.note(`"+" at ExecStart=%s: it runs as root and outside of the unit's sandbox, and so do arenacap and its watch`, c.program.raw)
		}
	}
}

// splits reports whether systemd makes none, one or several words of a word: "$NAME", not "${NAME}" or "$$".
func splits(value string) bool {
	return len(value) > 1 && value[0] == '$' && value[1] != '{' && value[1] != '$'
}

// judgePrograms says where a cap has no effect. With no command left that it works on, and no budget, the drop-in is
// for nothing.
func (p *planner) judgePrograms() {
	if p.w.Plan.Mode == policy.Off && !p.watched() {
		p.refuse(`the policy says cap = "off" and has no budget, so arenacap would do nothing here`)
	}
	if p.w.Plan.ArenaMax == 0 {
		return
	}
	var why []string
	works := len(p.f.Programs) == 0
	for i, found := range p.f.Programs {
		c := p.u.Commands[i]
		no := cannot(found)
		switch {
		case c.inFront():
			continue
		case found.Missing:
			p.note("%s was not found here; 'arenacap plan %s' says, where it is, whether the cap can work on it", c.program.raw, c.program.raw)
		case no != "":
			why = append(why, no)
			continue
		}
		works = true
		for _, n := range slices.Concat(found.Target.Notes, found.Script.Notes) {
			p.note("%s", n)
		}
	}
	forbidden := len(why) > 0 && p.w.Plan.Policy.Launch.OnUnenforceable == "refuse"
	for _, no := range why {
		switch {
		case forbidden:
			p.refuse(`%s; on_unenforceable = "refuse" would forbid the start`, no)
		case !works && !p.watched():
			p.refuse("%s; there is no budget either, so arenacap would do nothing here", no)
		default:
			p.note("%s", no)
		}
	}
}

// cannot is why the cap has no effect on what a command starts, or "".
func cannot(found Program) string {
	for _, t := range []target.Target{found.Target, found.Script} {
		if t.CanCap == target.No {
			return strings.Join(append([]string{"the cap cannot work, because " + t.Why[0]}, t.Hints...), "; ")
		}
	}
	return ""
}

// judgeType is about how systemd follows the service's processes (systemd.service(5), Type=, PIDFile=).
func (p *planner) judgeType() {
	switch t := p.u.last("Type"); {
	case p.notifying() && p.supervised():
		p.judgeNotify(t)
	case t == "forking" && p.watched():
		p.judgeForking()
	}
}

// notifying reports whether the main process is the one that says READY=1.
func (p *planner) notifying() bool {
	t := p.u.last("Type")
	return t == "notify" || t == "notify-reload"
}

// judgeNotify: MAINPID= makes a child of arenacap the main process, whose end systemd can neither wait for nor ask of.
func (p *planner) judgeNotify(t string) {
	p.note("Type=%s: a supervising arenacap makes the program the main process, which is no child of systemd's then: its status is lost unless NotifyAccess=all is written, and nothing but Restart=always starts it again; leave supervising out", t)
	if kill := p.u.last("KillMode"); kill == "mixed" || kill == "process" {
		p.note("Type=%s: with KillMode=%s systemd sends SIGKILL right behind SIGTERM where the main process is no child of its own; leave supervising out, or write KillMode=control-group", t, kill)
	}
}

func (p *planner) judgeForking() {
	if p.supervised() {
		p.note(`Type=forking: the process that is started ends once the service runs, and a supervising arenacap with it; leave supervising out, and write scope = "cgroup" in the policy's [budget]`)
	} else if p.w.Plan.Policy.Budget.Scope == "process" {
		p.note(`Type=forking: the process that is started ends once the service runs, and with it its watch; write scope = "cgroup" in the policy's [budget]`)
	}
	if guess := p.u.last("GuessMainPID"); p.u.last("PIDFile") == "" && (guess == "" || p.u.yes("GuessMainPID")) {
		p.note("Type=forking without PIDFile=: systemd takes the only process that is left for the main one, but the watch is left too, so it will know none; write PIDFile= with the file that the program writes")
	}
}

// judgeUser is about files that the service's user has to reach.
func (p *planner) judgeUser() {
	if p.u.AsRoot() {
		return
	}
	who := "User=" + p.u.last("User")
	if p.u.yes("DynamicUser") {
		who = "DynamicUser=yes"
	}
	if at := p.f.Own.Closed; at != "" {
		p.refuse("with %s arenacap cannot be started, since %q is not open to other users; install it as /usr/bin/arenacap, or name another one with --path", who, at)
	}
	if at := p.f.Policy; at != "" {
		p.refuse("with %s arenacap cannot read its policy, since %q is not open to other users; chmod o+r the file, o+x the folders", who, at)
	}
}

// judgeFolders is about arenacap's own file in the file system that the unit sees (systemd.exec(5), "PATHS" and
// "SANDBOXING").
func (p *planner) judgeFolders() {
	own := p.f.Own.Path
	if dir := p.u.last("RootDirectory"); dir != "" && dir != "/" && !p.f.Own.InRoot {
		p.refuse("RootDirectory=%s has no %s in it; put one there, the release build needs no library", dir, own)
	}
	if image := p.u.last("RootImage"); image != "" {
		p.note("RootImage=%s: %s has to be in that image", image, own)
	}
	hides := map[string][]string{
		"InaccessiblePaths": p.u.words("InaccessiblePaths"), "TemporaryFileSystem": p.u.words("TemporaryFileSystem"),
	}
	if home := p.u.last("ProtectHome"); p.u.set("ProtectHome") && home != "read-only" {
		hides["ProtectHome="+home] = []string{"/home", "/root", "/run/user"}
	}
	if p.u.set("PrivateTmp") {
		hides["PrivateTmp="+p.u.last("PrivateTmp")] = []string{"/tmp", "/var/tmp"}
	}
	for _, setting := range slices.Sorted(maps.Keys(hides)) {
		if below(own, hides[setting]) > 0 {
			p.refuse("%s hides %s from the service; install arenacap as /usr/bin/arenacap, or name another one with --path", setting, own)
		}
	}
	p.judgeExecPaths()
}

// judgeExecPaths lets the unit execute arenacap where it may not execute everything. Of NoExecPaths= and ExecPaths= the
// longer path counts.
func (p *planner) judgeExecPaths() {
	files := []string{p.f.Own.Path}
	if command := p.w.Plan.Policy.Budget.Command; p.watched() && len(command) > 0 {
		files = append(files, command[0])
	}
	for _, file := range files {
		if not := below(file, p.u.words("NoExecPaths")); not > 0 && not > below(file, p.u.words("ExecPaths")) {
			p.note("NoExecPaths= keeps the service from executing %s; the ExecPaths= below lets it", file)
			p.line("ExecPaths=%s", quote(file, false))
		}
	}
}

// below is the length of the longest of these paths, as settings write them, that is the file's or a folder's above it;
// 0 is none.
func below(file string, paths []string) int {
	longest := 0
	for _, dir := range paths {
		dir, _, _ = strings.Cut(strings.TrimLeft(dir, "-+"), ":")
		if dir = path.Clean(dir); dir == "/" || file == dir || strings.HasPrefix(file, dir+"/") {
			longest = max(longest, len(dir))
		}
	}
	return longest
}

// calls are the groups of system calls that arenacap makes (systemd-analyze syscall-filter), seen with strace: those
// of its start, of --supervise and of the watch. All are in @system-service, and none is in @privileged or @resources.
var calls = [...]string{"@basic-io", "@file-system", "@io-event", "@ipc", "@process", "@signal"}

// judgeCalls is about SystemCallFilter=: an allow-list, or with "~" a list of what is denied; a later line adds to the
// first.
func (p *planner) judgeCalls() {
	lines := p.u.list("SystemCallFilter")
	if len(lines) == 0 {
		return
	}
	allows := !strings.HasPrefix(lines[0].value, "~")
	var lacking []string
	for _, group := range calls {
		allowed := !allows
		for _, line := range lines {
			list, denied := strings.CutPrefix(line.value, "~")
			for _, name := range strings.Fields(list) {
				name, _, _ = strings.Cut(name, ":")
				if name == group || name == "@system-service" {
					allowed = !denied
				}
			}
		}
		if !allowed {
			lacking = append(lacking, group)
		}
	}
	if len(lacking) > 0 {
		p.note("SystemCallFilter= does not plainly allow all calls that arenacap makes; where the start ends with SIGSYS, take the # from the line below")
		p.line("#SystemCallFilter=%s", strings.Join(lacking, " "))
	}
}

// Address space that Go needs to start.
const (
	least64 = 768 << 20
	least32 = 16 << 20
	tasks   = 16 // threads of arenacap and its watch at their most, with some room
)

func (p *planner) judgeLimits() {
	if n, ok := limit(p.u.last("LimitAS")); ok && n < least64 && p.f.Own.Bits == 64 {
		p.refuse("LimitAS=%s is less address space than Go needs to start, 768M; name arenacap-386 with --path, which needs 16M", p.u.last("LimitAS"))
	} else if ok && n < least32 {
		p.refuse("LimitAS=%s is less address space than arenacap needs to start, 16M", p.u.last("LimitAS"))
	}
	for _, key := range []string{"TasksMax", "LimitNPROC"} {
		if n, ok := limit(p.u.last(key)); ok && n < tasks {
			p.note("%s=%s: arenacap's threads count there too, before the program starts and in the watch; it may need %d", key, p.u.last(key), tasks)
		}
	}
	native := slices.Contains(p.u.words("SystemCallArchitectures"), "native")
	if native && p.f.Own.Bits == 32 && slices.ContainsFunc(p.f.Programs, func(f Program) bool { return f.Target.Bits == 64 }) {
		p.refuse("SystemCallArchitectures=native does not let %s, a 32-bit program, run; take the 64-bit one", p.f.Own.Path)
	}
}

// limit reads a resource limit, of "SOFT:HARD" the soft one. ok is false where there is none, or none that is a number.
func limit(s string) (n uint64, ok bool) {
	s, _, _ = strings.Cut(s, ":")
	if s == "" || s == "infinity" || strings.HasSuffix(s, "%") {
		return 0, false
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, true
	}
	size, err := policy.ParseSize(s)
	return size.Bytes, err == nil
}

// judgeEnvironment is about variables that the unit itself sets.
func (p *planner) judgeEnvironment() {
	p.notes = append(p.notes, p.w.Plan.Overrides...)
	for _, f := range p.f.Settings {
		p.note("%s sets %s, which was not taken into account here", f.File, strings.Join(f.Names, ", "))
	}
	hasPath := slices.ContainsFunc(p.u.Environment(), func(entry string) bool { return strings.HasPrefix(entry, "PATH=") })
	for _, c := range p.u.Commands {
		if hasPath && c.program.value != "" && !strings.Contains(c.program.value, "/") {
			p.note("%s is looked for in the PATH that Environment= sets, and was looked for in systemd's own folders before; write its path where these differ", c.program.raw)
		}
	}
}

// judgeRestart says which Restart= starts the service again after a breach. systemd calls an end by SIGTERM clean
// (systemd.service(5), Restart=); a supervising arenacap ends with 124.
func (p *planner) judgeRestart() {
	restart := p.u.last("Restart")
	if p.watched() && p.w.Plan.Policy.Budget.Action == "terminate" {
		told := p.supervised() && !p.notifying() // the status 124
		ok := restart == "always" || restart == "on-success" && !told || restart == "on-failure" && told
		switch want := "always"; {
		case ok:
		case p.u.last("Type") == "oneshot" && !told:
			p.note("Type=oneshot: terminated over its budget, a program that ends in order at SIGTERM is not started again, whatever Restart= says; where it shall be, ask with --supervise and write Restart=on-failure")
		default:
			if told {
				want = "on-failure"
			}
			p.note(`with action = "terminate" the server ends by SIGTERM, which Restart=%s takes for a stop; where it shall start again, take the # from the Restart= below`, orNo(restart))
			p.line("#Restart=%s", want)
			restart = want
		}
	}
	if (restart == "always" || restart == "on-failure") && p.u.last("RestartPreventExitStatus") == "" {
		p.line("# 125: arenacap cannot obey; 126, 127: no such program. Another start would not help:")
		p.line("#RestartPreventExitStatus=125 126 127")
	}
}

func orNo(restart string) string {
	if restart == "" {
		return "no"
	}
	return restart
}
