package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"arenacap/launcher/testenv"
)

// TestMain turns the test program into one of two small tools that call Find, Quick and Examine under any user, directory
// and environment. They end with syscall.Exit, because os.Exit sleeps for a second with -race.
func TestMain(m *testing.M) {
	switch os.Getenv("TARGET_TEST_TOOL") + os.Args[0] {
	case "find-and-exec":
		findAndExec(os.Args[1])
	case "judge" + os.Args[0]:
		json.NewEncoder(os.Stdout).Encode([2]Target{Quick(os.Args[1], os.Args[2:], os.Environ()), Examine(os.Args[1], os.Args[2:], os.Environ())})
		syscall.Exit(0)
	}
	testenv.Reset()
	os.Exit(m.Run())
}

// findAndExec does what env(1) does, with Find instead of execvp(3).
func findAndExec(name string) {
	path, err := Find(name, os.Environ())
	if err == nil {
		err = syscall.Exec(path, []string{name}, os.Environ())
		if errors.Is(err, syscall.ENOEXEC) {
			err = syscall.Exec("/bin/sh", []string{name, path}, os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, syscall.ENOENT) {
		syscall.Exit(127)
	}
	syscall.Exit(126)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (a *Answer) UnmarshalJSON(b []byte) error {
	*a = map[string]Answer{"null": Unknown, "false": No, "true": Yes}[string(b)]
	return nil
}

const nobody = 65534

// users returns the users as which the tests can run commands.
func users() []int {
	if os.Getuid() == 0 {
		return []int{0, nobody}
	}
	return []int{os.Getuid()}
}

// asUser makes a command run as a user.
func asUser(uid int, cmd *exec.Cmd) *exec.Cmd {
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return cmd
}

// self returns a command that runs this test program under another name. TestMain chooses the tool by this name or by
// TARGET_TEST_TOOL.
func self(as string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{as}, args...)
	return cmd
}

// publicDir returns a temporary directory that every user may enter; only the owner may enter t.TempDir.
func publicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "target-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// tree creates files: name, mode and content. The contents "/", "fifo" and "-> x" mean a directory, a FIFO, a link.
func tree(t testing.TB, dir string, entries [][3]string) {
	t.Helper()
	for _, e := range entries {
		path := filepath.Join(dir, e[0])
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		var mode fs.FileMode
		fmt.Sscanf(e[1], "%o", &mode)
		switch to, link := strings.CutPrefix(e[2], "-> "); {
		case e[2] == "/":
			must(t, os.MkdirAll(path, 0o755))
		case link:
			must(t, os.Symlink(to, path))
			continue
		case e[2] == "fifo":
			must(t, syscall.Mkfifo(path, 0o644))
		default:
			must(t, os.WriteFile(path, []byte(e[2]), 0o755))
		}
		must(t, os.Chmod(path, mode))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run returns a command's standard output.
func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", cmd.Args, err, out, stderr.String())
	}
	return string(out)
}

// build runs a compiler.
func build(t testing.TB, command string, args ...string) {
	t.Helper()
	testenv.Need(t, command)
	run(t, exec.Command(command, args...))
}
