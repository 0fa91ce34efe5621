package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The command "linked" has exactly the libraries that arenacap has.
func TestLinkedHasArenacapsLibraries(t *testing.T) {
	list := func(pkg string) string {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if and (not .Standard) .Module (not .Module.Main)}}{{.ImportPath}}{{end}}", pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		paths := strings.Fields(string(out))
		slices.Sort(paths)
		return strings.Join(paths, "\n")
	}
	if got, want := list("./linked"), list("arenacap/cmd/arenacap"); got != want {
		t.Errorf("linked has\n%s\narenacap has\n%s", got, want)
	}
}
