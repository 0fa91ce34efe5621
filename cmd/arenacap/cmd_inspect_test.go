package main

// These tests run inspect and ps on real processes, and check the layout of their tables.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
)

// arenasProgram builds a program and returns its path. The program makes the threads, arenas and heaps that the
// commands on its stdin name.
var arenasProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builtTools().dir, "arenas")
	return path, compile(path, nil, "gcc", "-O1", "-pthread", "-o", "OUT", "../../launcher/arena/testdata/probe.c", "-ldl")
})

// arenas is a running arenasProgram.
type arenas struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startArenas runs the command line argv, which starts arenasProgram itself or a program that starts arenasProgram. The
// environment is the argument "env" and PATH. startArenas waits until arenasProgram is ready.
func startArenas(dir string, env []string, stderr io.Writer, argv ...string) (*arenas, error) {
	a := &arenas{cmd: exec.Command(argv[0], argv[1:]...)}
	a.cmd.Dir, a.cmd.Env, a.cmd.Stderr = dir, append(env, "PATH="+os.Getenv("PATH")), stderr
	var err error
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.out = bufio.NewReader(out)
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := a.answer(); err != nil {
		a.end()
		return nil, err
	}
	return a, nil
}

func (a *arenas) end() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

func (a *arenas) pid() string { return strconv.Itoa(a.cmd.Process.Pid) }

func (a *arenas) do(command string) (string, error) {
	if _, err := io.WriteString(a.in, command+"\n"); err != nil {
		return "", err
	}
	return a.answer()
}

func (a *arenas) answer() (string, error) {
	var all strings.Builder
	for {
		line, err := a.out.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("the test program ended: %w, said %q", err, all.String())
		}
		if line == "ok\n" {
			return all.String(), nil
		}
		all.WriteString(line)
	}
}

func mustStart(t *testing.T, env []string, argv ...string) *arenas {
	t.Helper()
	requireTools(t)
	program, err := arenasProgram()
	if err != nil {
		t.Fatal(err)
	}
	if len(argv) == 0 {
		argv = []string{program}
	}
	a, err := startArenas("", env, os.Stderr, argv...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.end)
	return a
}

// scriptArenas is the command of scripts
//
//	arenas NAME [VAR=VALUE…] [LINE…] [-- PREFIX…]
//
// that starts the program after the prefix, sends it the lines one by one and sets NAME to its PID. Its stderr is in
// NAME.stderr.
func scriptArenas(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: arenas NAME [VAR=VALUE...] [LINE...] [-- PREFIX...]")
	}
	program, err := arenasProgram()
	ts.Check(err)
	name, lines := args[0], args[1:]
	argv := []string{program}
	if i := slices.Index(lines, "--"); i >= 0 {
		argv = append(slices.Clone(lines[i+1:]), program)
		if argv[0] == "arenacap" {
			argv[0] = builtTools().checked
		}
		lines = lines[:i]
	}
	var env []string
	for len(lines) > 0 && strings.Contains(lines[0], "=") {
		env, lines = append(env, lines[0]), lines[1:]
	}
	stderr, err := os.Create(ts.MkAbs(name + ".stderr"))
	ts.Check(err)
	a, err := startArenas(ts.MkAbs("."), append(env, "HOME="+ts.Getenv("HOME")), stderr, argv...)
	ts.Check(err)
	ts.Defer(func() { a.end(); stderr.Close() })
	running.Store(a.pid(), a)
	ts.Setenv(name, a.pid())
	scriptTell(ts, false, append([]string{a.pid()}, lines...))
}

// running are the programs that scripts have started, by PID.
var running sync.Map

// scriptTell is the command "tell PID LINE…".
func scriptTell(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: tell PID LINE...")
	}
	a, ok := running.Load(args[0])
	if !ok {
		ts.Fatalf("no program %q was started", args[0])
	}
	for _, line := range args[1:] {
		said, err := a.(*arenas).do(line)
		ts.Check(err)
		ts.Logf("%s: %s", line, said)
	}
}

// scriptAwait is the command "await FILE TEXT…": it waits until the file has a line with all these texts.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await FILE TEXT...")
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for line := range strings.SplitSeq(ts.ReadFile(args[0]), "\n") {
			if !slices.ContainsFunc(args[1:], func(text string) bool { return !strings.Contains(line, text) }) {
				return
			}
		}
	}
	ts.Fatalf("%s has no line with %q after %s:\n%s", args[0], args[1:], patience, ts.ReadFile(args[0]))
}

