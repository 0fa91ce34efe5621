// Package machine finds what this machine gives: cores from each source, and memory. It finds and never
// decides: what counts is the policy's rule. Nothing here is an error; a fact that could not be found says
// why. The root of /proc and /sys is an argument, so that a test can be any machine.
//
// Known limits: a control group above the namespace or above every mount is out of sight, and so is its CPU
// quota (the kernel tells a sum for memory only, and only with cgroup v1). memory.high is not a limit but a
// brake, and does not count.
package machine

import (
	"fmt"
	"strings"

	"arenacap/policy"
)

// Need says which facts a caller needs. A launch under a fixed cap needs none.
type Need uint8

// The facts. Each costs a few small reads.
const (
	Cores   Need = 1 << iota // online CPUs, affinity and CPU quota
	Memory                   // the tightest memory limit, or the host's memory
	Library                  // the library's count of CPUs, for comparison
)

// Host is what a library counts: package gopsutil below. It is an argument, because a program that links that
// library pays a quarter of a millisecond at each start for its initialisation, and a launch needs only Cores.
type Host interface {
	CPUs() (int, error)
	Memory() (bytes uint64, err error)
}

const not = "not looked up"

// Find looks up what is needed on the machine whose /proc and /sys are below root: "/" for this one.
// What was not needed says so in its Why, as does what only lib could tell where lib is nil. Inherited is left
// zero: that is the environment's to tell.
func Find(root string, need Need, lib Host) policy.Machine {
	h := newHost(root)
	m := policy.Machine{
		Online:   policy.Count{Why: not},
		Affinity: policy.Count{Why: not},
		Library:  policy.Count{Why: not},
		Quota:    policy.Quota{Why: not},
		Memory:   policy.Amount{Why: not},
	}
	var groups groups
	if need&(Cores|Memory) != 0 {
		groups = h.groups()
	}
	if need&Cores != 0 {
		var online []cpuRange
		m.Online, online = h.online()
		m.Affinity = h.affinity(online)
		m.Quota = h.quota(groups)
	}
	if need&Memory != 0 {
		m.Memory = h.memory(groups, lib)
	}
	if need&Library != 0 && lib != nil {
		m.Library = library(lib)
	}
	return m
}

func newHost(root string) *host {
	return &host{root: strings.TrimRight(root, "/")}
}

const (
	onlineFile = "/sys/devices/system/cpu/online"
	statFile   = "/proc/stat"
	statusFile = "/proc/self/status"
)

// online counts the CPUs as most glibc versions do for their own limit: sysfs, else /proc/stat
// (get_nprocs, sysdeps/unix/sysv/linux/getsysstats.c). The list is nil where only their number is known.
func (h *host) online() (policy.Count, []cpuRange) {
	text, err := h.read(onlineFile)
	if err == nil {
		var list []cpuRange
		if list, err = parseCPUList(text); err == nil {
			return policy.Count{N: countCPUs(list), From: from(onlineFile, text)}, list
		}
		err = in(onlineFile, err)
	}
	text, err2 := h.read(statFile)
	if err2 != nil {
		return policy.Count{Why: reasons(err, err2)}, nil
	}
	n, err2 := parseStat(text)
	if err2 != nil {
		return policy.Count{Why: reasons(err, in(statFile, err2))}, nil
	}
	return policy.Count{N: n, From: statFile + ": cpuN lines"}, nil
}

// affinity counts the CPUs that the target may run on. The system call can be asked about this machine only,
// and a seccomp filter may forbid it; then the status file tells the same. The call leaves out CPUs that
// are offline and the file does not, so the file is laid over the online ones.
func (h *host) affinity(online []cpuRange) policy.Count {
	var err error
	if h.root == "" {
		var n int
		if n, err = affinity(); err == nil {
			return policy.Count{N: n, From: "sched_getaffinity"}
		}
	}
	text, err2 := h.read(statusFile)
	if err2 != nil {
		return policy.Count{Why: reasons(in("sched_getaffinity", err), err2)}
	}
	allowed, text, err2 := parseAllowed(text)
	if err2 != nil {
		return policy.Count{Why: reasons(in("sched_getaffinity", err), in(statusFile, err2))}
	}
	n := countCPUs(allowed)
	if online != nil {
		n = countCommon(allowed, online)
	}
	if n == 0 {
		return policy.Count{Why: fmt.Sprintf("%s allows the CPUs %s and none of them is online", statusFile, text)}
	}
	return policy.Count{N: n, From: from(statusFile, "Cpus_allowed_list "+text)}
}

func library(lib Host) policy.Count {
	n, err := lib.CPUs()
	switch {
	case err != nil:
		return policy.Count{Why: "gopsutil: " + err.Error()}
	case n == 0:
		return policy.Count{Why: "gopsutil counted no CPU"}
	}
	return policy.Count{N: n, From: "gopsutil"}
}

// quota is the tightest CPU bandwidth. CPUs are exact for every whole number: one division of two integers.
func (h *host) quota(g groups) policy.Quota {
	l, hidden := h.find(g, "cpu")
	best, bad := l.tightest(h.cpuLimit)
	bad = join(hidden, bad)
	if best.den == 0 {
		return policy.Quota{Why: bad}
	}
	return policy.Quota{CPUs: float64(best.num) / float64(best.den), From: best.from + notCounted(bad)}
}

const meminfoFrom = "/proc/meminfo: MemTotal"

// memory is the tightest memory limit, or the host's memory where that is less.
func (h *host) memory(g groups, lib Host) policy.Amount {
	l, hidden := h.find(g, "memory")
	best, bad := l.tightest(h.memoryLimit)
	best, err := h.hierarchical(l, best)
	bad = join(hidden, join(bad, reasons(err)))
	total, why := total(lib)
	switch {
	case best.den != 0 && (total == 0 || best.num < total):
		return policy.Amount{Bytes: best.num, From: best.from + notCounted(bad)}
	case total != 0:
		return policy.Amount{Bytes: total, From: meminfoFrom + notCounted(bad)}
	}
	return policy.Amount{Why: join(why, bad)}
}

// total is the host's memory in bytes, or 0 and why it is not known.
func total(lib Host) (uint64, string) {
	if lib == nil {
		return 0, not
	}
	bytes, err := lib.Memory()
	switch {
	case err != nil:
		return 0, err.Error()
	case bytes == 0:
		return 0, "gopsutil found no MemTotal in /proc/meminfo"
	}
	return bytes, ""
}
