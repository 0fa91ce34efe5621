// This file parses /proc/stat.

package proc

import (
	"bytes"
	"errors"
)

// OnlineCPUs counts the online CPUs in /proc/stat (proc_stat(5)). After the line of sums there is one line per CPU, in
// clock ticks:
//
//	cpu  10132153 290696 3084719 46828483 16683 0 25195 0 175628 0
//	cpu0 1393280 32966 572056 13343292 6130 0 17875 0 23933 0
//	intr 114930548 …
func OnlineCPUs(stat []byte) (int, error) {
	n := 0
	for line := range bytes.Lines(stat) {
		number, ok := bytes.CutPrefix(line, []byte("cpu"))
		if ok && len(number) > 0 && number[0] >= '0' && number[0] <= '9' {
			n++
		}
	}
	if n == 0 {
		return 0, errors.New("the file contains no cpuN line")
	}
	return n, nil
}
