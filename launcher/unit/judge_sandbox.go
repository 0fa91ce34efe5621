package unit

// This file checks whether the service's user has access to the files that arenacap needs, and whether they are
// visible in the unit's sandbox.

import (
	"cmp"
	"fmt"
	"path"
)

// requiredFile is a file that arenacap needs, with the texts for a service that has no access to it.
type requiredFile struct {
	neededFile
	say            func(format string, args ...any)
	closed, remedy string // for messages: the consequence and the remedy if the service's user has no access
	what           string // what the file is, for the message that the sandbox hides it. "" for the log: judgeLog has its own messages
}

func (p *planner) requiredFiles() []requiredFile {
	log, command := p.f.log, p.f.command
	if below(log.Path, p.u.writable()) > 0 {
		log.Closed = ""
	}
	return []requiredFile{
		{p.f.own.neededFile, p.refuse, "arenacap cannot be started", "; install arenacap as /usr/bin/arenacap, or give the path of another copy with --path", " (arenacap)"},
		{p.f.policy, p.refuse, "arenacap cannot read its policy", "; run chmod o+r on the file and chmod o+x on its folders", " (the policy file)"},
		{log, p.note, fmt.Sprintf("arenacap cannot write the log file %q", log.Path), "", ""},
		{command, p.note, fmt.Sprintf("the budget's command %s cannot be started", command.Path), "", " (the budget's command)"},
	}
}

// judgeUser checks that the service's user has access to the files.
func (p *planner) judgeUser() {
	if p.u.AsRoot() || p.u.Home != "" {
		return
	}
	for _, n := range p.requiredFiles() {
		if n.Closed != "" {
			n.say("with %s %s, because that user has no access to %q%s", p.u.who(), n.closed, n.Closed, n.remedy)
		}
	}
}

// who is the setting of the service's user.
func (u Unit) who() string {
	if u.yes("DynamicUser") {
		return "DynamicUser=yes"
	}
	return "User=" + u.last("User")
}

// judgeModules notes the profiles of security modules, which apply to arenacap too.
func (p *planner) judgeModules() {
	for _, key := range []string{"AppArmorProfile", "SELinuxContext", "SmackProcessLabel"} {
		if value := p.u.last(key); value != "" {
			p.note("%s=%s was not checked; that setting must allow arenacap to start, to read its policy and to execute the program", key, value)
		}
	}
}

// judgeFolders checks that the unit's file system has the files that arenacap needs.
func (p *planner) judgeFolders() {
	if image := p.u.last("RootImage"); image != "" {
		p.note("RootImage=%s: that image must contain %s, and the policy file if there is one", image, p.f.own.Path)
		return
	}
	for _, n := range p.requiredFiles() {
		if by, remedy := p.unseen(n.neededFile, "BindReadOnlyPaths", n.Path); by != "" && n.what != "" {
			n.say("%s %s%s%s", by, n.Path, n.what, remedy)
		}
	}
	p.judgeLog()
	p.judgeExecPaths()
}

// unseen returns the setting that hides a file from the unit, as the beginning of a sentence, and the remedy, as its end.
// The setting is "" if the unit sees the file.
func (p *planner) unseen(f neededFile, bind, path string) (setting, remedy string) {
	hider := p.u.hiddenBy(f.Path)
	remedy = fmt.Sprintf("; add %s=%s to the unit, or put the file into a folder that the service sees", bind, quote(path, false))
	switch root := p.u.last("RootDirectory"); {
	case f.Path == "":
		return "", ""
	case hider.hard:
		return hider.setting + " hides", "; put the file into a folder that the service sees"
	case hider.setting != "":
		return hider.setting + " hides", remedy
	case root != "" && f.Absent:
		return fmt.Sprintf("RootDirectory=%s has no", root), remedy
	}
	return "", ""
}

// judgeProc checks that the watch can use /dev/null and /proc. The watch reads the program's size in /proc. For a budget in
// percent it also reads the machine's memory there, unless the control group has a memory limit.
func (p *planner) judgeProc() {
	if !p.watched() {
		return
	}
	proc, meminfo := p.u.hiddenBy("/proc/self"), p.u.hiddenBy("/proc/meminfo").setting
	if p.u.last("ProcSubset") == "pid" {
		meminfo = "ProcSubset=pid"
	}
	limited := (p.u.memoryLimit("MemoryMax") || p.u.memoryLimit("MemoryLimit")) && proc.setting == "" && p.u.hiddenBy("/sys/fs/cgroup").setting == ""
	if meminfo != "" && !limited && p.w.Plan.Policy.NeedsMemory() {
		p.refuse("%s hides /proc/meminfo, which a budget in percent needs; set the budget in bytes in the policy, or make /proc visible and set MemoryMax= in the unit", meminfo)
	}
	null := p.u.hiddenBy("/dev/null")
	switch {
	case proc.setting != "" && proc.hard || null.setting != "" && null.hard:
		p.note("%s hides /proc or /dev/null, so arenacap cannot watch the program", cmp.Or(proc.setting, null.setting))
	case proc.setting != "" || null.setting != "":
		p.note("%s hides /proc or /dev/null, so arenacap cannot watch the program; write MountAPIVFS=yes in the unit to make them visible", cmp.Or(proc.setting, null.setting))
	}
}

func (u Unit) memoryLimit(key string) bool { return u.last(key) != "" && u.last(key) != "infinity" }

// judgeLog checks that the service can write the log file.
func (p *planner) judgeLog() {
	file := p.f.log.Path
	if file == "" || !p.watched() {
		return
	}
	if by, remedy := p.unseen(p.f.log, "BindPaths", path.Dir(file)); by != "" {
		p.note("%s %s (the log file)%s", by, file, remedy)
	} else if by := p.u.readOnlyBy(file); by != "" {
		p.note("%s keeps the service from writing the log file %q; uncomment the line #ReadWritePaths= in the drop-in, or name a file in its LogsDirectory=", by, file)
		p.line("#ReadWritePaths=%s", quote(path.Dir(file), false))
	}
}

// judgeExecPaths adds an ExecPaths= if NoExecPaths= forbids arenacap or the budget's command. If both settings apply
// to a file, the longer path wins.
func (p *planner) judgeExecPaths() {
	files := []string{p.f.own.Path}
	if p.f.command.Path != "" {
		files = append(files, p.f.command.Path)
	}
	for _, file := range files {
		if not := below(file, p.u.words("NoExecPaths")); not > 0 && not > below(file, p.u.words("ExecPaths")) {
			p.note("NoExecPaths= keeps the service from executing %s; the ExecPaths= in the drop-in allows it", file)
			p.line("ExecPaths=%s", quote(file, false))
		}
	}
}
