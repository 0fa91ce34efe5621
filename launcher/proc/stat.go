// /proc/PID/stat.

package proc

import (
	"bytes"
	"fmt"
	"math"
	"time"
)

// Stat is what is used of /proc/PID/stat and /proc/PID/task/TID/stat.
type Stat struct {
	Name    string // of any bytes; at most 15, more in a thread of the kernel
	State   byte   // 'R', 'S', 'D', 'Z' …
	Parent  int    // PID; 0 is none in this PID namespace
	Kernel  bool   // a thread of the kernel
	Threads int
	Started time.Duration // since boot; with the PID it names a process for good
	Virtual uint64        // VmSize in bytes
	Args    uint64        // bytes that execve(2) filled with arguments; 0 is not known
}

// Ended reports a zombie ('Z') or one that is being reaped ('X', from Linux 2.6.33 to 3.13 also 'x').
func (s Stat) Ended() bool { return s.State == 'Z' || s.State == 'X' || s.State == 'x' }

// Tick is the unit of times in /proc: USER_HZ is 100 on every architecture that Go runs on.
const Tick = time.Second / 100

// ParseStat reads one line (proc_pid_stat(5)); the fields are counted from 1:
//
//	1 pid, 2 (comm), 3 state, 4 ppid, … 9 flags, … 20 num_threads, … 22 starttime in ticks since boot, 23 vsize in bytes, …
//	48 and 49 (Linux 3.5) the start and the end of the arguments, 0 where they may not be known
//
// comm is in parentheses and may hold blanks, parentheses and newlines: the last ")" ends it.
func ParseStat(text []byte) (Stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("stat %.80q has no name in parentheses", text)
	}
	fields := bytes.Fields(text[end+1:])
	const first, last = 3, 23
	if len(fields) <= last-first || len(fields[0]) != 1 {
		return Stat{}, fmt.Errorf("stat %.80q has too few fields", text)
	}
	ok := true
	field := func(i, bits int) uint64 {
		n, isNumber := number(fields[i-first], bits)
		ok = ok && isNumber
		return n
	}
	const kthread = 0x00200000 // PF_KTHREAD (include/linux/sched.h)
	s := Stat{
		Name: string(text[open+1 : end]), State: fields[0][0], Parent: int(field(4, 31)), Kernel: field(9, 32)&kthread != 0,
		Threads: int(field(20, 31)), Started: time.Duration(min(field(22, 64), math.MaxInt64/uint64(Tick))) * Tick, Virtual: field(23, 64),
	}
	if len(fields) > 49-first {
		s.Args = field(49, 64) - field(48, 64)
	}
	if !ok {
		return Stat{}, fmt.Errorf("stat %.80q: one of the fields 4, 9, 20, 22, 23, 48 and 49 is not a number", text)
	}
	return s, nil
}
