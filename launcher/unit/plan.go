package unit

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// Wish is what is to stand in front, and how it was asked for.
type Wish struct {
	Root       string      // "" is the real one
	Command    string      // the command line that asks, for the comment
	Flags      []string    // run's
	Supervise  bool        // arenacap stays as the parent: by a flag
	Plan       policy.Plan // what arenacap will do by the policy that counts for the unit
	PolicyFile string      // the path of that policy's file, as the service sees it; "" is none
}

// DropIn is the answer.
type DropIn struct {
	Place   string   // where the file goes
	Text    string   // "" where there is nothing to do
	Notes   []string // what an operator should know, a line each; they stand in the text too
	Nothing string   // why there is nothing to do
	Behind  string   // the other drop-in for which the name is not the usual one; "" is none
	Older   []string // drop-ins of arenacap's own in the same folder that this one replaces
}

// Plan says what the drop-in holds. An error says, a line for each reason, why none would work: what would keep the
// service from starting, or have no effect at all. It is pure.
func Plan(u Unit, w Wish, f Found) (DropIn, error) {
	p := planner{u: u, w: w, f: f, notes: slices.Clone(u.Remarks)}
	if !slices.ContainsFunc(u.Commands, func(c Command) bool { return !c.inFront() }) {
		nothing := fmt.Sprintf("arenacap stands in front of %s already (%s)", u.Name, u.Commands[0].from.place())
		for _, file := range u.older {
			nothing += fmt.Sprintf("; remove %s, which arenacap made before", file)
		}
		return DropIn{Nothing: nothing}, nil
	}
	p.judgeOwn()
	p.judgeCommands()
	p.judgePrograms()
	p.judgeType()
	if slices.ContainsFunc(u.Commands, Command.boxed) {
		p.judgeUser()
		p.judgeFolders()
		p.judgeCalls()
	}
	p.judgeLimits()
	p.judgeJournal()
	p.judgeEnvironment()
	p.judgeRestart()
	if len(p.refusals) > 0 {
		return DropIn{}, errors.Join(p.refusals...)
	}
	return p.dropIn()
}

// nameMax is the longest name of a file.
const nameMax = 255

func (p *planner) dropIn() (DropIn, error) {
	if len(p.u.Own) > nameMax {
		return DropIn{}, fmt.Errorf("%s: the drop-in would have to stand behind %q, and there is no such name; rename that one", p.u.Name, p.u.behind)
	}
	d := DropIn{Place: path.Join(p.w.Root+p.u.etc, p.u.Name+".d", p.u.Own), Behind: p.u.behind}
	for _, file := range p.u.older {
		switch {
		case file == d.Place:
		case path.Dir(file) == path.Dir(d.Place):
			d.Older = append(d.Older, file)
		case path.Base(file) > p.u.Own:
			p.note("%s is a drop-in that arenacap made before, in another folder, and is read after this one; remove it", file)
		}
	}
	d.Text, d.Notes = p.text(d.Place), p.notes
	return d, nil
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

// judgeOwn is about the file that the service is to start. In a root of its own judgeFolders looks for it.
func (p *planner) judgeOwn() {
	if own := p.f.Own; own.Wrong != "" && !p.u.rooted() {
		p.refuse("%q %s, so nothing could be started; install arenacap there, or name another one with --path", p.w.Root+own.Path, own.Wrong)
	}
}

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
			p.note("there is no %s on this machine, so whether the cap can work on it is not known; 'arenacap plan %s' says so on the one that has it", c.program.raw, c.program.raw)
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
	switch why := p.notifying(); {
	case p.u.last("Type") == "forking":
		if p.watched() {
			p.judgeForking()
		}
	case why != "" && p.supervised():
		p.judgeNotify(why)
	}
}

// notifying is the setting for which the service has a NOTIFY_SOCKET, and arenacap, if it supervises, says there that
// the program is the main process; "" is none. Type=notify, WatchdogSec= and FileDescriptorStoreMax= imply
// NotifyAccess=main, also where "none" is written (v252: src/core/service.c, service_add_extras).
func (p *planner) notifying() string {
	if t := p.u.last("Type"); t == "notify" || t == "notify-reload" {
		return "Type=" + t
	}
	for _, key := range []string{"WatchdogSec", "FileDescriptorStoreMax"} {
		if v := p.u.last(key); v == "infinity" || strings.ContainsAny(v, "123456789") {
			return key + "=" + v
		}
	}
	if access := p.u.last("NotifyAccess"); access != "" && access != "none" {
		return "NotifyAccess=" + access
	}
	return ""
}

