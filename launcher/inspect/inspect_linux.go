// Package inspect answers two questions about a live process from outside: is the cap on its arenas kept,
// and where is its virtual memory?
//
// Package arena has what is in the process, package environ what its glibc read when it started. Here both
// are put together: cap.go judges, sentence.go says it for people; both are pure. List does the same for
// every process of the machine.
package inspect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/proc"
	"arenacap/launcher/target"
	"arenacap/policy"
)

// Report is one process: what was found and what follows from it.
type Report struct {
	Process *arena.Process
	Cap     Cap
	Verdict string // where the virtual size is, in one sentence
	Upgrade string // what the newest glibc would change; "" is nothing
	Next    string // what to type or to do next; "" is nothing
}

// Look inspects a live process. wanted is a policy that should be in force, or nil: then what counts is what
// the process's own glibc read. The policy is laid over this machine and what the process inherited, as run
// would do: a process in another container may have been given other cores. The errors are those of
// arena.Inspect.
func Look(pid int, m policy.Machine, wanted *policy.Policy) (Report, error) {
	p, began, err := read(pid)
	if err != nil {
		return Report{}, err
	}
	f := newFacts(p, began)
	if m.Online.N != 0 {
		f.ownLimit = f.allowed(f.version, 0, m.Online.N)
	}
	if wanted != nil {
		m.Address, m.Heap = machine.Address(pid), f.version.HeapBytes()
		plan, err := resolve(*wanted, m, began.environ)
		if err != nil {
			return Report{}, err
		}
		f.wanted = &plan
	}
	r := Report{Process: p, Cap: f.judge(), Verdict: verdict(p), Upgrade: f.upgrade(m.Online.N)}
	if r.Cap.Kept == No && !f.notInForce(r.Cap) {
		r.Cap.ask(pid, began)
	}
	if r.Cap.N == 0 && saving(p, oneACore(m)) > 0 {
		r.Cap.advice = cmp.Or(f.ownLimitSet(p), carrierAbove(pid), r.Cap.advice)
	}
	if f.wanted == nil || r.Cap.N != 0 { // a policy without a cap is meant
		r.Next = next(p, r.Cap, oneACore(m))
	}
	if r.Next == "" && hugeMatters(p) {
		r.Next = hugeAdvice(began.environ, f.version, machine.HugePageMode("/"))
	}
	return r, nil
}

// resolve is the cap that the policy would have given this process; budgets do not matter here.
func resolve(wanted policy.Policy, m policy.Machine, env []string) (policy.Plan, error) {
	wanted.Budget = policy.Builtin().Budget
	m.Inherited = environ.Inherited(env)
	return wanted.Resolve(m)
}

// oneACore is the cap of the built-in policy, which savings are told for.
func oneACore(m policy.Machine) int {
	m.Inherited = policy.Inherited{}
	plan, err := policy.Builtin().Resolve(m)
	if err != nil { // the cores are not known
		return 2
	}
	return plan.ArenaMax
}

// readTries bounds how often a process that execs other programs one after the other is read again.
const readTries = 3

// Name is what the kernel calls a process, also one that may not be read, a zombie or a thread of the kernel; "" where
// there is none.
func Name(pid int) string {
	text, _ := proc.Here.Read(procFile(pid, "stat"))
	s, _ := proc.ParseStat(text)
	return s.Name
}

// read reads the process and what it was started with, both of the same program: auxv has addresses that the
// kernel draws anew at each exec.
func read(pid int) (p *arena.Process, _ beginning, err error) {
	for range readTries {
		before := readFile(pid, "auxv")
		env := readFile(pid, "environ")
		p, err = arena.Inspect(pid)
		if errors.Is(err, syscall.ESRCH) { // it has ended, or execs another program
			continue
		}
		if err != nil {
			return nil, beginning{}, err
		}
		if bytes.Equal(before.text, readFile(pid, "auxv").text) {
			return p, begin(p, env, before), nil
		}
	}
	if err != nil {
		return nil, beginning{}, err
	}
	return p, beginning{unknown: "is never the same: it execs one program after the other"}, nil
}

// file is a file of /proc/PID.
type file struct {
	text []byte
	err  error
}

// readFile reads a file that tells of the address space. A first thread that has ended (pthread_exit(3) in
// main) has none any more; then another thread's is read.
func readFile(pid int, name string) file {
	text, err := proc.Here.Read(procFile(pid, name))
	if len(text) == 0 {
		threads, _ := filepath.Glob(procFile(pid, "task/*/"+name))
		for _, path := range threads {
			if other, err := proc.Here.Read(path); err == nil && len(other) > 0 {
				return file{other, nil}
			}
		}
	}
	return file{text, err}
}

