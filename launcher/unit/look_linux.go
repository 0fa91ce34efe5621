package unit

import (
	"bytes"
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
	Programs []Program   // one for each of the unit's commands
	Own      Own         // arenacap's own file
	Policy   string      // the part of the policy file's path that other users may not enter or read; "" is open to all
	Settings []FileNames // of the unit's files for its environment that are there
}

// Program is what a command starts.
type Program struct {
	Missing bool          // it was not found here
	Target  target.Target // zero where it was not looked at
	Script  target.Target // what a shell's script executes at its end; zero where that is not plain to see
}

// Own is arenacap's own file.
type Own struct {
	Path   string
	Bits   int    // 32 or 64; 0 is not known
	Closed string // the part of Path that other users may not enter or execute; "" is open to all
	InRoot bool   // it is in the unit's RootDirectory= too
}

// FileNames are the names in a file of EnvironmentFile= that matter to a cap.
type FileNames struct {
	File  string
	Names []string
}

// systemdPath is where systemd looks for a program without a slash (v252: DEFAULT_PATH), and the PATH it gives to a
// service.
const systemdPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Look examines what the unit starts, under the environment that arenacap will give it, arenacap's own file and the
// policy's ("" is none). Only the real root can be looked at: a program's libraries are those of this system.
func Look(u Unit, own, policyFile string, env []string) Found {
	found := Found{Own: u.lookOwn(own), Settings: u.lookSettings()}
	if policyFile != "" {
		found.Policy = closedPart(policyFile, 0o004)
	}
	for _, c := range u.Commands {
		found.Programs = append(found.Programs, u.lookProgram(c, env))
	}
	return found
}

func (u Unit) lookProgram(c Command, env []string) Program {
	name := strings.ReplaceAll(c.program.value, "%%", "\x00")
	if strings.Contains(name, "%") || name == "" || c.inFront() {
		return Program{} // a specifier, whose value only systemd knows
	}
	name = strings.ReplaceAll(name, "\x00", "%")
	search := systemdPath
	if dirs := u.words("ExecSearchPath"); len(dirs) > 0 {
		search = strings.Join(dirs, ":")
	}
	found, err := target.Find(name, []string{"PATH=" + search})
	if err != nil {
		return Program{Missing: errors.Is(err, syscall.ENOENT)}
	}
	p := Program{Target: target.Examine(found, env)}
	if script := c.executed(); script != "" {
		if found, err := target.Find(script, nil); err == nil {
			p.Script = target.Examine(found, env)
		}
	}
	return p
}

func (u Unit) lookOwn(file string) Own {
	own := Own{Path: file, Bits: target.Quick(file, nil).Bits, Closed: closedPart(file, 0o001)}
	_, err := os.Stat(u.last("RootDirectory") + file)
	own.InRoot = err == nil
	return own
}

// closedPart is the part of a path at which others than its owner and its group get no further; bit is what they need
// of the file itself.
func closedPart(file string, bit fs.FileMode) string {
	part := ""
	for p := file; ; p, bit = path.Dir(p), 0o001 {
		if info, err := os.Stat(p); err != nil || info.Mode()&bit == 0 {
			part = p
		}
		if p == "/" || p == "." {
			return part
		}
	}
}

// lookSettings reads the unit's EnvironmentFile=s. Only which names they set matters here.
func (u Unit) lookSettings() []FileNames {
	var all []FileNames
	for _, s := range u.list("EnvironmentFile") {
		file := strings.TrimPrefix(s.value, "-")
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		found := FileNames{File: file}
		for _, name := range []string{"LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST", "ARENACAP_POLICY", "ARENACAP_SERVICE"} {
			for line := range bytes.Lines(text) {
				if bytes.HasPrefix(bytes.TrimLeft(line, blanks), []byte(name+"=")) {
					found.Names = append(found.Names, name)
					break
				}
			}
		}
		if len(found.Names) > 0 {
			all = append(all, found)
		}
	}
	return all
}
