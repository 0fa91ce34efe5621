// This file parses /proc/PID/stat.

package proc

import (
	"bytes"
	"fmt"
	"math"
	"time"
)

// Stat holds the fields of /proc/PID/stat and /proc/PID/task/TID/stat that are used here.
type Stat struct {
	Name    string // any bytes; at most 15, more for a kernel thread
	State   byte   // 'R', 'S', 'D', 'Z' …
	Parent  int    // PID; 0 is a parent outside this PID namespace, or none
	Kernel  bool   // kernel thread
	Threads int
	Started time.Duration // start time since boot; PID and Started identify a process even if the PID is reused
	Virtual uint64        // VmSize in bytes
	Args    uint64        // size of the arguments of execve(2) in bytes; 0 is unknown
}

// Ended reports a zombie ('Z') or a process that is being reaped ('X'; 'x' too from Linux 2.6.33 to 3.13).
func (s Stat) Ended() bool { return s.State == 'Z' || s.State == 'X' || s.State == 'x' }

// Tick is the unit of times in /proc: USER_HZ is 100 on every architecture that Go runs on.
const Tick = time.Second / 100

// ParseStat parses the file's one line (proc_pid_stat(5)); fields are numbered from 1:
//
//	1 pid, 2 (comm), 3 state, 4 ppid, … 9 flags, … 20 num_threads, … 22 starttime in ticks since boot, 23 vsize in bytes, …
//	48 and 49 (Linux 3.5) the start and the end of the arguments, 0 without permission
//
// comm is in parentheses and may contain spaces, parentheses and newlines; the last ")" ends it.
func ParseStat(text []byte) (Stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("stat %.80q contains no name in parentheses", text)
	}
	fields := make([][]byte, 0, 50) // a constant capacity keeps the array on the stack
	for field := range bytes.FieldsSeq(text[end+1:]) {
		fields = append(fields, field)
	}
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