// begin reads how the process was started. What may not be read stays unknown.
func begin(p *arena.Process, env, auxv file) beginning {
	began := beginning{unknown: "cannot be read", secure: proc.AtSecure(auxv.text, p.Bits)}
	if env.err != nil {
		return began
	}
	list := environ.Rejoin(proc.ParseEnviron(env.text))
	if overwritten(list, title(p.PID)) {
		began.unknown = "was overwritten by the program (setproctitle)"
		return began
	}
	began.environ, began.environKnown = list, true
	version := environ.Glibc(cmp.Or(p.LibcVersion, p.LibcAtLeast), p.Bits)
	if !version.Known() || version.Before(44) { // reads no /etc/tunables.conf
		began.setting = environ.Effective(list, version)
		return began
	}
	system := target.SystemTunables(p.PID, began.secure)
	if began.secure && len(system) > 0 { // its glibc reads nothing else
		list = nil
	}
	began.setting = environ.Effective(list, version, system...)
	return began
}

// title is whether a program's title goes on where its environment stood: then cmdline is the title, and not as long as
// the arguments that execve filled (fs/proc/base.c, get_mm_cmdline). It is not known of a first thread that has ended.
func title(pid int) target.Answer {
	stat, err := proc.ParseStat(readFile(pid, "stat").text)
	if err != nil || stat.Args == 0 {
		return target.Unknown
	}
	if stat.Args == uint64(len(readFile(pid, "cmdline").text)) {
		return target.No
	}
	return target.Yes
}

// ask has the program itself examined for a reason why a cap has no effect on it.
func (c *Cap) ask(pid int, began beginning) {
	t := examine(pid, began)
	if t.CanCap != target.No || len(t.Why) == 0 {
		return
	}
	c.Why = t.Why[0]
	if len(t.Hints) > 0 {
		c.advice = t.Hints[0]
	}
	c.advice = cmp.Or(c.advice, "'arenacap plan PROGRAM' tells what a cap can do on a program")
}

// examine looks at the program that a process runs.
func examine(pid int, began beginning) target.Target {
	path := procFile(pid, "exe")
	if name, err := os.Readlink(path); err == nil && sameFile(name, path) {
		path = name
	}
	return target.Examine(path, nil, began.environ)
}

// ownLimitSet is what to do where the program most likely sets a limit of its own, which comes before any cap: it calls
// mallopt, and its threads share fewer arenas than glibc would make for them. "" is anything else.
func (f facts) ownLimitSet(p *arena.Process) string {
	if f.libcs > 1 || f.arenas >= p.Threads || f.arenas >= f.ownLimit {
		return ""
	}
	caller := examine(p.PID, f.began).Mallopt
	if caller == "" {
		return ""
	}
	return fmt.Sprintf("%s calls mallopt, and %d threads share %d arenas: most likely it sets a limit of its own, which comes before any cap; look for M_ARENA_MAX in its source or settings",
		Printable(filepath.Base(caller)), p.Threads, f.arenas)
}

// maxAbove bounds how far above a process carriers are looked for.
const maxAbove = 4

// carrierAbove is what to do where the process was started by a carrier that takes a cap away (sudo, su), or by carriers
// behind one: in front of it arenacap would not help. A parent that is something else, or a shell at its prompt, ends the
// search: arenacap may stand behind that. "" is no such carrier.
func carrierAbove(pid int) string {
	for range maxAbove {
		text, _ := proc.Here.Read(procFile(pid, "stat"))
		s, err := proc.ParseStat(text)
		if pid = s.Parent; err != nil || pid < 2 {
			return ""
		}
		line, _ := proc.Here.Read(procFile(pid, "cmdline"))
		args := proc.ParseEnviron(line) // NULs end the words too
		if len(args) == 0 || !target.IsCarrier(args[0]) {
			return ""
		}
		switch t := target.Quick(args[0], args, nil); t.Arrives {
		case target.No:
			return t.Problem()
		case target.Unknown:
			return ""
		}
	}
	return ""
}

// spares is the address space that a cap of one arena a core would spare; nothing where a cap would not count.
func (f facts) spares(p *arena.Process, c Cap, oneACore int) uint64 {
	spared := saving(p, oneACore)
	overruled := c.Kept == No && f.libcs == 1 && f.arenas > f.allowed(f.version, c.N, 0)
	if spared == 0 || overruled || f.otherWay() != "" || c.N == 0 && f.ownLimitSet(p) != "" {
		return 0
	}
	return spared
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
