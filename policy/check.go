package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Check: every problem of a file, also those that a launch does not look for because they fail later or on another machine.

// Check gives every problem of a policy file, in the order of its lines, the ones of all its services included. Beyond what
// Load refuses it says who may write the file, what could not run or be opened at a breach, and what is hardly meant.
func Check(path string) (all []error) {
	for _, p := range check(path) {
		all = append(all, p)
	}
	return all
}

func check(path string) (found problems) {
	data, bad := readFile(path, false)
	if bad != nil {
		return problems{*bad}
	}
	if info, err := os.Stat(path); err == nil {
		if p := distrust(path, info, os.Geteuid()); p != nil {
			found = append(found, *p)
		}
	}
	return append(found, checkText(path, data)...)
}

func checkText(path string, data []byte) problems {
	d := parse(path, data)
	base, services := d.settings()
	base.later()
	for _, l := range services {
		l.later()
	}
	d.problems.sort()
	return d.problems
}

// later reports what the layer itself wrote, and reading it accepts, but would fail after the start.
func (l *layer) later() {
	for i, m := range metrics {
		if at, ok := l.wrote("budget." + m.name); ok {
			l.withoutUnit(at, m.name, l.policy.Budget.Limits[i].Bytes)
		}
	}
	if at, ok := l.wrote("arenas.max_reserved"); ok {
		l.noArena(at, l.policy.Arenas.MaxReserved.Bytes)
	}
	if at, ok := l.wrote("budget.command"); ok {
		l.problemIn(at, missingProgram(l.policy.Budget.Command[0]))
		l.problemIn(at, unknownPlaceholder(l.policy.Budget.Command))
	}
	if at, ok := l.wrote("log.to"); ok && l.policy.Log.To != "stderr" {
		l.problemIn(at, unusableLog(l.policy.Log.To))
	}
}

// wrote gives the place of a setting that this layer has a good value of.
func (l *layer) wrote(setting string) (at place, ok bool) {
	at, ok = l.said[setting]
	return at, ok && at.own && !at.bad
}

// problemIn reports at a value; the empty hinted is no problem.
func (l *layer) problemIn(at place, what hinted) {
	if what.what != "" {
		l.doc.problem(l.doc.at[at.path].value, what)
	}
}

// leastSize is what a size without a unit is at least where bytes are meant: no process with a C library is smaller.
const leastSize = 1 << 20

func (l *layer) withoutUnit(at place, name string, bytes uint64) {
	number := strings.TrimSpace(fmt.Sprint(at.raw))
	if bytes == 0 || bytes >= leastSize || strings.Trim(number, "0123456789.") != "" {
		return
	}
	l.problemIn(at, hinted{fmt.Sprintf("%s = %s has no unit and means %s", name, number, FormatSize(bytes)),
		fmt.Sprintf(`write the unit: %s = "%sMiB" or "%sGiB"`, name, number, number)})
}

// leastHeap is the least address space that an arena of any program reserves: 1 MiB, in 32-bit programs.
const leastHeap = 1 << 20

func (l *layer) noArena(at place, bytes uint64) {
	if bytes != 0 && bytes < leastHeap {
		l.problemIn(at, hinted{fmt.Sprintf("max_reserved = %v has room for no arena but the main one, since each reserves 64 MiB, or 1 MiB in a 32-bit program", at.raw),
			"write for example max_reserved = \"1GiB\", or cap = 1 for the main arena alone"})
	}
}

// missingProgram says why a file cannot be executed. What may not be looked at is taken to be fine.
func missingProgram(path string) hinted {
	const hint = "write the path of a program"
	if strings.Contains(path, "{") { // its name is known at a breach
		return hinted{}
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(path, " "):
		return hinted{fmt.Sprintf("command %q does not exist", path), `each argument is a string of its own: "` + strings.Join(strings.Fields(path), `", "`) + `"`}
	case errors.Is(err, fs.ErrNotExist):
		return hinted{fmt.Sprintf("command %q does not exist", path), hint + " that is installed here"}
	case errors.Is(err, fs.ErrPermission):
		return hinted{}
	case err != nil:
		return hinted{fmt.Sprintf("command %q: %v", path, cause(err)), hint}
	case !info.Mode().IsRegular():
		return hinted{fmt.Sprintf("command %q is not a file", path), hint}
	case info.Mode().Perm()&0o111 == 0:
		return hinted{fmt.Sprintf("command %q is not executable", path), "type chmod +x " + shellWord(path)}
	}
	return hinted{}
}

// Placeholders names what a watch replaces in the words of a command: "pid" stands for {pid}.
func Placeholders() []string { return []string{"pid", "service", "event", "metric", "value", "limit"} }

// unknownPlaceholder looks for letters in braces that the watch would pass on as they are.
func unknownPlaceholder(command []string) hinted {
	known := Placeholders()
	for _, word := range command {
		for _, part := range strings.Split(word, "{")[1:] {
			name, _, closed := strings.Cut(part, "}")
			isName := name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz_-") == ""
			if !closed || !isName || slices.Contains(known, name) {
				continue
			}
			hint := "there are {" + strings.Join(known, "}, {") + "}"
			if near := DidYouMean(name, known); near != "" {
				hint = strings.NewReplacer(` "`, ` "{`, `"?`, `}"?`).Replace(near)
			}
			return hinted{fmt.Sprintf("command has the unknown placeholder {%s}", name), hint}
		}
	}
	return hinted{}
}

// unusableLog says why a log file could not be opened for appending, or made, by the user that checks.
func unusableLog(path string) hinted {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unusableFolder(path)
	case err == nil && info.IsDir():
		return hinted{fmt.Sprintf("to = %q is a folder", path), "name a file in it, such as " + shellWord(filepath.Join(path, "arenacap.log"))}
	case err == nil && info.Mode()&fs.ModeSocket != 0:
		return hinted{fmt.Sprintf("to = %q is a socket", path), "name a file"}
	case err == nil:
		err = mayWrite(path)
	}
	if err != nil {
		return hinted{fmt.Sprintf("to = %q cannot be opened by uid %d: %v", path, os.Geteuid(), cause(err)), "name a file that the user who launches may write"}
	}
	return hinted{}
}

// unusableFolder says why a log file that is not there could not be made.
func unusableFolder(path string) hinted {
	if target, err := os.Readlink(path); err == nil { // the file is made where the link leads
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	folder := filepath.Dir(path)
	_, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted{fmt.Sprintf("to = %q: there is no folder %q", path, folder), "type mkdir -p " + shellWord(folder)}
	}
	if err == nil {
		err = mayWrite(folder)
	}
	if err != nil {
		return hinted{fmt.Sprintf("to = %q cannot be made by uid %d: %v", path, os.Geteuid(), cause(err)), "name a folder that the user who launches may write"}
	}
	return hinted{}
}

// cause is an error without the path, which the message has already.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
