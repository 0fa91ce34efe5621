package unit

// This file examines the programs and files on this machine that matter for the drop-in.

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"arenacap/launcher/target"
)

// Found is the result of Look.
type Found struct {
	Programs []Program  // one for each of the unit's commands; none below a root other than the real one
	own      ownProgram // arenacap's executable
	policy   neededFile // the policy file
	log      neededFile // the file that events are written to
	command  neededFile // the budget's command
	settings []envFile  // the files of EnvironmentFile= that set a variable in capNames
}

// neededFile is a file that arenacap needs in the service.
type neededFile struct {
	Path   string // path as the service sees it; "" if arenacap needs no such file
	Absent bool   // the file does not exist in the service, RootDirectory= and bind mounts taken into account
	Closed string // the part of the path that the service's user has no access to; "" for none
}

// Program is the program of a command.
type Program struct {
	Missing bool          // the program was not found on this machine
	Target  target.Target // the examined program; zero if it was not examined
}

// ownProgram is arenacap's executable.
type ownProgram struct {
	neededFile
	Bits  int    // word size of the executable, 32 or 64; 0 if not known
	Wrong string // why the executable cannot be executed; "" if it can
}

// systemdPath is the path in which systemd searches a program without a slash (v252: DEFAULT_PATH). It is also the PATH
// of a service.
const systemdPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Look examines the unit's programs, in the environment env that arenacap will give them, and the files that arenacap
// needs: its executable and those named in the policy. Below a root other than the real one it examines only arenacap's
// executable, because it would resolve the programs' libraries on this system.
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

// wrong says why a file cannot be executed, as the end of a sentence that begins with the file's name; "" if it can.
func wrong(file string) string {
	switch info, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case err != nil:
		return "cannot be examined: " + err.Error()
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

// lookLog examines the log file, or its directory if the file does not exist: then arenacap creates it.
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
