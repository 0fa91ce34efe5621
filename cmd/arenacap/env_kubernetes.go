package main

// This file has the dialect kubernetes of env: the env list of a container in a manifest. The list depends on the
// policy and the flags only, because the pod runs on another machine.

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/policy"
)

const kubernetes = "kubernetes"

func envKubernetes(c *cli.Context) error {
	p, err := lineOf(c).Overridden()
	if err != nil {
		return err
	}
	v := speaker(c)
	v.Notes(p.Notes)
	list, err := kubernetesList(p)
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write([]byte(list))
	return err
}

// kubernetesList writes the env list for a policy.
func kubernetesList(p policy.Policy) (string, error) {
	if why := notInManifest(p); why != "" {
		return "", fmt.Errorf("the env list of a manifest cannot express %s; make 'arenacap run --' the container's entry point instead", why)
	}
	if p.NeedsCores(policy.Inherited{}) {
		note := ""
		if p.Arenas.Min == 0 {
			note = builtInMin
		}
		return fmt.Sprintf(perCoreList, note), nil
	}
	if err := p.Override("budget", "off"); err != nil { // a percentage would need the memory of the machine
		return "", err
	}
	plan, err := p.Resolve(policy.Machine{})
	if err != nil {
		return "", err
	}
	test := ""
	switch plan.Mode {
	case policy.Off:
		return "env: []\n", nil
	case policy.Fixed, policy.PerCore:
		test = strconv.Itoa(plan.ArenaTest)
	}
	return fmt.Sprintf(fixedList, plan.ArenaMax, test), nil
}

// fixedList takes the cap and the value of MALLOC_ARENA_TEST. For cap = "glibc" the value is empty: glibc ignores it,
// but it replaces a MALLOC_ARENA_TEST that the container's image sets.
const fixedList = `env:
- name: MALLOC_ARENA_MAX
  value: "%d"
- name: MALLOC_ARENA_TEST
  value: %q
`

// builtInMin is a sentence in the comment of perCoreList, for a policy without min. A policy with min = 1 needs no such
// sentence, because min = 1 does not change the cap.
const builtInMin = "The built-in min = 2 is dropped: a limit of one core gives a cap of 1. "

// perCoreList is a format; its argument is builtInMin or "".
const perCoreList = `env:
# %sWithout limits.cpu, the cap is the node's allocatable CPU, rounded up.
- name: MALLOC_ARENA_MAX
  valueFrom:
    resourceFieldRef:
      resource: limits.cpu
- name: MALLOC_ARENA_TEST
  value: "1"
`

// notInManifest returns the settings of a policy that a manifest cannot express, or "".
func notInManifest(p policy.Policy) string {
	var all []string
	add := func(bad bool, format string, args ...any) {
		if bad {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	a := p.Arenas
	add(a.HugePages == "off", `huge_pages = "off", because the list would replace the image's GLIBC_TUNABLES`)
	add(a.Inherited == "keep" && a.Cap.From != "--arenas", `inherited = "keep", because the list replaces what the image sets`)
	if a.Cap.Mode == "" || a.Cap.Mode == policy.PerCore {
		add(p.NeedsProgram(), "max_reserved, which depends on the program")
	}
	if p.NeedsCores(policy.Inherited{}) {
		add(a.Cap.Mode != "" && a.Cap.String() != "1/core", `cap = %q (%s), because a manifest cannot multiply limits.cpu`, a.Cap, a.Cap.From)
		add(a.Cores.Rule == "online" || a.Cores.Rule == "affinity", "cores = %q, because a manifest can refer only to limits.cpu", a.Cores.Rule)
		add(a.Min > 1, "min = %d, because a manifest cannot clamp limits.cpu", a.Min)
		add(a.Max != 0, "max = %d, because a manifest cannot clamp limits.cpu", a.Max)
		add(a.Test > 1, "test = %d, because it has to be less than the cap, which depends on limits.cpu", a.Test)
	}
	return strings.Join(all, "; ")
}
