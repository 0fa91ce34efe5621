// Package inspect answers two questions about a live process from outside: is the cap on its arenas kept,
// and where is its virtual memory?
//
// Package arena has what is in the process, package environ what its glibc read when it started. Here both
// are put together: cap.go judges, sentence.go says it for people; both are pure. Host does the same for
// every process of the machine.
package inspect

import (
	"cmp"
	"os"
	"strconv"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/target"
	"arenacap/policy"
)

// Report is one process: what was found and what follows from it.
type Report struct {
	Process *arena.Process
	Cap     Cap
	Verdict string // where the virtual size is, in one sentence
	Next    string // what to type next; "" is nothing
}

// Look inspects a live process. wanted is the plan of a policy that should be in force, or nil: then what
// counts is what the process's own glibc read. The errors are those of arena.Inspect.
func Look(pid int, wanted *policy.Plan) (Report, error) {
	p, err := arena.Inspect(pid)
	if err != nil {
		return Report{}, err
	}
	f := start(pid, p.LibcVersion, p.Bits)
	f.process(p)
	f.wanted = wanted
	r := Report{Process: p, Cap: f.judge(), Verdict: verdict(p)}
	if r.Cap.exceeded() {
		r.Cap.Why = cmp.Or(whyNot(pid, f), r.Cap.Why)
	}
	r.Next = next(p, r.Cap)
	return r, nil
}

// start reads how the process was started. What may not be read stays unknown.
func start(pid int, version string, bits int) facts {
	f := facts{version: glibcVersion(version, bits)}
	if text, err := os.ReadFile(procFile(pid, "environ")); err == nil {
		f.environ = environ.Rejoin(splitEnviron(text))
		f.setting, f.environKnown = environ.Effective(f.environ, f.version), true
	}
	if text, err := os.ReadFile(procFile(pid, "auxv")); err == nil {
		f.secure = secureMode(text, bits)
	}
	return f
}

// whyNot asks the program itself why a cap has no effect on it.
func whyNot(pid int, f facts) string {
	path := procFile(pid, "exe")
	if name, err := os.Readlink(path); err == nil && sameFile(name, path) {
		path = name
	}
	t := target.Examine(path, f.environ)
	if t.CanCap == target.No && len(t.Why) > 0 {
		return t.Why[0]
	}
	return ""
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
