package unit

// Judgement of the files that arenacap needs: does the service's user reach them, does the sandbox show them.

import (
	"fmt"
	"path"
)

// requiredFile is a file that arenacap needs, and what is said where the service cannot have it.
type requiredFile struct {
	neededFile
	say            func(format string, args ...any)
	closed, remedy string // of one that is not open to the service's user
	unseen         string // of one that the sandbox does not show, behind its path
}

func (p *planner) requiredFiles() []requiredFile {
	own := " from the service; install arenacap as /usr/bin/arenacap, or name another one with --path"
	if p.f.own.Absent {
		own = " in it; put one there, the release build needs no library"
	}
	log, command := p.f.log, p.f.command
	if below(log.Path, p.u.writable()) > 0 {
		log.Closed = ""
	}
	return []requiredFile{
		{p.f.own.neededFile, p.refuse, "arenacap cannot be started", "; install it as /usr/bin/arenacap, or name another one with --path", own},
		{p.f.policy, p.refuse, "arenacap cannot read its policy", "; chmod o+r the file, o+x the folders", ", the policy file; put it where the service sees it (/etc/arenacap/policy.toml)"},
		{log, p.note, fmt.Sprintf("arenacap cannot write [log] to = %q", log.Path), "", ""}, // judgeLog says more
		{command, p.note, fmt.Sprintf("the budget's command %s cannot be started", command.Path), "", ", the budget's command: at a breach it will not be found"},
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
	for _, n := range p.requiredFiles() {
		if n.Closed != "" {
			n.say("with %s %s, since %q is not open to that user%s", who, n.closed, n.Closed, n.remedy)
		}
	}
}

// judgeFolders is about arenacap's files in the file system that the unit sees.
func (p *planner) judgeFolders() {
	if image := p.u.last("RootImage"); image != "" {
		p.note("RootImage=%s: %s has to be in that image, and the policy file, if there is one", image, p.f.own.Path)
		return
	}
	for _, n := range p.requiredFiles() {
		if by := p.unseen(n.neededFile); by != "" && n.unseen != "" {
			n.say("%s %s%s", by, n.Path, n.unseen)
		}
	}
	p.judgeLog()
	p.judgeExecPaths()
}

// unseen is what keeps the unit from seeing a file, as the beginning of a sentence; "" is nothing.
func (p *planner) unseen(f neededFile) string {
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
	file := p.f.log.Path
	if file == "" || !p.watched() {
		return
	}
	if by := p.unseen(p.f.log); by != "" {
		p.note("%s %s, the place of [log] to", by, file)
	} else if by := p.u.readOnlyBy(file); by != "" {
		p.note("%s lets the service not write [log] to = %q; take the # from the ReadWritePaths= below, or name a file in its LogsDirectory=", by, file)
		p.line("#ReadWritePaths=%s", quote(path.Dir(file), false))
	}
}

// judgeExecPaths lets the unit execute arenacap where it may not execute everything. Of NoExecPaths= and ExecPaths= the
// longer path counts.
func (p *planner) judgeExecPaths() {
	files := []string{p.f.own.Path}
	if p.f.command.Path != "" {
		files = append(files, p.f.command.Path)
	}
	for _, file := range files {
		if not := below(file, p.u.words("NoExecPaths")); not > 0 && not > below(file, p.u.words("ExecPaths")) {
			p.note("NoExecPaths= keeps the service from executing %s; the ExecPaths= below lets it", file)
			p.line("ExecPaths=%s", quote(file, false))
		}
	}
}
