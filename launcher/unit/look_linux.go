package unit

// What decides beside the unit itself: the programs and the files on this machine.

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"arenacap/launcher/target"
)

// Found is what decides beside the unit itself.
type Found struct {
	Programs []Program  // one for each of the unit's commands
	own      ownProgram // arenacap's own file
	policy   neededFile // the policy file
	log      neededFile // the file that events go to
	command  neededFile // the budget's command
	settings []envFile  // of the unit's files for its environment that are there
}

// neededFile is one that arenacap needs in the service. Its path is the one that the service sees; "" is none.
type neededFile struct {
	Path   string
	Absent bool   // it is not there, RootDirectory= and what is bound into it included
	Closed string // the part of the path at which the service's user gets no further; "" is none
}

// Program is what a command starts.
type Program struct {
	Missing bool          // it was not found here
	Target  target.Target // zero where it was not looked at
}

// ownProgram is arenacap's own file.
type ownProgram struct {
	neededFile
	Bits  int    // 32 or 64; 0 is not known
	Wrong string // why it cannot be executed; "" is nothing
}

// systemdPath is where systemd looks for a program without a slash (v252: DEFAULT_PATH), and the PATH it gives to a
// service.
const systemdPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Look examines what the unit starts, under the environment that arenacap will give it, and the files that arenacap
// needs: its own, and those of the wish's policy. Below another root than the real one only arenacap's own file is looked
// at: a program's libraries are those of this system.
func Look(u Unit, w Wish, own string, env []string) Found {
	if w.Root != "" {
		at := w.Root + u.Outside(own)
		return Found{own: ownProgram{neededFile{Path: own}, target.Quick(at, nil, nil).Bits, wrong(at)}}
	}
	as := u.identity()
	found := Found{
		own:      ownProgram{u.lookFile(as, own, mayExecute), target.Quick(u.Outside(own), nil, nil).Bits, wrong(u.Outside(own))},
		policy:   u.lookFile(as, w.PolicyFile, mayRead),
		settings: u.lookSettings(),
	}
	if to := w.Plan.Policy.Log.To; path.IsAbs(to) && len(w.Plan.Limits) > 0 {
		found.log = u.lookLog(as, to)
	}
	if command := w.Plan.Policy.Budget.Command; len(command) > 0 && len(w.Plan.Limits) > 0 {
		found.command = u.lookFile(as, command[0], mayExecute)
	}
	for _, c := range u.commands {
		found.Programs = append(found.Programs, u.lookProgram(c, env))
	}
	return found
}

// wrong is why a file cannot be executed, behind its name.
func wrong(file string) string {
	switch info, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case err != nil:
		return "cannot be looked at: " + err.Error()
	case info.IsDir():
		return "is a directory"
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "is not executable"
	}
	return ""
}

func (u Unit) lookFile(as identity, file string, may fs.FileMode) neededFile {
	if file == "" {
		return neededFile{}
	}
	at := u.Outside(file)
	_, err := os.Stat(at)
	return neededFile{Path: file, Absent: errors.Is(err, fs.ErrNotExist), Closed: as.closed(at, may)}
}

// lookLog: a log file that is not there yet is made, so its folder counts.
func (u Unit) lookLog(as identity, file string) neededFile {
	f := u.lookFile(as, file, mayWrite)
	if dir := u.lookFile(as, path.Dir(file), mayWrite|mayExecute); f.Absent {
		f.Absent, f.Closed = dir.Absent, dir.Closed
	}
	return f
}

func (u Unit) lookProgram(c command, env []string) Program {
	if !c.known || c.name == "" || c.inFront() || u.rooted() && c.boxed() {
		return Program{}
	}
	search := systemdPath
	if dirs := u.words("ExecSearchPath"); len(dirs) > 0 {
		search = strings.Join(dirs, ":")
	}
	found, err := target.Find(c.name, []string{"PATH=" + search})
	if err != nil {
		return Program{Missing: errors.Is(err, syscall.ENOENT)}
	}
	return Program{Target: target.Examine(found, u.argv(c), env)}
}
