package watch

import "math"

// statm is a line of /proc/PID/statm, in pages (proc_pid_statm(5)):
//
//	size resident shared text lib data dt
//
// size is VmSize; resident is VmRSS; data is private writable memory, stacks included (mm->data_vm +
// mm->stack_vm, Linux: fs/proc/task_mmu.c, task_statm); lib and dt are always 0. All are 0 in a zombie and
// in a process whose first thread has ended.
type statm struct{ size, resident, data uint64 }

// parseStatm reads one line without allocating. ok is false where it is malformed.
func parseStatm(line []byte) (s statm, ok bool) {
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
			return statm{}, false
		}
		switch field {
		case 0:
			s.size = n
		case 1:
			s.resident = n
		case 5:
			s.data = n
		}
		n, digits = 0, 0
		field++
	}
	return s, field+min(digits, 1) >= 7
}