// judgeNotify: MAINPID= makes a child of arenacap the main process, whose end systemd can neither wait for nor ask of.
func (p *planner) judgeNotify(why string) {
	p.note("%s: a supervising arenacap makes the program the main process, which is no child of systemd's then: its status is lost unless NotifyAccess=all is written, and nothing but Restart=always starts it again; leave supervising out", why)
	if kill := p.u.last("KillMode"); kill == "mixed" || kill == "process" {
		p.note("%s: with KillMode=%s systemd sends SIGKILL right behind SIGTERM where the main process is no child of its own; leave supervising out, or write KillMode=control-group", why, kill)
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
	if p.u.AsRoot() || p.u.Home != "" {
		return
	}
	who := "User=" + p.u.last("User")
	if p.u.yes("DynamicUser") {
		who = "DynamicUser=yes"
	}
	if at := p.f.Own.Closed; at != "" {
		p.refuse("with %s arenacap cannot be started, since %q is not open to that user; install it as /usr/bin/arenacap, or name another one with --path", who, at)
	}
	if at := p.f.Policy.Closed; at != "" {
		p.refuse("with %s arenacap cannot read its policy, since %q is not open to that user; chmod o+r the file, o+x the folders", who, at)
	}
	if at := p.f.Log.Closed; at != "" && below(p.f.Log.Path, p.u.writable()) == 0 {
		p.note(`with %s arenacap cannot write [log] to = %q, since %q is not open to that user`, who, p.f.Log.Path, at)
	}
	if at := p.f.Command.Closed; at != "" {
		p.note("with %s the budget's command %s cannot be started, since %q is not open to that user", who, p.f.Command.Path, at)
	}
}

// judgeFolders is about arenacap's files in the file system that the unit sees.
func (p *planner) judgeFolders() {
	if image := p.u.last("RootImage"); image != "" {
		p.note("RootImage=%s: %s has to be in that image, and the policy file, if there is one", image, p.f.Own.Path)
		return
	}
	if by := p.unseen(p.f.Own.File); by != "" && p.f.Own.Absent {
		p.refuse("%s %s in it; put one there, the release build needs no library", by, p.f.Own.Path)
	} else if by != "" {
		p.refuse("%s %s from the service; install arenacap as /usr/bin/arenacap, or name another one with --path", by, p.f.Own.Path)
	}
	if by := p.unseen(p.f.Policy); by != "" {
		p.refuse("%s %s, the policy file; put it where the service sees it (/etc/arenacap/policy.toml)", by, p.f.Policy.Path)
	}
	if by := p.unseen(p.f.Command); by != "" {
		p.note("%s %s, the budget's command: at a breach it will not be found", by, p.f.Command.Path)
	}
	p.judgeLog()
	p.judgeExecPaths()
}

// unseen is what keeps the unit from seeing a file, as the beginning of a sentence; "" is nothing.
func (p *planner) unseen(f File) string {
	if f.Path == "" {
		return ""
	}
	if by := p.u.hiddenBy(f.Path); by != "" {
		return by + " hides"
	}
	if dir := p.u.last("RootDirectory"); dir != "" && f.Absent {
		return fmt.Sprintf("RootDirectory=%s has no", dir)
	}
	return ""
}

// judgeLog is about the file that the events go to.
func (p *planner) judgeLog() {
	file := p.f.Log.Path
	if file == "" || !p.watched() {
		return
	}
	if by := p.unseen(p.f.Log); by != "" {
		p.note("%s %s, the place of [log] to", by, file)
	} else if by := p.u.readOnlyBy(file); by != "" {
		p.note("%s lets the service not write [log] to = %q; take the # from the ReadWritePaths= below, or name a file in its LogsDirectory=", by, file)
		p.line("#ReadWritePaths=%s", quote(path.Dir(file), false))
	}
}

// judgeExecPaths lets the unit execute arenacap where it may not execute everything. Of NoExecPaths= and ExecPaths= the
// longer path counts.
func (p *planner) judgeExecPaths() {
	files := []string{p.f.Own.Path}
	if p.f.Command.Path != "" {
		files = append(files, p.f.Command.Path)
	}
	for _, file := range files {
		if not := below(file, p.u.words("NoExecPaths")); not > 0 && not > below(file, p.u.words("ExecPaths")) {
			p.note("NoExecPaths= keeps the service from executing %s; the ExecPaths= below lets it", file)
			p.line("ExecPaths=%s", quote(file, false))
		}
	}
}

// calls are the system calls that arenacap makes, beside those of @default, by their groups (systemd-analyze
// syscall-filter): what strace shows of its start, of --supervise and of the watch. All are in @system-service, and
// none is in @privileged or @resources. A group of which arenacap needs little is not asked for as a whole.
var calls = [...]struct {
	group, names string
	whole        bool
}{
	{"@basic-io", "close close_range dup3 lseek pread64 read write", true},
	{"@file-system", "access chdir faccessat faccessat2 fchmod fcntl fstat getdents64 getxattr newfstatat openat readlinkat", true},
	{"@io-event", "epoll_create1 epoll_ctl epoll_pwait eventfd2 ppoll", true},
	{"@ipc", "pipe2 process_vm_readv", false},
	{"@network-io", "sendmsg setsockopt socket", false}, // to the watch, to NOTIFY_SOCKET
	{"@process", "clone kill pidfd_open pidfd_send_signal prctl tgkill wait4 waitid", true},
	{"@signal", "rt_sigaction rt_sigprocmask sigaltstack", true},
	{"@timer", "timer_create timer_delete timer_settime", false},
	{"", "ioctl madvise setpgid setsid", false},
}

// judgeCalls is about SystemCallFilter=: an allow-list, or with "~" a list of what is denied; a later line adds to the
// first.
func (p *planner) judgeCalls() {
	lines := p.u.list("SystemCallFilter")
	if len(lines) == 0 {
		return
	}
	var lacking []string
	for _, c := range calls {
		names := strings.Fields(c.names)
		denied := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return allowed(lines, name, c.group) })
		if len(denied) == len(names) && c.whole {
			denied = []string{c.group}
		}
		lacking = append(lacking, denied...)
	}
	if len(lacking) > 0 {
		p.note("SystemCallFilter= does not plainly allow all calls that arenacap makes; where the start ends with SIGSYS, take the # from the line below")
		p.line("#SystemCallFilter=%s", strings.Join(lacking, " "))
	}
}

