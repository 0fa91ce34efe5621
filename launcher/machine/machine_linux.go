// Package machine finds what this machine gives: cores from each source, and memory. It finds and never
// decides: what counts is the policy's rule. Nothing here is an error; a fact that could not be found says
// why. The root of /proc and /sys is an argument, so that a test can be any machine.
//
// Known limits: see package cgroup.
package machine

import (
	"fmt"
	"strings"

	"arenacap/launcher/proc"
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

// host is the machine whose files are read.
type host struct{ proc.Root }

// Find looks up what is needed on the machine whose /proc and /sys are below root: "/" for this one.
// What was not needed says so in its Why, as does what only lib could tell where lib is nil. Inherited is left
// zero: that is the environment's to tell.
func Find(root string, need Need, lib Host) policy.Machine {
	h := host{proc.Root(strings.TrimRight(root, "/"))}
	m := policy.Machine{
		Online:   policy.Reading[int]{Why: not},
		Affinity: policy.Reading[int]{Why: not},
		Library:  policy.Reading[int]{Why: not},
		Quota:    policy.Reading[float64]{Why: not},
		Memory:   policy.Reading[uint64]{Why: not},
		Address:  policy.Reading[uint64]{Why: not},
	}
	if h.Root == "" { // no file of a fake root has it
		m.Address = Address(0)
	}
	var groups groups
	if need&(Cores|Memory) != 0 {
		groups = h.groups()
	}
	if need&Cores != 0 {
		var online proc.CPUList
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

// in says in which file an error was found.
func in(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// reasons joins what went wrong at one source and then at the next.
func reasons(errs ...error) string {
	var all []string
	for _, err := range errs {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	return strings.Join(all, "; ")
}
