package watch

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
	var field [7]uint64
	for i := range field {
		if field[i], line, ok = parseNumber(line); !ok {
			return statm{}, false
		}
	}
	return statm{size: field[0], resident: field[1], data: field[5]}, true
}

// parseNumber takes a decimal number and the blank or line's end after it.
func parseNumber(text []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
		digit := uint64(text[i] - '0')
		if n > (1<<64-1-digit)/10 {
			return 0, nil, false
		}
		n = n*10 + digit
	}
	if i == 0 || i < len(text) && text[i] != ' ' && text[i] != '\n' {
		return 0, nil, false
	}
	return n, text[min(i+1, len(text)):], true
}
