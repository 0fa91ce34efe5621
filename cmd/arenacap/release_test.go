package main

// These tests check the release, and what it has in common with a plain build.

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// TestRelease builds the release and checks that it is static and has no symbols. A full test run (ARENACAP_FULL=1) also
// checks that builds in two folders have the same bytes. As TestRelease compiles everything once more, it runs only in a
// full test run and where a release is tested (ARENACAP_BINARY).
func TestRelease(t *testing.T) {
	t.Parallel()
	if os.Getenv("ARENACAP_BINARY") == "" && !testenv.Full() {
		t.Skip("only with ARENACAP_BINARY, as .ci/run tests the release, or in full")
	}
	testenv.Need(t, "git")
	files, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		testenv.Lack(t, "this folder is not a checkout: %v", err)
	}
	made := make([]map[string][]byte, 1)
	if testenv.Full() {
		made = make([]map[string][]byte, 2)
	}
	for i := range made {
		source := filepath.Join(t.TempDir(), strings.Repeat("a/longer/path/", i))
		if err := os.MkdirAll(source, 0o755); err != nil {
			t.Fatal(err)
		}
		copyTo := exec.Command("xargs", "-0", "cp", "--parents", "-t", source)
		copyTo.Dir, copyTo.Stdin = "../..", bytes.NewReader(files)
		if out, err := copyTo.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out := t.TempDir()
		cmd := exec.Command(filepath.Join(source, ".ci/release"), out)
		cmd.Env = append(os.Environ(), "BUILDVCS=false") // the copy is not in a repository
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		made[i] = map[string][]byte{}
		names, _ := filepath.Glob(filepath.Join(out, "arenacap*"))
		for _, name := range names {
			if made[i][filepath.Base(name)], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(made[0]) == 0 || made[0]["arenacap"] == nil {
		t.Fatal("no arenacap was made")
	}
	for name, text := range made[0] {
		if !bytes.Equal(text, made[len(made)-1][name]) {
			t.Errorf("%s: two folders make different bytes", name)
		}
		f, err := elf.NewFile(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if !static(f) {
			t.Errorf("%s is not static", name)
		}
		if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
			t.Errorf("%s is not stripped", name)
		}
	}
}

// TestPlainBuildIsStatic: a plain build too starts without the dynamic loader. One import of os/user or net would
// change that.
func TestPlainBuildIsStatic(t *testing.T) {
	f, err := elf.Open(requireTools(t).plain)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !static(f) {
		t.Error("a plain build is not static: every launch waits for the dynamic loader")
	}
}

func static(f *elf.File) bool {
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC })
}
