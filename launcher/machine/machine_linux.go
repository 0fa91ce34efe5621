// Package machine looks up the number of cores of this machine, from several sources, its memory, its mode of huge
// pages, and the address-space limit of a process. It does not decide which source counts; the policy does. Find
// returns no error: a fact that is unknown carries the reason why. The root of /proc and /sys is an argument, so that
// tests can describe any machine.
//
// Known limitations: see package cgroup.
package machine

import (
	"fmt"
	"strings"

	"arenacap/launcher/proc"
	"arenacap/policy"
)

// Need is a set of facts to look up. A launch under a fixed cap, without limits in percent, needs none.
type Need uint8

// These are the facts that can be looked up. Each costs a few small file reads.
const (
	Cores   Need = 1 << iota // online CPUs, affinity and CPU quota
	Memory                   // the smallest memory limit, or the host's memory
	Library                  // the number of CPUs that the library gopsutil reports, for comparison
)

// Host provides the facts that come from the library gopsutil; package gopsutil below implements it. It is an argument, so
// that this package does not import the library: initialising gopsutil takes 0.25 ms at each start, and a launch that needs
// only Cores does without it.
type Host interface {
	CPUs() (int, error)
	Memory() (bytes uint64, err error)
}

const not = "not looked up"

// host reads the files of a machine.
type host struct{ proc.Root }

// Find looks up facts on the machine whose /proc and /sys are below root, "/" for this machine. A fact that is not
// needed, or that needs lib while lib is nil, gets the Why "not looked up". For this machine, Find always looks up the
// address-space limit of this process. Inherited stays zero, because it comes from the environment.
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
	if h.Root == "" { // only for the real machine, since a fake root cannot replace this system call
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

// The function "in" puts the path of a file in front of an error.
func in(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// reasons joins the errors of several sources.
func reasons(errs ...error) string {
	var all []string
	for _, err := range errs {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	return strings.Join(all, "; ")
}
