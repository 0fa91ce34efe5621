// This file parses the kernel's lists of CPUs, in /sys/devices/system/cpu/online and in the line Cpus_allowed_list of
// /proc/PID/status.

package proc

import (
	"fmt"
	"strconv"
	"strings"
)

// CPUList is a set of CPUs: ranges in ascending order.
type CPUList []cpuRange

// cpuRange is a range of CPU numbers; the CPU "last" belongs to it.
type cpuRange struct{ first, last int }

// maxCPU is far above any kernel's NR_CPUS (8192 on x86-64), and small enough that Count cannot overflow.
const maxCPU = 1 << 20

// ParseCPUList parses ranges and single numbers in ascending order (cpuset(7), "List format"):
//
//	0-3,8,10-11
//
// This is the format of /sys/devices/system/cpu/online and of Cpus_allowed_list in /proc/PID/status. An empty list is
// an error, because at least the CPU that runs this code is online and allowed.
func ParseCPUList(text string) (CPUList, error) {
	list := make(CPUList, 0, 4)
	next := 0
	for part := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 32)
		last, err2 := strconv.ParseUint(high, 10, 32)
		if err1 != nil || err2 != nil || int(first) < next || last < first || last > maxCPU {
			return nil, fmt.Errorf(`%.60q is not a CPU list such as "0-3,8"`, text)
		}
		list = append(list, cpuRange{int(first), int(last)})
		next = int(last) + 1
	}
	return list, nil
}

// Count is the number of CPUs in the list.
func (l CPUList) Count() int {
	n := 0
	for _, r := range l {
		n += r.last - r.first + 1
	}
	return n
}

// Common is the number of CPUs in both lists.
func (l CPUList) Common(with CPUList) int {
	n := 0
	for _, x := range l {
		for _, y := range with {
			n += max(0, min(x.last, y.last)-max(x.first, y.first)+1)
		}
	}
	return n
}
