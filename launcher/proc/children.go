// This file parses /proc/PID/task/TID/children.

package proc

import "bytes"

// ParseChildren parses the PIDs of a thread's children, each followed by a space (proc_tid_children(5)). A 0, a process
// outside this PID namespace, is skipped.
func ParseChildren(text []byte) (pids []int) {
	for field := range bytes.FieldsSeq(text) {
		if pid, ok := number(field, 31); ok && pid > 0 {
			pids = append(pids, int(pid))
		}
	}
	return pids
}
