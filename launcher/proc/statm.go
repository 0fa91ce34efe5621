// This file parses /proc/PID/statm.

package proc

import (
	"math"
	"os"
)

// pages is an amount of memory in pages of this machine.
type pages uint64

var pageSize = uint64(os.Getpagesize())

// Bytes is the amount in bytes.
func (p pages) Bytes() uint64 { return uint64(p) * pageSize }

// Statm holds the fields of /proc/PID/statm that are used here.
type Statm struct {
	Size     pages // VmSize
	Resident pages // VmRSS
	Data     pages // private writable memory, including stacks
}

// ParseStatm parses the file's one line (proc_pid_statm(5)) without allocating; ok is false if it is malformed:
//
//	size resident shared text lib data dt
//
// data is mm->data_vm + mm->stack_vm (Linux: fs/proc/task_mmu.c, task_statm); lib and dt are always 0. All fields are 0
// for a zombie and for a process whose first thread has ended.
func ParseStatm(line []byte) (s Statm, ok bool) {
	var n uint64
	field, digits := 0, 0
	for _, c := range line {
		digit := uint64(c - '0')
		switch {
		case c >= '0' && c <= '9' && n <= (math.MaxUint64-digit)/10:
			n = n*10 + digit
			digits++
			continue
		case digits == 0 || c != ' ' && c != '\n':
			return Statm{}, false
		}
		switch field {
		case 0:
			s.Size = pages(n)
		case 1:
			s.Resident = pages(n)
		case 5:
			s.Data = pages(n)
		}
		n, digits = 0, 0
		field++
	}
	return s, field+min(digits, 1) >= 7
}
