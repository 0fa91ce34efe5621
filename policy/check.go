package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arenacap/policy/text"
)

// This file has Check, which also finds problems that a launch does not look for.

// Check lists all problems of a policy file, including the problems of all its services, in the order of the lines in
// the file. Besides the errors of Load it reports files that others may write, users, commands and logs that cannot be
// used, and values that are valid but probably a mistake.
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
	limited := base.limited()
	for _, l := range services {
		l.later()
		limited = limited || l.limited()
	}
	if len(d.problems) == 0 { // otherwise the limit may be among the settings that are not valid
		base.withoutLimit(limited)
		for _, l := range services {
			l.withoutLimit(l.limited())
		}
	}
	d.problems.sort()
	return d.problems
}

// later reports settings of this layer that Load accepts, but that would fail later or are probably a mistake.
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
	if at, ok := l.wrote("match.user"); ok {
		l.problemIn(at, unknownUser(l.policy.Match.User))
	}
	if at, ok := l.wrote("log.to"); ok && l.policy.Log.To != "stderr" {
		l.problemIn(at, unusableLog(l.policy.Log.To))
	}
}

// wrote returns the place of a setting if this layer sets it to a valid value.
func (l *layer) wrote(setting string) (at place, ok bool) {
	at, ok = l.said[setting]
	return at, ok && at.own && !at.bad
}

// problemIn reports a problem at the position of a value. It reports nothing if the text of the problem is empty.
func (l *layer) problemIn(at place, what hinted) {
	if what.what != "" {
		l.doc.problem(l.doc.at[at.path].value, what)
	}
}

// leastSize is the smallest plausible limit in bytes: every process with a C library is larger. A smaller number without
// a unit is probably missing its unit.
const leastSize = 1 << 20

func (l *layer) withoutUnit(at place, name string, bytes uint64) {
	number := strings.TrimSpace(fmt.Sprint(at.raw))
	if bytes == 0 || bytes >= leastSize || strings.Trim(number, "0123456789.") != "" {
		return
	}
	l.problemIn(at, hinted{fmt.Sprintf("%s = %s has no unit, so it means %s", name, number, text.Size(bytes)),
		fmt.Sprintf(`write the unit: %s = "%sMiB" or "%sGiB"`, name, number, number)})
}

// leastHeap is the smallest heap of an arena in any program: 1 MiB, in 32-bit programs.
const leastHeap = 1 << 20

func (l *layer) noArena(at place, bytes uint64) {
	if bytes != 0 && bytes < leastHeap {
		l.problemIn(at, hinted{fmt.Sprintf("max_reserved = %v leaves room for the main arena only: each other arena reserves 64 MiB, or 1 MiB in a 32-bit program", at.raw),
			"write for example max_reserved = \"1GiB\", or cap = 1 for the main arena alone"})
	}
}

func (l *layer) limited() bool {
	return slices.ContainsFunc(l.policy.Budget.Limits[:], func(s size) bool { return !s.isZero() })
}

// withoutLimit reports a problem if this layer sets an action other than "report" and no limit is set (the argument
// "limited" is false), because then no breach can cause the action.
func (l *layer) withoutLimit(limited bool) {
	if at, ok := l.wrote("budget.action"); ok && !limited && at.raw != "report" {
		l.problemIn(at, hinted{fmt.Sprintf("action = %q has no effect without a limit", at.raw), `add for example budget.virtual = "4GiB"`})
	}
}

// missingProgram describes why a file cannot be executed. A file that this user may not stat is accepted.
func missingProgram(path string) hinted {
	const hint = "write the path of a program"
	if strings.Contains(path, "{") { // a placeholder, whose value is known only at a breach
		return hinted{}
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(path, " "):
		return hinted{fmt.Sprintf("command %q does not exist", path), `write each argument as its own string: "` + strings.Join(strings.Fields(path), `", "`) + `"`}
	case errors.Is(err, fs.ErrNotExist):
		return hinted{fmt.Sprintf("command %q does not exist", path), hint + " that is installed here"}
	case errors.Is(err, fs.ErrPermission):
		return hinted{}
	case err != nil:
		return hinted{fmt.Sprintf("command %q: %v", path, cause(err)), hint}
	case !info.Mode().IsRegular():
		return hinted{fmt.Sprintf("command %q is not a file", path), hint}
	case info.Mode().Perm()&0o111 == 0:
		return hinted{fmt.Sprintf("command %q is not executable", path), "type chmod +x " + text.ShellWord(path)}
	}
	return hinted{}
}

// placeholders are the names that a watch replaces in a command: "pid" stands for {pid}. A test of package watch
// compares this list with the placeholders there.
var placeholders = []string{"pid", "service", "event", "metric", "value", "limit"}

// unknownPlaceholder finds a placeholder that the watch would not replace, or a shell variable.
func unknownPlaceholder(command []string) hinted {
	known := placeholders
	for _, word := range command {
		if name := strings.Trim(word, "${}"); strings.HasPrefix(word, "$") && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "" {
			return hinted{fmt.Sprintf("command runs without a shell, which would expand %q", word), "the placeholders are {" + strings.Join(known, "}, {") + "}"}
		}
		for _, part := range strings.Split(word, "{")[1:] {
			name, _, closed := strings.Cut(part, "}")
			isName := name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz_-") == ""
			if !closed || !isName || slices.Contains(known, name) {
				continue
			}
			hint := "the placeholders are {" + strings.Join(known, "}, {") + "}"
			if near := text.DidYouMean(name, known); near != "" {
				hint = strings.NewReplacer(` "`, ` "{`, `"?`, `}"?`).Replace(near)
			}
			return hinted{fmt.Sprintf("command has the unknown placeholder {%s}", name), hint}
		}
	}
	return hinted{}
}

// unusableLog describes why the checking user cannot append to a log file, or create it.
func unusableLog(path string) hinted {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unusableFolder(path)
	case err == nil && info.IsDir():
		return hinted{fmt.Sprintf("to = %q in [log] is a folder", path), "name a file in this folder, such as " + text.ShellWord(filepath.Join(path, "arenacap.log"))}
	case err == nil && info.Mode()&fs.ModeSocket != 0:
		return hinted{fmt.Sprintf("to = %q in [log] is a socket", path), "name a regular file"}
	case err == nil:
		err = mayWrite(path)
	}
	if err != nil {
		return hinted{fmt.Sprintf("to = %q in [log] cannot be opened by uid %d: %v", path, os.Geteuid(), cause(err)), "name a file that this user may write"}
	}
	return hinted{}
}

// unusableFolder describes why a missing log file cannot be created.
func unusableFolder(path string) hinted {
	if target, err := os.Readlink(path); err == nil { // a dangling link: open(2) creates its target
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	folder := filepath.Dir(path)
	_, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted{fmt.Sprintf("to = %q in [log]: the folder %q does not exist", path, folder), "type mkdir -p " + text.ShellWord(folder)}
	}
	if err == nil {
		err = mayWrite(folder)
	}
	if err != nil {
		return hinted{fmt.Sprintf("to = %q in [log] cannot be created by uid %d: %v", path, os.Geteuid(), cause(err)), "name a folder that this user may write"}
	}
	return hinted{}
}

// cause strips the path from an error, because the message already names it.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
