package testenv

// This file compiles the C programs of tests.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Compiled compiles the C programs of a package's tests, each once. TestMain calls Remove at the end.
type Compiled struct {
	folder   func() (string, error)
	mu       sync.Mutex
	programs map[string]func() (string, error) // functions that return a program's path, by the compiler's command line
}

// Program returns the path of a program that every user may run. The program has the name of its source, without ".c".
// If the compiler is missing or fails, Program skips or fails the test, as Lack does.
func (c *Compiled) Program(t testing.TB, compiler, source string, flags ...string) string {
	t.Helper()
	Need(t, compiler)
	path, err := c.once(append([]string{compiler, source}, flags...))()
	if err != nil {
		Lack(t, "%s %s does not build: %v", compiler, strings.Join(flags, " "), err)
	}
	return path
}

func (c *Compiled) once(line []string) func() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.programs == nil {
		c.programs, c.folder = map[string]func() (string, error){}, sync.OnceValues(Folder)
	}
	key := strings.Join(line, "\x00")
	if c.programs[key] == nil {
		c.programs[key] = sync.OnceValues(func() (string, error) { return c.compile(line) })
	}
	return c.programs[key]
}

func (c *Compiled) compile(line []string) (string, error) {
	folder, err := c.folder()
	if err != nil {
		return "", err
	}
	own, err := os.MkdirTemp(folder, "")
	if err == nil {
		err = os.Chmod(own, 0o755)
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(own, strings.TrimSuffix(filepath.Base(line[1]), ".c"))
	args := append([]string{"-O1", "-pthread", "-o", path}, line[1:]...)
	if out, err := exec.Command(line[0], args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, firstError(out))
	}
	return path, nil
}

// firstError returns the first line of a compiler's output with an error, because later errors usually follow from the
// first. Without such a line it returns the whole output.
func firstError(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "error: ") {
			return strings.TrimSpace(line)
		}
	}
	return string(out)
}

// Remove deletes the programs.
func (c *Compiled) Remove() {
	if c.folder == nil {
		return
	}
	if folder, err := c.folder(); err == nil {
		_ = os.RemoveAll(folder)
	}
}
