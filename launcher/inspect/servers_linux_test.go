package inspect

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
	"arenacap/launcher/testenv"
)

// server is a running program of the distribution, such as mariadbd.
type server struct {
	cmd  *exec.Cmd
	out  *bufio.Reader // stdout and stderr
	said strings.Builder
	info string // a FIFO, for testdata/info.c
}

// serve starts a program and waits until it prints the text in "ready". The environment of the program is env, PATH,
// HOME and two variables for testdata/info.c: LD_PRELOAD, and MALLOC_INFO with the FIFO for its output.
func serve(t *testing.T, cmd *exec.Cmd, ready string, env ...string) *server {
	t.Helper()
	r, w := pipe(t)
	info := filepath.Join(publicDir(t), "info")
	if err := errors.Join(unix.Mkfifo(info, 0o666), os.Chmod(info, 0o666)); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "MALLOC_INFO="+info,
		"LD_PRELOAD="+build(t, "gcc", "testdata/info.c", "-shared", "-fPIC"))
	cmd.Stdout, cmd.Stderr = w, w
	if _, err := cmd.StdinPipe(); err != nil { // a pipe that stays open, because some programs end at the end of their stdin
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	s := &server{cmd: cmd, out: bufio.NewReader(r), info: info}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r.Close()
	})
	s.await(t, ready)
	go io.Copy(io.Discard, s.out)
	return s
}

