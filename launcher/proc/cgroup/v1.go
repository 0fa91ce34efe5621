// This file reads the files of a group of cgroup version 1.

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"arenacap/launcher/proc"
)

type v1 struct{}

// isRoot: only the root has cgroup.sane_behavior (Linux: kernel/cgroup/cgroup-v1.c, CFTYPE_ONLY_ON_ROOT).
func (v1) isRoot(root proc.Root, folder string) bool {
	return root.Exists(folder + "/cgroup.sane_behavior")
}

// cpu reads the period only if there is a quota.
func (v1) cpu(root proc.Root, folder string) (Limit, error) {
	quotaFile := folder + "/cpu.cfs_quota_us"
	quota, err := readLine(root, quotaFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && quota == unlimitedCFS {
		return Limit{}, nil
	}
	if err != nil {
		return Limit{}, err
	}
	period, err := readLine(root, folder+"/cpu.cfs_period_us")
	if err != nil {
		return Limit{}, err
	}
	l, err := parseCFS(quota, period)
	if err != nil {
		return Limit{}, fmt.Errorf("%s: %w", quotaFile, err)
	}
	l.From = quotaFile + ": " + quota + ", cpu.cfs_period_us: " + period
	return l, nil
}

// unlimitedCFS in cpu.cfs_quota_us means no limit.
const unlimitedCFS = "-1"

// parseCFS parses cpu.cfs_quota_us and cpu.cfs_period_us, in microseconds (sched-bwc.rst).
func parseCFS(quota, period string) (Limit, error) {
	if quota == unlimitedCFS {
		return Limit{}, nil
	}
	num, ok1 := number(quota)
	den, ok2 := number(period)
	if !ok1 || !ok2 || num == 0 || den == 0 {
		return Limit{}, fmt.Errorf("quota %.30q, period %.30q: expected numbers of microseconds above 0, or the quota -1", quota, period)
	}
	return Limit{Num: num, Den: den}, nil
}

func (v1) memory(root proc.Root, folder string) (Limit, error) {
	return readLimit(root, folder+"/memory.limit_in_bytes", parseMemoryLimit)
}

// unlimitedMemory is the smallest value that means no limit. For no limit the kernel shows the largest int64, rounded
// down to a multiple of the page size, which is at most 64 KiB.
const unlimitedMemory = 1<<63 - 1<<16

// parseMemoryLimit parses memory.limit_in_bytes (cgroup-v1/memory.rst):
//
//	1073741824
//	9223372036854771712    no limit, with pages of 4 KiB
func parseMemoryLimit(s string) (Limit, error) {
	n, ok := number(s)
	switch {
	case !ok || n == 0:
		return Limit{}, fmt.Errorf("%.60q is not a number of bytes above 0", s)
	case n >= unlimitedMemory:
		return Limit{}, nil
	}
	return Limit{Num: n, Den: 1}, nil
}

func (v1) memorySum(root proc.Root, folder string) (l Limit, ok bool, err error) {
	path := folder + "/memory.stat"
	text, err := root.Read(path)
	if err != nil {
		return Limit{}, false, nil // the file is optional: without it Memory uses the limits in the groups' folders
	}
	if l, ok, err = parseMemoryStat(string(text)); err != nil {
		return Limit{}, false, fmt.Errorf("%s: %w", path, err)
	}
	l.From = fmt.Sprintf("%s: %s%d", path, hierarchicalLimit, l.Num)
	return l, ok, nil
}

const hierarchicalLimit = "hierarchical_memory_limit "

// parseMemoryStat finds hierarchical_memory_limit in memory.stat (cgroup-v1/memory.rst); ok is false without such a line:
//
//	hierarchical_memory_limit 1073741824
func parseMemoryStat(s string) (l Limit, ok bool, err error) {
	for line := range strings.Lines(s) {
		if value, found := strings.CutPrefix(line, hierarchicalLimit); found {
			l, err = parseMemoryLimit(strings.TrimSuffix(value, "\n"))
			return l, true, err
		}
	}
	return Limit{}, false, nil
}
