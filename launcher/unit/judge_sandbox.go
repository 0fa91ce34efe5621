package unit

// Judgement of the files that arenacap needs: does the service's user reach them, does the sandbox show them.

import (
	"fmt"
	"path"
)

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
