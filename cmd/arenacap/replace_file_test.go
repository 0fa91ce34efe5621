package main

// These tests check the atomic replacement of files, and to which file each output name leads.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, _ := os.ReadFile(filepath.Join(folder, e.Name()))
		files[e.Name()] = string(text)
	}
	return files
}

func TestReplace(t *testing.T) {
	full := func(w io.Writer) error {
		_, err := io.WriteString(w, "half of")
		return errors.Join(err, &fs.PathError{Op: "write", Path: "page", Err: syscall.ENOSPC})
	}
	whole := func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }
	for _, c := range []struct {
		name   string
		before func(path string) error
		write  func(io.Writer) error
		want   error
		after  string
		mode   fs.FileMode
	}{
		{"nothing was there", func(string) error { return nil }, whole, nil, "new", 0o640},
		{"an older one", func(path string) error { return os.WriteFile(path, []byte("old, and longer"), 0o600) }, whole, nil, "new", 0o600},
		{"the disk is full", func(path string) error { return os.WriteFile(path, []byte("old"), 0o600) }, full, syscall.ENOSPC, "old", 0o600},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer syscall.Umask(syscall.Umask(0o027))
			folder := t.TempDir() + "/"
			path := folder + "report.html"
			if err := c.before(path); err != nil {
				t.Fatal(err)
			}
			if err := replaceFile(path, 0, c.write); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if files := contents(t, folder); len(files) != 1 || files["report.html"] != c.after {
				t.Errorf("the folder holds %q", files)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != c.mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
	t.Run("a folder came in between", func(t *testing.T) {
		folder := t.TempDir() + "/"
		path := folder + "report.html"
		if err := os.MkdirAll(path+"/x", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(path, 0, whole); err == nil {
			t.Error("a folder was replaced")
		}
		if files := contents(t, folder); len(files) != 1 {
			t.Errorf("the folder holds %q", files)
		}
	})
}

func TestReplaceIsTried(t *testing.T) {
	folder := t.TempDir()
	if err := canReplace(folder + "/x"); err != nil {
		t.Error(err)
	}
	if files := contents(t, folder); len(files) != 0 {
		t.Errorf("the folder holds %q", files)
	}
	if err := canReplace(folder + "/no/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestPlaces(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, step := range []error{os.Mkdir("d", 0o755), os.Mkdir("d/e", 0o755), os.WriteFile("d/file", nil, 0o644), os.Symlink("d/e", "into"), os.Symlink("../file", "d/e/up"),
		os.Symlink("d/free", "dangling"), os.Symlink("loop", "loop"), os.Link("d/file", "hard")} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"d/file", "hard", true}, {"into/up", "d/file", true}, {"dangling", "d/free", true}, {"./d/free", "into/../free", true},
		{"d/free", "free", false}, {"d/file", "d/free", false}, {"d/free", "d/other", false},
	} {
		a, err := findPlace(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := findPlace(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.is(b) != c.same || b.is(a) != c.same {
			t.Errorf("%q and %q: %t", c.a, c.b, a.is(b))
		}
	}
	if p, err := findPlace("into/up"); err != nil || p.path != "into/../file" {
		t.Errorf("%q, %v", p.path, err)
	}
	if p, err := findPlace("loop"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("%q, %v", p.path, err)
	}
	if p, err := findPlace("no/file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", p.path, err)
	}
}

// TestManyLinks: as many symbolic links are followed as the kernel follows, whether the file at their end exists or not.
func TestManyLinks(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, target := range []string{"file", "free"} {
		path := target
		for n := 1; n <= 41; n++ {
			link := fmt.Sprint(target, n)
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			path = link
		}
	}
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, tooMany := range map[string]bool{"file40": false, "free40": false, "file41": true, "free41": true} {
		p, err := findPlace(path)
		_, alone := resolveFinalLinks(path) // findPlace does not call it if the kernel's own look-up fails
		f, kernel := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if kernel == nil {
			f.Close()
		}
		for what, err := range map[string]error{"the kernel": kernel, "findPlace": err, "resolveFinalLinks": alone} {
			if errors.Is(err, syscall.ELOOP) != tooMany || !tooMany && err != nil {
				t.Errorf("%s, %s: %v", path, what, err)
			}
		}
		if !tooMany && p.path != "./"+strings.TrimSuffix(path, "40") {
			t.Errorf("%s leads to %q", path, p.path)
		}
	}
}

func TestIrregular(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{0o644: "", fs.ModeDir | 0o755: "a folder", fs.ModeDevice: "a device", fs.ModeDevice | fs.ModeCharDevice: "a device",
		fs.ModeNamedPipe: "a pipe", fs.ModeSocket: "a socket"} {
		if got := irregular(mode); got != want {
			t.Errorf("%v is %q, want %q", mode, got, want)
		}
	}
}
