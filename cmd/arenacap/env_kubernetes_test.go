package main

// These tests check the dialect kubernetes of env.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/policy"
)

func TestKubernetesList(t *testing.T) {
	fixed := func(cap, test string) string {
		return "env:\n- name: MALLOC_ARENA_MAX\n  value: \"" + cap + "\"\n- name: MALLOC_ARENA_TEST\n  value: \"" + test + "\"\n"
	}
	perCore := fmt.Sprintf(perCoreList, builtInMin)
	for _, c := range []struct{ policy, want, refused string }{
		{policy: "", want: perCore},
		{policy: `cap = "1/core"`, want: perCore},
		{policy: "cap = \"1/core\"\ncores = \"auto\"\ntest = 1", want: perCore},
		{policy: "cap = \"1/core\"\nmin = 1", want: fmt.Sprintf(perCoreList, "")},
		{policy: "cap = 4", want: fixed("4", "3")},
		{policy: "cap = 1", want: fixed("1", "1")},
		{policy: "cap = 4\ntest = 2", want: fixed("4", "2")},
		{policy: "cap = 4\nmin = 6\nmax = 8\nmax_reserved = \"1GiB\"\ncores = \"online\"", want: fixed("4", "3")}, // min, max and max_reserved clamp per-core caps only
		{policy: "cap = \"1.5/core\"\ncores = 5\nmax = 6", want: fixed("6", "5")},
		{policy: "cores = 1", want: fixed("2", "1")}, // the built-in min applies
		{policy: "cap = \"off\"\nmin = 3", want: "env: []\n"},
		{policy: "cap = \"glibc\"\nmax = 3", want: fixed("0", "")},
		{policy: "cap = 4\n[budget]\nresident = \"80%\"", want: fixed("4", "3")}, // the percentage does not matter here, so the memory of this machine is not looked up
		{policy: `cap = "2/core"`, refused: `policy.toml:2), because a manifest cannot multiply limits.cpu`},
		{policy: `cap = "0.5/core"`, refused: `"0.5/core"`},
		{policy: "min = 2", refused: "min = 2"},
		{policy: "cap = \"1/core\"\nmin = 1\nmax = 64", refused: "express max = 64, because"},
		{policy: "min = 2\nmax = 64", refused: "min = 2, because a manifest cannot clamp limits.cpu; max = 64, because"},
		{policy: `max_reserved = "1GiB"`, refused: "max_reserved, which depends on the program"},
		{policy: "max_reserved = \"25%\"\ncores = 4", refused: "max_reserved"},
		{policy: "cap = \"1/core\"\ntest = 3", refused: "test = 3"},
		{policy: `cores = "online"`, refused: `cores = "online"`},
		{policy: "cap = \"1/core\"\ncores = \"affinity\"", refused: `cores = "affinity"`},
		{policy: "cap = 4\nhuge_pages = \"off\"", refused: `huge_pages = "off"`},
		{policy: "cap = \"off\"\nhuge_pages = \"off\"", refused: `huge_pages = "off"`},
		{policy: "cap = 4\ninherited = \"keep\"", refused: `inherited = "keep"`},
	} {
		t.Run(c.policy, func(t *testing.T) {
			got, err := kubernetesList(policyOf(t, c.policy))
			switch {
			case c.refused == "" && (err != nil || got != c.want):
				t.Errorf("%v\n%s\nwant\n%s", err, got, c.want)
			case c.refused != "" && (err == nil || got != ""):
				t.Errorf("not refused: %s", got)
			case c.refused != "" && (!strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "'arenacap run --' the container's entry point")):
				t.Error(err)
			}
		})
	}
}

// policyOf returns the policy with these lines in [arenas].
func policyOf(t *testing.T, arenas string) policy.Policy {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte("[arenas]\n"+arenas+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Lookup{Named: file}.Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
