// Package inspect answers two questions about a live process from outside: does it keep the cap on its arenas, and what
// does its virtual size consist of?
//
// It combines the arenas that package arena finds with the settings that package environ decodes. A process keeps its cap
// if the cap is in force and the number of arenas does not exceed it. cap.go judges this and sentence.go writes the text;
// both only compute. List inspects every process of the machine.
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
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/launcher/proc"
	"arenacap/launcher/target"
	"arenacap/policy"
	"arenacap/policy/text"
)

// Report is the result of Look for one process.
type Report struct {
	Process *arena.Process
	Cap     Cap
	Verdict string // the largest parts of the virtual size, in one sentence
	Upgrade string // what the newest glibc would change, or ""
	Next    string // what to type or to do next, or ""
}

// Look inspects a live process. The argument "wanted" is a policy that should be in force, or nil to judge the settings
// that the process's own glibc read. The policy is resolved for this machine and the process's environment, as
// 'arenacap run' would do; a process in another container may have been given other cores. Look returns the errors of
// arena.Inspect, and an error if the policy cannot be resolved.
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
	if f.wanted == nil || r.Cap.N != 0 { // if the policy wants no cap, do not advise one
		r.Next = next(p, r.Cap, oneACore(m))
	}
	if r.Next == "" && hugeMatters(p) {
		r.Next = hugeAdvice(began.environ, f.version, machine.HugePageMode("/"))
	}
	return r, nil
}

// resolve returns the plan that the policy gives for this process; the budget is left out.
func resolve(wanted policy.Policy, m policy.Machine, env []string) (policy.Plan, error) {
	wanted.Budget = policy.Builtin().Budget
	m.Inherited = environ.Inherited(env)
	return wanted.Resolve(m)
}

// oneACore returns the cap of the built-in policy, with which savings are calculated.
func oneACore(m policy.Machine) int {
	m.Inherited = policy.Inherited{}
	plan, err := policy.Builtin().Resolve(m)
	if err != nil { // the number of cores is not known
		return 2
	}
	return plan.ArenaMax
}

// readTries is how many times a process is read at most, if it ends or executes another program during each reading.
const readTries = 3

// read reads the process and what it was started with. It compares auxv before and after to detect an exec in between:
// auxv has addresses that the kernel randomizes at each exec.
func read(pid int) (p *arena.Process, _ beginning, err error) {
	for range readTries {
		before := readFile(pid, "auxv")
		env := readFile(pid, "environ")
		p, err = arena.Inspect(pid)
		if errors.Is(err, syscall.ESRCH) { // the process has ended, or has executed another program
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
	return p, beginning{unknown: "changes all the time: it executes one program after another"}, nil
}

// file is the contents of a file of /proc/PID, or the error.
type file struct {
	text []byte
	err  error
}

// readFile reads a file of /proc/PID about the address space, such as "environ". If the first thread has ended
// (pthread_exit(3) in main), that file is empty; then the file of another thread is read.
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

// begin determines what the process was started with.
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
	version := glibc.Reported(cmp.Or(p.LibcVersion, p.LibcAtLeast), p.Bits)
	if !version.Known() || version.Before(44) { // glibc before 2.44 does not read /etc/tunables.conf
		began.setting = environ.Effective(list, version)
		return began
	}
	system := target.SystemTunables(p.PID, began.secure)
	if began.secure && len(system) > 0 { // in secure mode glibc reads only /etc/tunables.conf
		list = nil
	}
	began.setting = environ.Effective(list, version, system...)
	return began
}

// title reports whether the program's title extends into the memory of its environment: then cmdline is the title and
// differs in length from the arguments of execve (fs/proc/base.c, get_mm_cmdline). The answer is unknown if the first
// thread has ended.
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

// ask examines the program file for the reason why the cap has no effect, and fills in Why and the advice.
func (c *Cap) ask(pid int, began beginning) {
	t := examine(pid, began)
	if t.CanCap != target.No || len(t.Why) == 0 {
		return
	}
	c.Why = t.Why[0]
	if len(t.Hints) > 0 {
		c.advice = t.Hints[0]
	}
	c.advice = cmp.Or(c.advice, "'arenacap plan PROGRAM' shows whether a cap works for a program")
}

// examine examines the program file of a process.
func examine(pid int, began beginning) target.Target {
	path := procFile(pid, "exe")
	if name, err := os.Readlink(path); err == nil && proc.SameFile(name, path) {
		path = name
	}
	return target.Examine(path, nil, began.environ)
}

// ownLimitSet returns the advice for a program that most likely sets its own limit, which overrides any cap: it calls mallopt,
// and its threads share fewer arenas than glibc would make for them. It is "" for other programs, and if the cap in the
// process's environment explains the number of arenas.
func (f facts) ownLimitSet(p *arena.Process) string {
	own := f.began.setting.Max
	if f.libcs > 1 || f.arenas >= p.Threads || f.arenas >= f.ownLimit || own.OK && !own.Unlimited() && f.arenas == int(own.N) {
		return ""
	}
	caller := examine(p.PID, f.began).Mallopt
	if caller == "" {
		return ""
	}
	return fmt.Sprintf("%s calls mallopt, and %d threads share %d arenas: most likely it sets its own limit, which overrides any cap; look for M_ARENA_MAX in its source or settings",
		text.Quoted(filepath.Base(caller)), p.Threads, f.arenas)
}

// maxAbove is how many ancestors of a process are checked for carriers: programs such as sudo and env that start another
// program.
const maxAbove = 4

// carrierAbove returns the advice if the process was started by a carrier that removes the cap (sudo, su), directly or
// through other carriers: arenacap in front of the carrier would have no effect. The search ends at a parent that is an
// interactive shell or not a carrier, since arenacap can be put after such a parent. "" means that no carrier removes the
// cap.
func carrierAbove(pid int) string {
	for range maxAbove {
		stat, err := proc.Here.Stat(pid)
		if pid = stat.Parent; err != nil || pid < 2 {
			return ""
		}
		line, _ := proc.Here.Read(procFile(pid, "cmdline"))
		args := proc.ParseEnviron(line) // arguments end with NULs too
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

// spares returns the address space in bytes that a cap of one arena a core would save; 0 if a cap would have no effect.
func (f facts) spares(p *arena.Process, c Cap, oneACore int) uint64 {
	spared := saving(p, oneACore)
	overruled := c.Kept == No && f.libcs == 1 && f.arenas > f.allowed(f.version, c.N, 0)
	if spared == 0 || overruled || f.otherWay() != "" || c.N == 0 && f.ownLimitSet(p) != "" {
		return 0
	}
	return spared
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
