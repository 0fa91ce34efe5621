package watch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func lostLine(n int) []byte { return fmt.Appendf(nil, "%d lost\n", n) }

func TestTheLogFollowsItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	j.put([]byte("one\n"), lostLine)
	if err := os.Rename(path, path+".1"); err != nil { // what logrotate does with "create"
		t.Fatal(err)
	}
	j.put([]byte("two\n"), lostLine)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	j.put([]byte("three\n"), lostLine)
	if err := os.Truncate(path, 0); err != nil { // what logrotate does with "copytruncate"
		t.Fatal(err)
	}
	j.put([]byte("four\n"), lostLine)
	if got := readFile(t, path+".1"); got != "one\n" {
		t.Errorf("the rotated log has %q", got)
	}
	if got := readFile(t, path); got != "four\n" {
		t.Errorf("the log has %q", got)
	}
	if st, _ := os.Stat(path); st.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %o, want 640", st.Mode().Perm())
	}
}

// A new log file has mode 0640, whatever the umask of the service is. An existing log file keeps its mode. If the path
// is a dangling symbolic link, the umask applies to the new file.
func TestTheLogsMode(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/old", nil, 0o600))
	must(t, os.Symlink(dir+"/new target", dir+"/link"))
	for name, want := range map[string]os.FileMode{"new": 0o640, "old": 0o600, "link": 0o600} {
		j, err := openLog(dir + "/" + name)
		must(t, err)
		j.put([]byte("one\n"), lostLine)
		j.close()
		if st, err := os.Stat(dir + "/" + name); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %o, want %o", name, st.Mode().Perm(), want)
		}
	}
}

// While the new log file cannot be opened, the watch continues to write to the old one.
func TestTheLogsFolderIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j, err := openLog(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	j.put([]byte("one\n"), lostLine)
	if got := readFile(t, dir+".away/log"); got != "one\n" {
		t.Errorf("the old log has %q", got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j.put([]byte("two\n"), lostLine)
	if got := readFile(t, dir+"/log"); got != "two\n" {
		t.Errorf("the new log has %q", got)
	}
}

func TestLogsThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	fifo := dir + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, dir + "/none/log", fifo, "/dev/full"} { // the open must not wait for a reader of the FIFO
		if _, err := openLog(path); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAFullDisk(t *testing.T) {
	j := &eventLog{path: "/dev/full", fd: -1, write: writeAll}
	must(t, j.reopen())
	defer j.close()
	j.put([]byte("one\n"), lostLine)
	j.put([]byte("two\n"), lostLine)
	if j.lost != 2 {
		t.Errorf("%d lost, want 2", j.lost)
	}
}

// If only a part of a line fits, the next line is not damaged. RLIMIT_FSIZE cuts a write short, as a full disk does
// (setrlimit(2)).
func TestATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, err := openLog(path)
	must(t, err)
	defer j.close()
	j.put([]byte("one\n"), lostLine)
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 8, Max: before.Max}))
	j.put([]byte("two, which is longer\n"), lostLine)
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &before))
	j.put([]byte("three\n"), lostLine)
	j.put([]byte("four\n"), lostLine)
	if got := readFile(t, path); got != "one\ntwo,\n1 lost\nthree\nfour\n" {
		t.Errorf("the log has %q", got)
	}
}

// A full pipe or socket does not block the watch. The number of lost lines is reported when there is room again, and
// the flags of the open file description, which the target shares, do not change.
func TestAFullStderr(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (ours, theirs int){
		"pipe": func(t *testing.T) (int, int) {
			var p [2]int
			must(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
			return p[1], p[0]
		},
		"stream socket":   func(t *testing.T) (int, int) { return socketPair(t, unix.SOCK_STREAM) },
		"datagram socket": func(t *testing.T) (int, int) { return socketPair(t, unix.SOCK_DGRAM) },
	} {
		for _, reopen := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, opened again %t", name, reopen), func(t *testing.T) {
				ours, theirs := open(t)
				defer unix.Close(ours)
				defer unix.Close(theirs)
				j := openStderr(ours)
				if j.fd != ours && !reopen {
					j.close()
					j = &eventLog{fd: ours, write: writeIfRoom} // as if /proc/self/fd could not be opened
				}
				fillAndDrain(t, j, theirs)
				if flags, err := unix.FcntlInt(uintptr(ours), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
					t.Errorf("flags %o, %v", flags, err)
				}
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func socketPair(t *testing.T, kind int) (ours, theirs int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	return p[1], p[0]
}

func fillAndDrain(t *testing.T, j *eventLog, theirs int) {
	t.Helper()
	line := append(bytes.Repeat([]byte("x"), 1000), '\n')
	for j.lost < 3 { // until the kernel's buffer is full
		j.put(line, lostLine)
	}
	must(t, unix.SetNonblock(theirs, true))
	readAll(theirs)
	j.put([]byte("last\n"), lostLine)
	if got := readAll(theirs); got != "3 lost\nlast\n" {
		t.Errorf("after the room was made, the reader got %q", got)
	}
	if j.lost != 0 {
		t.Errorf("%d are still lost", j.lost)
	}
}

func readAll(fd int) string {
	var all []byte
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

// The watch does not end by SIGPIPE if the reader of the log has gone.
func TestABrokenPipe(t *testing.T) {
	var p [2]int
	must(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	j := openStderr(p[1])
	must(t, unix.Close(p[0]))
	j.put([]byte("one\n"), lostLine)
	j.close()
	if j.lost != 1 {
		t.Errorf("%d lost, want 1", j.lost)
	}
	must(t, unix.Close(p[1]))
	j = openStderr(p[1])
	j.put([]byte("one\n"), lostLine) // with stderr closed, the method "put" does nothing
	j.close()
}
