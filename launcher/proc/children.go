// /proc/PID/task/TID/children.

package proc

import "bytes"

// ParseChildren reads the PIDs of a thread's children, with a blank behind each (proc_tid_children(5)). A 0 is a process
// outside this PID namespace and is left out.
func ParseChildren(text []byte) (pids []int) {
	for field := range bytes.FieldsSeq(text) {
		if pid, ok := number(field, 31); ok && pid > 0 {
			pids = append(pids, int(pid))
		}
	}
	return pids
}