// await reads byte by byte, since a prompt does not end with a newline.
func (s *server) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(s.said.String(), text) {
		b, err := s.out.ReadByte()
		if err != nil {
			t.Fatalf("%s: %v before it printed %q; it printed %q", s.cmd.Path, err, text, s.said.String())
		}
		s.said.WriteByte(b)
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// mallocInfo makes the process call malloc_info(3) in a signal handler (testdata/info.c) and reads the result from a FIFO. It
// does not make gdb call the function: Debian 12's gdb cannot do so on a processor with AMX, whose registers it does not know.
func (s *server) mallocInfo(t *testing.T) string {
	t.Helper()
	fifo, err := os.OpenFile(s.info, os.O_RDWR, 0) // opens both ends, so that open does not block
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	if err := errors.Join(fifo.SetReadDeadline(time.Now().Add(time.Minute)), unix.Tgkill(s.pid(), s.pid(), infoSignal)); err != nil {
		t.Fatal(err)
	}
	var info strings.Builder
	lines := bufio.NewScanner(fifo)
	for lines.Scan() {
		if info.WriteString(lines.Text() + "\n"); lines.Text() == "</malloc>" {
			return info.String()
		}
	}
	t.Fatalf("malloc_info: %v after %q", lines.Err(), info.String())
	return ""
}

// infoSignal is the signal on which testdata/info.c answers.
const infoSignal = unix.Signal(60)

// publicDir is a directory in which every user may write.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o777} { // t.TempDir makes two nested folders
		if err := os.Chmod(d, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// equalsMallocInfo compares the arenas and heaps with malloc_info(3). It inspects the server before and after malloc_info, and
// compares only if both inspections agree, since a server may make an arena at any time.
func equalsMallocInfo(t *testing.T, s *server) Report {
	t.Helper()
	for range 3 {
		before := mustLook(t, s.pid(), nil)
		arenas, heaps := infoCounts(t, s.mallocInfo(t))
		after := mustLook(t, s.pid(), nil)
		if a, b := before.Process.Census(), after.Process.Census(); a.Arenas != b.Arenas || a.Heaps != b.Heaps {
			continue
		}
		if c := after.Process.Census(); c.Arenas != arenas || c.Heaps != heaps {
			t.Errorf("%d arenas with %d heaps; malloc_info says %d with %d", c.Arenas, c.Heaps, arenas, heaps)
		}
		return after
	}
	t.Fatal("the arenas changed during each of three inspections")
	return Report{}
}

func (r Report) part(kind string) (part arena.Part) {
	for _, p := range r.Process.Parts {
		if p.Kind == kind {
			part.Virtual, part.Resident, part.Count = part.Virtual+p.Virtual, part.Resident+p.Resident, part.Count+p.Count
		}
	}
	return part
}

func TestServerMariaDB(t *testing.T) {
	testenv.Need(t, "mariadbd", "mariadb-install-db", "mariadb-slap")
	dir := publicDir(t)
	var credential *syscall.Credential
	if os.Geteuid() == 0 { // mariadbd refuses to run as root
		credential = mysqlUser(t)
	}
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		return cmd
	}
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	if out, err := as("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	environments := [][]string{{"MALLOC_ARENA_MAX=3"}}
	if testenv.Full() {
		environments = append(environments, nil)
	}
	for _, env := range environments {
		t.Run(strings.Join(env, ""), func(t *testing.T) {
			s := serve(t, as("mariadbd", "--no-defaults", "--datadir="+data, "--socket="+socket, "--pid-file="+filepath.Join(dir, "p"), "--skip-networking",
				"--innodb-buffer-pool-size=32M"), "ready for connections", env...)
			load := exec.Command("mariadb-slap", "--no-defaults", "--socket="+socket, "--user=root", "--auto-generate-sql", "--concurrency=32", "--number-of-queries=3000")
			loaded := make(chan error, 1)
			go func() {
				out, err := load.CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%w\n%s", err, out)
				}
				loaded <- err
			}()
			looks := 0
			for done := false; !done; looks++ {
				select {
				case err := <-loaded:
					if done = true; err != nil {
						t.Fatal(err)
					}
				default:
					if r := mustLook(t, s.pid(), nil); r.Cap.Kept == No || r.Process.Allocator != "glibc" {
						t.Errorf("under load: %+v, allocator %q", r.Cap, r.Process.Allocator)
					}
				}
			}
			r := equalsMallocInfo(t, s)
			t.Logf("%d looks under load; %s; cap: %s", looks, r.Verdict, r.Cap.Why)
			if env == nil {
				r.check(t, 0, "", NoAnswer, "no cap is set", r.Next)
			} else {
				r.check(t, 3, "environment", Yes, ", and 3 are allowed", "")
			}
			// The server must have ended before the next one uses the same data.
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			_ = s.cmd.Wait()
		})
	}
}

func mysqlUser(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("mysql")
	if err != nil {
		testenv.Lack(t, "%v", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// TestServerJVM uses keytool, which comes with every JRE: it waits for a password.
func TestServerJVM(t *testing.T) {
	testenv.Need(t, "keytool")
	collectors := []string{"G1"}
	if testenv.Full() {
		collectors = append(collectors, "Serial", "Z")
	}
	for _, gc := range collectors {
		t.Run(gc, func(t *testing.T) {
			cmd := exec.Command("keytool", "-J-XX:+Use"+gc+"GC", "-J-Xmx256m", "-genkeypair", "-keyalg", "RSA", "-alias", "a", "-keystore", filepath.Join(t.TempDir(), "store"))
			s := serve(t, cmd, "password:", "LC_ALL=C", "MALLOC_ARENA_MAX=4")
			r := equalsMallocInfo(t, s)
			t.Logf("%s", r.Verdict)
			r.check(t, 4, "environment", Yes, ", and 4 are allowed", "")
			heap, classes, code := r.part(arena.KindJavaHeap), r.part(arena.KindJavaClasses), r.part(arena.KindJavaCode)
			if heap.Virtual < 250*mib || // not 256 MiB as in -Xmx256m, because G1 maps a part of its heap from a file
				classes.Virtual == 0 || code.Virtual == 0 || r.part(arena.KindThreadStacks).Count < 5 {
				t.Errorf("heap %+v, classes %+v, code %+v, stacks %+v", heap, classes, code, r.part(arena.KindThreadStacks))
			}
		})
	}
}

// TestServerRedis: inspect finds jemalloc in a Redis that has it, as Debian's.
func TestServerRedis(t *testing.T) {
	testenv.Need(t, "redis-server")
	version, err := exec.Command("redis-server", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(version), " malloc=jemalloc") {
		testenv.Lack(t, "redis-server does not use jemalloc: %s", version)
	}
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--save", "", "--dir", t.TempDir())
	s := serve(t, cmd, "server is now ready", "MALLOC_ARENA_MAX=4")
	r := mustLook(t, s.pid(), nil)
	t.Logf("%s; cap: %s", r.Verdict, r.Cap.Why)
	if r.Process.Allocator != "jemalloc" {
		t.Errorf("%sallocator %q", version, r.Process.Allocator)
	}
	r.check(t, 0, "", NoAnswer, "the process uses the malloc of jemalloc, which does not read MALLOC_ARENA_MAX", "")
}

func TestServerPython(t *testing.T) {
	testenv.Need(t, "python3")
	const code = `
import sys, threading, zlib
arrived, end = threading.Barrier(21), threading.Event()
def work():
    held = [bytearray(100000) for i in range(20)] + [zlib.compressobj()]
    arrived.wait()
    end.wait()
for i in range(20):
    threading.Thread(target=work, daemon=True).start()
arrived.wait()
print("ready", flush=True)
sys.stdin.read()
`
	for _, env := range [][]string{{"A=1"}, {"MALLOC_ARENA_MAX=2"}} {
		t.Run(env[0], func(t *testing.T) {
			s := serve(t, exec.Command("python3", "-c", code), "ready", env...)
			r := equalsMallocInfo(t, s)
			t.Logf("%s", r.Verdict)
			if stacks := r.part(arena.KindThreadStacks); stacks.Count != 20 || r.Process.Threads != 21 {
				t.Errorf("%d threads, stacks %+v", r.Process.Threads, stacks)
			}
			if env[0] == "A=1" {
				r.check(t, 0, "", NoAnswer, "no cap is set", r.Next)
			} else {
				r.check(t, 2, "environment", Yes, "2 arenas, and 2 are allowed", "")
			}
		})
	}
}

// TestLookAtManyMappings inspects a process with almost as many mappings as the kernel allows (vm.max_map_count, 65,530 by
// default). The counts of the parts include all these mappings.
func TestLookAtManyMappings(t *testing.T) {
	p := start(t, nil, build(t, "gcc", "testdata/mappings.c"), "65000")
	r := mustLook(t, p.process.Pid, nil)
	if n := r.part(arena.KindReserved).Count + r.part(arena.KindOtherAnon).Count; n < 65000 {
		t.Errorf("%d mappings", n)
	}
}

// TestServerPerl: each Perl thread has its own interpreter.
func TestServerPerl(t *testing.T) {
	testenv.Need(t, "perl")
	const code = `
use threads; use Thread::Queue;
my ($arrived, $end) = (Thread::Queue->new, Thread::Queue->new);
threads->create(sub { my @held = map { "x" x 1000 } 1 .. 1000; $arrived->enqueue(1); $end->dequeue })->detach for 1 .. 12;
$arrived->dequeue for 1 .. 12;
$| = 1; print "ready\n"; <STDIN>;
`
	if err := exec.Command("perl", "-Mthreads", "-e", "1").Run(); err != nil {
		testenv.Lack(t, "this perl has no threads")
	}
	r := equalsMallocInfo(t, serve(t, exec.Command("perl", "-e", code), "ready", "MALLOC_ARENA_MAX=4"))
	r.check(t, 4, "environment", Yes, "4 arenas, and 4 are allowed", "")
	if stacks := r.part(arena.KindThreadStacks); stacks.Count != 12 || r.Process.Threads != 13 {
		t.Errorf("%d threads, stacks %+v", r.Process.Threads, stacks)
	}
}

// TestServerErlang: Erlang's schedulers use malloc and their own allocators, and reserve 1 GiB for literals.
func TestServerErlang(t *testing.T) {
	testenv.Need(t, "erl")
	code := `io:format("ready~n"), receive after infinity -> ok end.`
	r := equalsMallocInfo(t, serve(t, exec.Command("erl", "+S", "4:4", "-noshell", "-eval", code), "ready", "MALLOC_ARENA_MAX=3"))
	t.Logf("%s", r.Verdict)
	r.check(t, 3, "environment", Yes, ", and 3 are allowed", "")
	if stacks := r.part(arena.KindThreadStacks); stacks.Count < r.Process.Threads-1 || r.part(arena.KindReserved).Virtual < 1000*mib {
		t.Errorf("%d threads, stacks %+v, reserved %+v", r.Process.Threads, stacks, r.part(arena.KindReserved))
	}
}