// runTool runs arenacap and returns stdout, stderr and the status.
func runTool(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(requireTools(t).checked, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), status
}

// decode reads JSON that has to be a list of objects.
func decode(t *testing.T, text string) (list []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return list
}

// These are keys that other programs rely on, not all keys of the outputs.
var (
	inspectKeys = []string{"pid", "name", "threads", "libc_version", "allocator", "arenas", "heaps", "cap", "cap_source", "kept", "why",
		"error", "virtual_bytes", "resident_bytes", "arena_reserved_bytes", "arena_committed_bytes", "arena_resident_bytes", "parts", "verdict"}
	partKeys = []string{"kind", "name", "count", "virtual_bytes", "resident_bytes"}
	deepKeys = []string{"in_use_bytes", "free_bytes", "top_bytes", "trimmable_bytes"}
	psKeys   = []string{"pid", "name", "threads", "arenas", "cap", "cap_source", "arena_reserved_bytes", "arena_resident_bytes",
		"virtual_bytes", "resident_bytes", "saving_bytes"}
)

func has(t *testing.T, what string, object map[string]any, keys []string) {
	t.Helper()
	for _, key := range keys {
		if _, ok := object[key]; !ok {
			t.Errorf("%s has no key %q: %v", what, key, object)
		}
	}
}

// nulls compares the keys that are null with those that should be.
func nulls(t *testing.T, what string, object map[string]any, keys []string, want ...string) {
	t.Helper()
	for _, key := range keys {
		if null := object[key] == nil; null != slices.Contains(want, key) {
			t.Errorf("%s: %q is %v", what, key, object[key])
		}
	}
}

func TestInspectJSON(t *testing.T) {
	capped, free := mustStart(t, []string{"MALLOC_ARENA_MAX=4"}), mustStart(t, nil)
	for _, a := range []*arenas{capped, free} {
		if _, err := a.do("threads 9 100"); err != nil {
			t.Fatal(err)
		}
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := runTool(t, "inspect", "--json", capped.pid(), free.pid(), strconv.Itoa(gone.Process.Pid))
	if status != 1 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	list := decode(t, stdout)
	if len(list) != 3 {
		t.Fatalf("%d objects", len(list))
	}
	for _, object := range list {
		has(t, "the object", object, inspectKeys)
	}
	nulls(t, "capped", list[0], inspectKeys, "error")
	nulls(t, "free", list[1], inspectKeys, "error", "cap", "cap_source", "kept")
	nulls(t, "gone", list[2], inspectKeys, slices.DeleteFunc(slices.Clone(inspectKeys), func(k string) bool { return k == "pid" || k == "error" })...)
	if o := list[0]; o["kept"] != true || o["cap"] != 4.0 || o["cap_source"] != "environment" || o["arenas"] != 4.0 || o["heaps"] != 3.0 || o["threads"] != 10.0 {
		t.Errorf("capped: %v", o)
	}
	for _, object := range list[:2] {
		sum := 0.0
		for _, part := range object["parts"].([]any) {
			has(t, "a part", part.(map[string]any), partKeys)
			sum += part.(map[string]any)["virtual_bytes"].(float64)
		}
		if sum != object["virtual_bytes"] {
			t.Errorf("the parts are %f bytes of %v", sum, object["virtual_bytes"])
		}
	}
}

// TestInspectPod checks that inspect shows the pod's UID for a process in a control group with the name that a
// kubelet gives.
func TestInspectPod(t *testing.T) {
	const uid = "8c0f1a52-7d1e-4b0c-9a55-0123456789ab"
	group := makeGroup(t)
	pod := filepath.Join(group, "pod"+uid)
	if err := os.Mkdir(pod, 0o755); err != nil {
		t.Fatal(err)
	}
	server := mustStart(t, []string{"MALLOC_ARENA_MAX=4"})
	move := func(to string) error {
		return os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(server.pid()), 0o644)
	}
	if err := move(pod); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(move(group), os.Remove(pod)); err != nil {
			t.Error(err)
		}
	})
	if stdout, stderr, status := runTool(t, "inspect", server.pid()); status != 0 || !strings.Contains(stdout, "\npod     "+uid+"\n") {
		t.Errorf("%d, %s\n%s", status, stderr, stdout)
	}
	stdout, _, _ := runTool(t, "inspect", "--json", server.pid(), strconv.Itoa(os.Getpid()))
	if list := decode(t, stdout); list[0]["pod"] != uid || list[1]["pod"] != nil {
		t.Errorf("%v, %v", list[0]["pod"], list[1]["pod"])
	}
}

