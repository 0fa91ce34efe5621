// This file reads the files of a group of cgroup version 2.

package cgroup

import (
	"fmt"
	"strings"

	"arenacap/launcher/proc"
)

type v2 struct{}

// isRoot: only the root has no cgroup.type (cgroups(7); Linux: kernel/cgroup/cgroup.c, CFTYPE_NOT_ON_ROOT).
func (v2) isRoot(root proc.Root, folder string) bool {
	return root.Exists(folder+"/cgroup.controllers") && !root.Exists(folder+"/cgroup.type")
}

func (v2) cpu(root proc.Root, folder string) (Limit, error) {
	return readLimit(root, folder+"/cpu.max", parseCPUMax)
}

// parseCPUMax parses cpu.max: the CPU time per period and the period, in microseconds (cgroup-v2.rst, "CPU Interface
// Files"):
//
//	150000 100000
//	max 100000     no limit
func parseCPUMax(s string) (Limit, error) {
	quota, period, two := strings.Cut(s, " ")
	den, ok := number(period)
	if two && quota == "max" && ok {
		return Limit{}, nil
	}
	num, ok1 := number(quota)
	if !ok || !ok1 || num == 0 || den == 0 {
		return Limit{}, fmt.Errorf(`%.60q is not "QUOTA PERIOD" or "max PERIOD" in microseconds`, s)
	}
	return Limit{Num: num, Den: den}, nil
}

func (v2) memory(root proc.Root, folder string) (Limit, error) {
	return readLimit(root, folder+"/memory.max", parseMemoryMax)
}

// parseMemoryMax parses memory.max, in bytes (cgroup-v2.rst, "Memory Interface Files"):
//
//	1073741824
//	max            no limit
func parseMemoryMax(s string) (Limit, error) {
	if s == "max" {
		return Limit{}, nil
	}
	n, ok := number(s)
	if !ok || n == 0 {
		return Limit{}, fmt.Errorf(`%.60q is not "max" or a number of bytes above 0`, s)
	}
	return Limit{Num: n, Den: 1}, nil
}

func (v2) memorySum(proc.Root, string) (l Limit, ok bool, err error) { return Limit{}, false, nil }
