package machine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// cpuRange is the CPUs from first to last, both included.
type cpuRange struct{ first, last int }

// maxCPU is far above any kernel's NR_CPUS (8192 on x86-64); it keeps a sum of ranges from overflowing.
const maxCPU = 1 << 20

// parseCPUList reads the kernel's list of CPUs, ranges and single numbers in rising order:
//
//	0-3,8,10-11
//
// It is the format of /sys/devices/system/cpu/online and of Cpus_allowed_list (cpuset(7), "List format").
// An empty list is an error: some CPU is reading it.
func parseCPUList(s string) ([]cpuRange, error) {
	list := make([]cpuRange, 0, 4)
	next := 0
	for part := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 32)
		last, err2 := strconv.ParseUint(high, 10, 32)
		if err1 != nil || err2 != nil || int(first) < next || last < first || last > maxCPU {
			return nil, fmt.Errorf(`%.60q is no list of CPUs such as "0-3,8"`, s)
		}
		list = append(list, cpuRange{int(first), int(last)})
		next = int(last) + 1
	}
	return list, nil
}

// countCPUs is the number of CPUs in the list.
func countCPUs(list []cpuRange) int {
	n := 0
	for _, r := range list {
		n += r.last - r.first + 1
	}
	return n
}

// countCommon is the number of CPUs that are in both lists.
func countCommon(a, b []cpuRange) int {
	n := 0
	for _, x := range a {
		for _, y := range b {
			n += max(0, min(x.last, y.last)-max(x.first, y.first)+1)
		}
	}
	return n
}

// parseStat counts the online CPUs in /proc/stat: after the line of sums stands one line a CPU, in clock
// ticks (proc_stat(5)):
//
//	cpu  10132153 290696 3084719 46828483 16683 0 25195 0 175628 0
//	cpu0 1393280 32966 572056 13343292 6130 0 17875 0 23933 0
//	intr 114930548 …
func parseStat(s string) (int, error) {
	n := 0
	for line := range strings.Lines(s) {
		number, ok := strings.CutPrefix(line, "cpu")
		if ok && number != "" && number[0] >= '0' && number[0] <= '9' {
			n++
		}
	}
	if n == 0 {
		return 0, errors.New("it has no cpuN line")
	}
	return n, nil
}

// parseAllowed finds the list of CPUs that a process may run on in its status (proc_pid_status(5)):
//
//	Cpus_allowed_list:	0-3,8
func parseAllowed(s string) (list []cpuRange, text string, err error) {
	for line := range strings.Lines(s) {
		if text, ok := strings.CutPrefix(line, "Cpus_allowed_list:\t"); ok {
			list, err = parseCPUList(text)
			return list, strings.TrimSuffix(text, "\n"), err
		}
	}
	return nil, "", errors.New("it has no line Cpus_allowed_list")
}