// TestInspectDeepJSON compares the sum of system_bytes with malloc_info(3) of an idle program. Of the figures of --deep it
// checks only that they are present, that each arena was walked completely, and that each but the main arena has free bytes.
func TestInspectDeepJSON(t *testing.T) {
	a := mustStart(t, []string{"MALLOC_ARENA_MAX=4", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"})
	for _, line := range []string{"threads 6 3000", "free"} {
		if _, err := a.do(line); err != nil {
			t.Fatal(err)
		}
	}
	info, err := a.do("info")
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, status := runTool(t, "inspect", "--json", "--deep", a.pid())
	list := decode(t, stdout)
	if status != 0 || len(list) != 1 {
		t.Fatalf("status %d: %s", status, stdout)
	}
	perArena := list[0]["per_arena"].([]any)
	system := 0.0
	for _, v := range perArena {
		object := v.(map[string]any)
		has(t, "an arena", object, deepKeys)
		nulls(t, "an arena", object, deepKeys)
		if object["sure"] != 1.0 || object["moved"] != false || object["free_bytes"] == 0.0 && object["main"] != true {
			t.Errorf("arena %v", object)
		}
		system += object["system_bytes"].(float64)
	}
	if want := fmt.Sprintf(`<system type="current" size="%.0f"/>`, system); len(perArena) != 4 || !strings.HasSuffix(strings.TrimSpace(info), "</malloc>") || !strings.Contains(info[strings.LastIndex(info, "</heap>"):], want) {
		t.Errorf("%d arenas hold %.0f bytes; malloc_info says %s", len(perArena), system, info[strings.LastIndex(info, "</heap>"):])
	}
}

// TestInspectZombie inspects a child that has ended and was not waited for.
func TestInspectZombie(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := runTool(t, "inspect", strconv.Itoa(cmd.Process.Pid))
	want := fmt.Sprintf("arenacap: process %d (\"true\") is a zombie, not reaped by its parent: no memory of its own\n", cmd.Process.Pid)
	if stdout != "" || stderr != want || status != 1 {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	stdout, _, status = runTool(t, "inspect", "--json", strconv.Itoa(cmd.Process.Pid))
	if !strings.Contains(stdout, `"name": "true",`) || !strings.Contains(stdout, `"threads": null,`) || status != 1 {
		t.Errorf("status %d, JSON %s", status, stdout)
	}
}

// TestInspectHostileNames: a process name is escaped for a terminal, and unchanged in JSON if it is valid UTF-8.
func TestInspectHostileNames(t *testing.T) {
	t.Parallel()
	requireTools(t)
	program, err := arenasProgram()
	if err != nil {
		t.Fatal(err)
	}
	started := map[string]*arenas{}
	for _, name := range []string{"\x1b[31mred", "two\nlines", "a) R 1 (b", "(", ")", " ", "a\"b\\c", "\xff\xfe", "\x1b]0;t\a", "grün"} {
		link := filepath.Join(t.TempDir(), name)
		if err := os.Symlink(program, link); err != nil {
			t.Fatal(err)
		}
		started[name] = mustStart(t, nil, link)
		if _, err := started[name].do("threads 5 1"); err != nil {
			t.Fatal(err)
		}
	}
	readable := func(args ...string) string {
		stdout, stderr, status := runTool(t, args...)
		if i := strings.IndexFunc(stdout+stderr, func(r rune) bool { return r < ' ' && r != '\n' || r == '\ufffd' }); status != 0 || i >= 0 {
			t.Errorf("%v: status %d, odd character at %d of %q", args, status, i, stdout)
		}
		return stdout
	}
	rows := map[string]int{}
	list := readable("ps")
	for line := range strings.Lines(list) {
		pid, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		rows[pid]++
	}
	for name, a := range started {
		readable("inspect", a.pid())
		if rows[a.pid()] != 1 {
			t.Errorf("%q: %d rows in %q", name, rows[a.pid()], list)
		}
		stdout, _, _ := runTool(t, "inspect", "--json", a.pid())
		if got := decode(t, stdout)[0]["name"]; got != strings.ToValidUTF8(name, "\ufffd") && name != "\xff\xfe" {
			t.Errorf("%q: the name is %q", name, got)
		}
	}
}

// TestChunkRowsAddUp checks that the sum of arenas whose free memory is one contiguous piece each is not fragmented,
// and that an arena with two pieces adds its smaller piece.
func TestChunkRowsAddUp(t *testing.T) {
	whole := newChunkRow(1, arena.Arena{Chunks: &arena.Chunks{InUse: 100, Top: 100, Largest: 100}})
	half := newChunkRow(2, arena.Arena{Chunks: &arena.Chunks{InUse: 100, Free: 50, Top: 50, Largest: 50, Moved: true}})
	var all chunkRow
	all.add(whole)
	all.add(whole)
	if got := all.fragmented(); got != 0 || all.chunks.Largest != 100 {
		t.Errorf("two whole ones: %v, largest %d", got, all.chunks.Largest)
	}
	all.add(half)
	if got := all.fragmented(); got < 0.16 || got > 0.17 || all.rows != 3 || !all.chunks.Moved { // a share of 50/300
		t.Errorf("with one that is half: %v, %+v", got, all)
	}
}

// On a narrow terminal columns are dropped first, then names are cut.
func TestHostTable(t *testing.T) {
	rows := [][]string{{"PID", "THREADS", "ARENAS", "CAP", "RESERVED", "RESIDENT", "VIRTUAL", "SAVING", "  NAME"},
		{"7", "10", "3", "9! environment", "128 MiB", "1.3 MiB", "1.1 GiB", "0 B", "  grün-workers"}}
	for width, want := range map[int]string{
		0: "  PID  THREADS  ARENAS             CAP  RESERVED  RESIDENT  VIRTUAL  SAVING  NAME\n" +
			"    7       10       3  9! environment   128 MiB   1.3 MiB  1.1 GiB     0 B  grün-workers\n",
		80: "  PID  ARENAS             CAP  RESERVED  RESIDENT  VIRTUAL  SAVING  NAME\n" +
			"    7       3  9! environment   128 MiB   1.3 MiB  1.1 GiB     0 B  grün-workers\n",
		71: "  PID  ARENAS             CAP  RESERVED  RESIDENT  SAVING  NAME\n" +
			"    7       3  9! environment   128 MiB   1.3 MiB     0 B  grün-workers\n",
		61: "  PID  ARENAS             CAP  RESERVED  SAVING  NAME\n" +
			"    7       3  9! environment   128 MiB     0 B  grün-workers\n",
		53: "  PID  ARENAS             CAP  RESERVED  NAME\n" +
			"    7       3  9! environment   128 MiB  grün-workers\n",
		51: "  PID  ARENAS             CAP  RESERVED  NAME\n" +
			"    7       3  9! environment   128 MiB  …n-workers\n",
		20: "  PID  ARENAS             CAP  RESERVED  NAME\n" +
			"    7       3  9! environment   128 MiB  …workers\n",
	} {
		if got := hostTable(rows, width); got != want {
			t.Errorf("%d columns:\n%s\nwant\n%s", width, got, want)
		}
	}
}

func TestPsJSON(t *testing.T) {
	small, large := mustStart(t, []string{"MALLOC_ARENA_MAX=3"}), mustStart(t, []string{"MALLOC_ARENA_MAX=9"})
	for _, a := range []*arenas{small, large} {
		if _, err := a.do("threads 12 1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, sort := range []string{"reserved", "resident", "arenas", "virtual", "saving", "pid"} {
		stdout, _, status := runTool(t, "ps", "--json", "--sort", sort)
		if status != 0 {
			t.Fatalf("status %d", status)
		}
		key := map[string]string{"reserved": "arena_reserved_bytes", "resident": "arena_resident_bytes", "arenas": "arenas",
			"virtual": "virtual_bytes", "saving": "saving_bytes", "pid": "pid"}[sort]
		list := decode(t, stdout)
		found := 0
		for i, row := range list {
			has(t, "a row", row, psKeys)
			if i > 0 && (row[key].(float64) > list[i-1][key].(float64)) != (sort == "pid") {
				if row[key] != list[i-1][key] {
					t.Errorf("--sort %s: %v behind %v", sort, row[key], list[i-1][key])
				}
			}
			switch fmt.Sprint(row["pid"]) {
			case small.pid():
				found++
				if row["arenas"] != 3.0 || row["cap"] != 3.0 || row["cap_source"] != "environment" {
					t.Errorf("row %v", row)
				}
			case large.pid():
				found++
				if row["arenas"] != 9.0 || row["arena_reserved_bytes"] != float64(8<<26) {
					t.Errorf("row %v", row)
				}
			}
		}
		if found != 2 {
			t.Errorf("--sort %s: %d of 2 processes in %v", sort, found, list)
		}
	}
}

func TestFold(t *testing.T) {
	const text = "one two three four five six seven eight"
	cases := []struct {
		width, indent int
		want          string
	}{
		{0, 0, text},
		{10, 0, text}, // the width is too small to fold
		{20, 0, "one two three four\nfive six seven eight"},
		{28, 8, "one two three four\n        five six seven eight"},
		{200, 8, text},
	}
	for _, c := range cases {
		if got := fold(text, c.width, c.indent); got != c.want {
			t.Errorf("%d columns, indent %d: got %q", c.width, c.indent, got)
		}
	}
}

func TestClip(t *testing.T) {
	for room, want := range map[int]string{0: "/usr/lib/grün", 13: "/usr/lib/grün", 5: "…grün", 2: "…n", 20: "/usr/lib/grün"} {
		if got := clip("/usr/lib/grün", room); got != want {
			t.Errorf("room %d: got %q", room, got)
		}
	}
}

func TestBar(t *testing.T) {
	cases := []struct {
		part, all uint64
		width     int
		want      string
	}{
		{0, 100, 4, "    "}, {100, 100, 4, "████"}, {50, 100, 4, "██  "}, {1, 32, 4, "▏   "}, {31, 32, 4, "███▉"}, {5, 0, 4, "    "}, {200, 100, 4, "████"},
	}
	for _, c := range cases {
		if got := bar(c.part, c.all, c.width); got != c.want {
			t.Errorf("%d of %d: got %q, want %q", c.part, c.all, got, c.want)
		}
	}
}

// TestChunksTable: FREE includes the top chunk, so LARGEST FREE is at most FREE. Without walked arenas there is no
// table.
func TestChunksTable(t *testing.T) {
	const mib = 1 << 20
	p := &arena.Process{Arenas: []arena.Arena{{Main: true, Chunks: &arena.Chunks{InUse: 3 * mib, Free: mib, Top: 5 * mib, Largest: 5 * mib}}}}
	if got := strings.Fields(strings.Split(chunksTable(p, 0), "\n")[1]); strings.Join(got[5:], " ") != "3 MiB 6 MiB 5 MiB 5 MiB 0 B 17 % 100 %" {
		t.Errorf("%q", got)
	}
	if got := chunksTable(&arena.Process{Arenas: []arena.Arena{{Main: true}}}, 0); got != "no arena has been used yet\n" {
		t.Errorf("%q", got)
	}
}

// TestWalkBar: the bar of --deep is drawn on a terminal that takes escape sequences, from the given time on, and erased
// at the end.
func TestWalkBar(t *testing.T) {
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for _, c := range []struct {
		term string
		from time.Time
		want string
	}{
		{"xterm", past, "\rexamined 512 MiB of 1 GiB of heap memory " + bar(1, 2, 30) + " \r" + eraseLine}, {"xterm", future, ""}, {"dumb", past, ""},
	} {
		t.Setenv("TERM", c.term)
		master, name := openTerminal(t)
		slave, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		draw, erase := walkBar(slave, c.from)
		if draw != nil {
			draw(1<<29, 1<<30)
		}
		erase()
		slave.Close()
		got, err := io.ReadAll(master) // EIO after the last close of the slave, once all is read
		if string(got) != c.want || !errors.Is(err, syscall.EIO) {
			t.Errorf("TERM=%s: %q, %v; want %q", c.term, got, err, c.want)
		}
		master.Close()
	}
	if draw, _ := walkBar(new(bytes.Buffer), past); draw != nil {
		t.Error("there is a bar although the output is no terminal")
	}
}
