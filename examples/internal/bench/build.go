package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// This file builds the programs that are measured: arenacap as in the release and as by plain go build, and the
// programs that it is compared with.

// built is the temporary folder of the built programs.
type built struct{ dir string }

// folder creates a subfolder that other users may enter.
func (b *built) folder(name string) string {
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "arenacap-bench-")
		check(err)
		b.dir = dir
		check(os.Chmod(dir, 0o755))
	}
	path := filepath.Join(b.dir, name)
	check(os.MkdirAll(path, 0o755))
	return path
}

func (b *built) remove() error { return os.RemoveAll(b.dir) }

// release runs .ci/release, once, and returns the path of arenacap.
func (b *built) release() string {
	dir := b.folder("release")
	if _, err := os.Stat(dir + "/arenacap"); err != nil {
		command(nil, ".ci/release", dir)
	}
	return dir + "/arenacap"
}

// plain builds arenacap by plain go build.
func (b *built) plain() string { return b.goBuild("arenacap", "./cmd/arenacap", false) }

// goBuild builds a Go package of this repository: with the flags of the release, except its entry point, if the
// argument "release" is true, else by plain go build.
func (b *built) goBuild(name, pkg string, release bool) string {
	path := filepath.Join(b.folder("go"), name)
	args := []string{"build", "-o", path}
	if release {
		args = append(args, "-trimpath", "-tags=urfave_cli_no_docs,urfave_cli_no_suggest", "-ldflags=-s -w")
	}
	command([]string{"CGO_ENABLED=0"}, "go", append(args, pkg)...)
	return path
}

// c compiles a C program, with -O1 because at -O2 gcc removes unused allocations.
func (b *built) c(source string) string {
	name := filepath.Base(source)
	path := filepath.Join(b.folder("c"), name[:len(name)-len(".c")])
	command(nil, "gcc", "-O1", "-pthread", "-o", path, source, "-ldl")
	return path
}

// fresh makes a new copy of a program. A program starts faster if the page cache holds it in larger pieces. The linker
// writes through a mapping, in single pages, which makes a start up to 0.7 ms slower; cp lets the kernel copy in pieces
// that depend on the source, a difference of 0.4 ms. So every built program whose launch is measured is written in
// the same way, 64 KiB at a time.
func (b *built) fresh(path string) string {
	in, err := os.Open(path)
	check(err)
	defer in.Close()
	copied := filepath.Join(b.folder("fresh"), filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path))
	check(os.RemoveAll(copied))
	out, err := os.OpenFile(copied, os.O_CREATE|os.O_WRONLY, 0o755)
	check(err)
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		if n == 0 {
			break
		}
		check(err)
		_, err = out.Write(buf[:n])
		check(err)
	}
	check(out.Close())
	return copied
}

// command runs a command and shows its output only if it fails.
func command(env []string, name string, args ...string) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		check(fmt.Errorf("%s: %w\n%s", cmd, err, out))
	}
}

// write creates a file that root accepts as a policy.
func (b *built) write(name, text string) string {
	path := filepath.Join(b.folder("files"), name)
	check(os.WriteFile(path, []byte(text), 0o600))
	return path
}