// allowed reports whether a call of a group may be made: the first line says what holds for calls that none names.
func allowed(lines []setting, call, group string) bool {
	ok := strings.HasPrefix(lines[0].value, "~")
	for _, line := range lines {
		list, denied := strings.CutPrefix(line.value, "~")
		for _, name := range strings.Fields(list) {
			switch name, _, _ = strings.Cut(name, ":"); name {
			case call, group, "@system-service", "@known":
				ok = !denied
			}
		}
	}
	return ok
}

// Address space that Go needs to start.
const (
	least64 = 768 << 20
	least32 = 16 << 20
	least   = 64 << 20 // of writable private memory
	tasks   = 16       // threads of arenacap and its watch at their most, with some room
)

func (p *planner) judgeLimits() {
	if n, ok := limit(p.u.last("LimitAS")); ok && n < least64 && p.f.Own.Bits == 64 {
		p.refuse("LimitAS=%s is less address space than Go needs to start, 768M; name arenacap-386 with --path, which needs 16M", p.u.last("LimitAS"))
	} else if ok && n < least32 {
		p.refuse("LimitAS=%s is less address space than arenacap needs to start, 16M", p.u.last("LimitAS"))
	}
	if n, ok := limit(p.u.last("LimitDATA")); ok && n < least {
		p.note("LimitDATA=%s: arenacap's own memory counts there too before the program starts, and in the watch; it may need 64M", p.u.last("LimitDATA"))
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

// judgeJournal is about where arenacap's words go, and under which name. systemd names a service's lines after the
// program that it starts (systemd.exec(5), SyslogIdentifier=), which would be arenacap.
func (p *planner) judgeJournal() {
	to := p.u.last("StandardError")
	if to == "" || to == "inherit" {
		to = p.u.last("StandardOutput")
	}
	switch kind, _, _ := strings.Cut(to, ":"); kind {
	case "null", "file", "append", "truncate", "socket", "fd":
		if p.watched() && p.w.Plan.Policy.Log.To == "stderr" {
			p.note("stderr is %s, so breaches are not in the journal; write [log] to with a file's path in the policy", to)
		}
	}
	if p.u.last("SyslogIdentifier") != "" {
		return
	}
	var names []string
	for _, c := range p.u.Commands {
		if !c.inFront() {
			names = append(names, c.identifier())
		}
	}
	if slices.Sort(names); names[0] == "" || names[0] != names[len(names)-1] {
		p.note("the service's lines in the journal will have the identifier arenacap, and not that of each program; where something asks for it (journalctl -t, rsyslog, fail2ban), write SyslogIdentifier=")
		return
	}
	p.line("# The name of the service's lines in the journal; without it that would be \"arenacap\" now.")
	p.line("SyslogIdentifier=%s", strings.ReplaceAll(names[0], "%", "%%"))
}

// identifier is the name of a program; "" is one that only systemd knows.
func (c Command) identifier() string {
	name := strings.ReplaceAll(path.Base(c.program.value), "%%", "\x00")
	if strings.Contains(name, "%") || strings.Trim(name, blanks) != name {
		return ""
	}
	return strings.ReplaceAll(name, "\x00", "%")
}

// judgeRestart says which Restart= starts the service again after a breach. systemd calls an end by SIGTERM clean
// (systemd.service(5), Restart=); a supervising arenacap ends with 124.
func (p *planner) judgeRestart() {
	restart := p.u.last("Restart")
	if p.watched() && !p.u.perConnection && p.w.Plan.Policy.Budget.Action == "terminate" {
		told := p.supervised() && p.notifying() == "" // the status 124
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
