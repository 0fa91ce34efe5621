package inspect

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/launcher/testenv"
	"arenacap/policy"
	"arenacap/policy/text"
)

// here returns the facts of this machine, but with two cores in the affinity and without a quota, so that a cap per
// core is the same everywhere.
func here() policy.Machine {
	m := machine.Find("/", machine.Cores, nil)
	m.Affinity, m.Quota = policy.Reading[int]{N: 2, From: "test"}, policy.Reading[float64]{}
	return m
}

func mustLook(t *testing.T, pid int, wanted *policy.Policy) Report {
	t.Helper()
	r, err := Look(pid, here(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for _, part := range r.Process.Parts {
		sum += part.Virtual
	}
	if sum != r.Process.Virtual || sum == 0 {
		t.Errorf("the parts add up to %d bytes, the process has %d", sum, r.Process.Virtual)
	}
	if !strings.Contains(r.Verdict, " of virtual size: ") || !strings.HasSuffix(r.Verdict, " are resident") {
		t.Errorf("verdict: %q", r.Verdict)
	}
	return r
}

// check compares a report's cap. Its Why must contain the argument "why", and the report's Next the argument "next"; if
// this is "", Next must be empty.
func (r Report) check(t *testing.T, n int, source string, kept Kept, why, next string) {
	t.Helper()
	c := r.Cap
	if c.N != n || c.Source != source || c.Kept != kept || !strings.Contains(c.Why, why) || !strings.Contains(r.Next, next) || next == "" && r.Next != "" {
		t.Errorf("got %+v, next %q; want %d from %q, %v, why with %q, next with %q", c, r.Next, n, source, kept, why, next)
	}
}

func TestLookAtCaps(t *testing.T) {
	probe := build(t, "gcc", probeSource)
	const many = "threads 9 1"
	cases := []struct {
		name     string
		env      []string
		commands []string
		n        int
		source   string
		kept     Kept
		why      string
		next     string
	}{
		{"no cap", nil, []string{many}, 0, "", NoAnswer, "neither MALLOC_ARENA_MAX nor", "put 'arenacap run --' in front"},
		{"no cap and no threads", nil, nil, 0, "", NoAnswer, "neither", ""},
		{"kept", []string{"MALLOC_ARENA_MAX=4"}, []string{many}, 4, "environment", Yes, "4 arenas, and 4 are allowed", ""},
		{"kept with one arena", []string{"MALLOC_ARENA_MAX=1"}, []string{many}, 1, "environment", Yes, "1 arena, and 1 are allowed", ""},
		{"tunables that the loader cuts", []string{"MALLOC_ARENA_MAX=7", "GLIBC_TUNABLES=glibc.malloc.tcache_count=2:glibc.malloc.arena_max=3"}, []string{many}, 3, "tunables", Yes, "", ""},
		{"mallopt inside raises it", []string{"MALLOC_ARENA_MAX=4"}, []string{"mallopt 6", many}, 4, "environment", No, "mallopt(M_ARENA_MAX)", "M_ARENA_MAX"},
		{"mallopt inside lowers it", []string{"MALLOC_ARENA_MAX=4"}, []string{"mallopt 2", many}, 4, "environment", Yes, "2 arenas, and 4 are allowed", ""},
		{"an entry without =", []string{"A", "MALLOC_ARENA_MAX=4", "MALLOC_ARENA_MAX"}, []string{many}, 4, "environment", Yes, "4 arenas, and 4 are allowed", ""},
		{"a test that glibc takes", []string{"MALLOC_ARENA_TEST=020"}, nil, 0, "", NoAnswer, "neither MALLOC_ARENA_MAX nor", ""},
		{"an invalid value", []string{"MALLOC_ARENA_MAX=four"}, nil, 0, "", NoAnswer, `the process's glibc rejects "MALLOC_ARENA_MAX=four"`, ""},
		{"several heaps an arena", []string{"MALLOC_ARENA_MAX=3"}, []string{"threads 2 150000"}, 3, "environment", Yes, "", ""},
		{"threads gone", []string{"MALLOC_ARENA_MAX=3"}, []string{many, "end"}, 3, "environment", Yes, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, c.env, probe)
			p.do(c.commands...)
			r := mustLook(t, p.process.Pid, nil)
			r.check(t, c.n, c.source, c.kept, c.why, c.next)
			if arenas, heaps := infoCounts(t, p.do("info")); arenas != r.Process.Census().Arenas || heaps != r.Process.Census().Heaps {
				t.Errorf("%d arenas with %d heaps; malloc_info says %d with %d", r.Process.Census().Arenas, r.Process.Census().Heaps, arenas, heaps)
			}
		})
	}
}

// TestOwnLimit: a cap has no effect on a program that limits its arenas itself, so no cap is advised and no saving counted.
func TestOwnLimit(t *testing.T) {
	probe := build(t, "gcc", probeSource)
	m := policy.Machine{Online: policy.Reading[int]{N: 2}, Affinity: policy.Reading[int]{N: 2}}
	for limit, want := range map[string]string{"mallopt 4": "calls mallopt, and 10 threads share 4 arenas: most likely it sets its own limit", "threads 1 1": "put 'arenacap run --' in front"} {
		p := start(t, nil, probe)
		p.do(limit, "threads 9 1")
		r, err := Look(p.process.Pid, m, nil)
		if err != nil || !strings.Contains(r.Next, want) {
			t.Errorf("%s: %q, %v, want %q", limit, r.Next, err, want)
		}
		host, err := List(t.Context(), m, false)
		i := slices.IndexFunc(host.Rows, func(r Row) bool { return r.PID == p.process.Pid })
		if err != nil || i < 0 || (host.Rows[i].Saving == 0) != (limit == "mallopt 4") {
			t.Errorf("%s: %v, row %d of %+v", limit, err, i, host.Rows)
		}
	}
}

// TestCarrierAbove: a cap set in front of a carrier that removes it has no effect, so the advice is to put arenacap after
// the carrier. If another program stands between the carrier and the process, the advice is the usual one, because that
// program can start the process with arenacap.
func TestCarrierAbove(t *testing.T) {
	testenv.Need(t, "bash")
	probe, supervisor := build(t, "gcc", probeSource), filepath.Join(t.TempDir(), "supervisor.sh")
	if err := os.WriteFile(supervisor, []byte("#!/bin/bash\n(exec -a supervisor /bin/sh -c '\"$0\"; :' \"$1\")\n:\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for script, next := range map[string]string{
		`env -i "$0"; :`:      "the cap cannot arrive, because env clears the environment; put arenacap behind it in the script text of sh: env -i arenacap run … -- ",
		`env -i "$1" "$0"; :`: "put 'arenacap run --' in front of the start command",
	} {
		p := start(t, nil, "/bin/sh", "-c", script, probe, supervisor)
		p.do("threads 9 1")
		r, err := Look(youngest(p.process.Pid), policy.Machine{Online: policy.Reading[int]{N: 2}, Affinity: policy.Reading[int]{N: 2}}, nil)
		if err != nil || !strings.Contains(r.Next, next) {
			t.Errorf("%s: %q, %v", script, r.Next, err)
		}
	}
}

// youngest returns the last descendant of a process, if the process and each descendant have at most one child.
func youngest(pid int) int {
	for {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		child, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return pid
		}
		pid = child
	}
}

// TestLookWithPolicy inspects processes with a policy that sets the cap they were started with, another cap, or none.
func TestLookWithPolicy(t *testing.T) {
	probe := build(t, "gcc", probeSource)
	cases := []struct {
		name   string
		env    []string
		policy string
		n      int
		kept   Kept
		why    string
		next   string
	}{
		{"started under it", []string{"MALLOC_ARENA_MAX=4", "MALLOC_ARENA_TEST=3"}, "cap = 4", 4, Yes, "4 arenas, and 4 are allowed", ""},
		{"started before", nil, "cap = 4", 4, No, "started without a cap", "restart the program with 'arenacap run'"},
		{"started under a larger one", []string{"MALLOC_ARENA_MAX=9"}, "cap = 4", 4, No, "started with a cap of 9", "restart the program"},
		{"within by chance", nil, "cap = 40", 40, NoAnswer, "not in force", "restart the program"},
		{"the inherited cap is kept", []string{"MALLOC_ARENA_MAX=9"}, "cap = 4\ninherited = \"keep\"", 9, Yes, "9 arenas, and 9 are allowed", ""},
		{"no cap in the file: the inherited one", []string{"MALLOC_ARENA_MAX=3"}, "min = 1", 3, Yes, "", ""},
		{"a cap a core", []string{"MALLOC_ARENA_MAX=6"}, "cap = \"3/core\"", 6, Yes, "6 arenas, and 6 are allowed", ""},
		{"off", []string{"MALLOC_ARENA_MAX=3"}, "cap = \"off\"", 0, NoAnswer, `the policy has cap = "off"`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy.toml")
			if err := os.WriteFile(file, []byte("[arenas]\n"+c.policy+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			wanted, err := policy.Lookup{Named: file}.Load()
			if err != nil {
				t.Fatal(err)
			}
			p := start(t, c.env, probe)
			p.do("threads 9 1")
			source := "policy"
			if c.n == 0 {
				source = ""
			}
			r := mustLook(t, p.process.Pid, &wanted)
			r.check(t, c.n, source, c.kept, c.why, c.next)
			if strings.Contains(r.Cap.advice, "mallopt") { // probe calls mallopt only for the command of that name
				t.Errorf("advice %q", r.Cap.advice)
			}
		})
	}
}

// TestLookAtSecureMode gives a program a file capability and starts it as another user than root.
func TestLookAtSecureMode(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Lack(t, "only root gives file capabilities")
	}
	testenv.Need(t, "setcap", "setpriv")
	// The flag -g makes this probe a separate file, because it gets a capability that the other tests' probe must not have.
	probe := build(t, "gcc", probeSource, "-g")
	if out, err := exec.Command("setcap", "cap_net_raw+ep", probe).CombinedOutput(); err != nil {
		testenv.Lack(t, "setcap: %s", out)
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		threads string
		kept    Kept
		why     string
		next    string
	}{
		{"threads 1 1", NoAnswer, "not exceeded so far, but not enforced", ""},
		{"threads 9 1", No, "AT_SECURE", "ambient"},
	} {
		p := start(t, []string{"MALLOC_ARENA_MAX=3"}, setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", probe)
		p.do(c.threads)
		mustLook(t, p.process.Pid, nil).check(t, 3, "environment", c.kept, c.why, c.next)
	}
}

func TestLookAtOtherAllocators(t *testing.T) {
	const code = `#include <stdio.h>
#include <stdlib.h>
int main(void) { volatile char *p = malloc(100); p[0] = 1; puts("ok"); fflush(stdout); return getchar() == EOF; }`
	source := filepath.Join(t.TempDir(), "small.c")
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	cap4 := []string{"MALLOC_ARENA_MAX=4"}

	t.Run("jemalloc", func(t *testing.T) {
		const jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
		if _, err := os.Stat(jemalloc); err != nil {
			testenv.Lack(t, "%v", err)
		}
		p := start(t, append(cap4, "LD_PRELOAD="+jemalloc), build(t, "gcc", probeSource))
		p.do("threads 9 100")
		r := mustLook(t, p.process.Pid, nil)
		r.check(t, 4, "environment", NoAnswer, "the process uses the malloc of jemalloc", "")
		if r.Process.Allocator != "jemalloc" || r.Process.Census().Arenas != 1 {
			t.Errorf("allocator %q, %d arenas", r.Process.Allocator, r.Process.Census().Arenas)
		}
	})
	t.Run("musl", func(t *testing.T) {
		r := mustLook(t, start(t, cap4, build(t, "musl-gcc", source)).process.Pid, nil)
		r.check(t, 4, "environment", NoAnswer, "musl has no arenas", "")
	})
	t.Run("Go", func(t *testing.T) {
		r := mustLook(t, start(t, cap4, buildGo(t)).process.Pid, nil)
		r.check(t, 4, "environment", NoAnswer, "a Go program without cgo does not use malloc", "")
	})
	t.Run("static glibc", func(t *testing.T) {
		p := start(t, cap4, build(t, "gcc", probeSource, "-static"))
		p.do("threads 9 1")
		mustLook(t, p.process.Pid, nil).check(t, 4, "environment", Yes, "4 arenas, and 4 are allowed", "")
	})
	t.Run("32-bit", func(t *testing.T) {
		p := start(t, cap4, build(t, "gcc", probeSource, "-m32"))
		p.do("threads 9 1")
		r := mustLook(t, p.process.Pid, nil)
		r.check(t, 4, "environment", Yes, "4 arenas, and 4 are allowed", "")
		if r.Process.Bits != 32 {
			t.Errorf("%d bits", r.Process.Bits)
		}
	})
}

// buildGo builds a Go program without cgo that waits on its stdin.
func buildGo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	code := "package main\nimport \"os\"\nfunc main() { os.Stdout.WriteString(\"ok\\n\"); os.Stdin.Read(make([]byte, 1)) }\n"
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "program")
}

// TestLookAtATitle: /proc/PID/environ holds the program's title, and no cap may be read from a title.
func TestLookAtATitle(t *testing.T) {
	title := build(t, "gcc", "testdata/title.c")
	for _, text := range []string{"worker", strings.Repeat("t", 60), "MALLOC_ARENA_MAX=2"} {
		p := start(t, []string{"MALLOC_ARENA_MAX=4", "A=1"}, title, text)
		mustLook(t, p.process.Pid, nil).check(t, 0, "", NoAnswer, "overwritten by the program", "")
	}
}

// TestLookWithoutFirstThread: /proc/PID/environ is empty, but the cap is still found.
func TestLookWithoutFirstThread(t *testing.T) {
	program := build(t, "gcc", "testdata/leader.c")
	p := start(t, []string{"MALLOC_ARENA_MAX=3"}, program)
	mustLook(t, p.process.Pid, nil).check(t, 3, "environment", Yes, "3 arenas, and 3 are allowed", "")
	p = start(t, nil, program)
	mustLook(t, p.process.Pid, nil).check(t, 0, "", NoAnswer, "neither MALLOC_ARENA_MAX nor", "arenacap run")
}

// TestLookAtVersions: the version of glibc is found if its file is called libc.so, and in a static program.
func TestLookAtVersions(t *testing.T) {
	versionOf := func(env []string, argv ...string) string {
		p := start(t, env, argv...)
		p.do("threads 2 1")
		return mustLook(t, p.process.Pid, nil).Process.LibcVersion
	}
	probe := build(t, "gcc", probeSource)
	want := versionOf(nil, probe)
	if want == "" {
		t.Fatal("the version of this machine's glibc is not known")
	}
	t.Run("static", func(t *testing.T) {
		if got := versionOf(nil, build(t, "gcc", probeSource, "-static")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("static and stripped", func(t *testing.T) {
		if got := versionOf(nil, build(t, "gcc", probeSource, "-static-pie", "-s")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("as in its build folder", func(t *testing.T) {
		testenv.Need(t, "gcc")
		libc, err := exec.Command("gcc", "-print-file-name=libc.so.6").Output()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(strings.TrimSpace(string(libc)))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "libc.so"), text, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("libc.so", filepath.Join(dir, "libc.so.6")); err != nil {
			t.Fatal(err)
		}
		if got := versionOf([]string{"LD_LIBRARY_PATH=" + dir}, probe); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestLookAtItsOwnLimit: glibc's own limit, which depends on MALLOC_ARENA_TEST, equals the arenas that glibc makes.
func TestLookAtItsOwnLimit(t *testing.T) {
	probe := build(t, "gcc", probeSource)
	test := 8*here().Online.N + 4
	for _, c := range []struct {
		env     []string
		threads int
	}{
		{[]string{fmt.Sprint("MALLOC_ARENA_TEST=", test)}, test + 4},
		{[]string{fmt.Sprint("GLIBC_TUNABLES=glibc.malloc.arena_test=", test)}, test + 4},
		{[]string{"MALLOC_ARENA_TEST=3"}, 8*here().Online.N + 4},
	} {
		p := start(t, c.env, probe)
		p.do(fmt.Sprintf("threads %d 1", c.threads))
		r := mustLook(t, p.process.Pid, nil)
		if want := fmt.Sprintf("glibc's own limit is %d here", len(r.Process.Arenas)); len(r.Process.Arenas) > c.threads || !strings.Contains(r.Cap.Why, want) {
			t.Errorf("%q: %d arenas, %q", c.env, len(r.Process.Arenas), r.Cap.Why)
		}
	}
}

// TestLookBeforeAnUpgrade: glibc before 2.44 allows more arenas for these threads than 2.44 would.
func TestLookBeforeAnUpgrade(t *testing.T) {
	p := start(t, nil, build(t, "gcc", probeSource))
	p.do("threads 600 1")
	r := mustLook(t, p.process.Pid, nil)
	limit := max(8, here().Online.N)
	want := ""
	if v := glibc.Reported(r.Process.LibcVersion, 64); v.Before(44) && len(r.Process.Arenas) > limit {
		want = fmt.Sprintf("without a cap, glibc 2.44 would allow %d arenas here instead of %d", limit, len(r.Process.Arenas))
	}
	if r.Upgrade != want {
		t.Errorf("%q, want %q", r.Upgrade, want)
	}
	p = start(t, []string{"MALLOC_ARENA_MAX=12"}, build(t, "gcc", probeSource))
	p.do("threads 20 1")
	if r := mustLook(t, p.process.Pid, nil); r.Upgrade != "" {
		t.Errorf("under a cap: %q", r.Upgrade)
	}
}

func TestLookAtTwoLibcs(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=2"}, build(t, "gcc", probeSource, "-ldl"))
	p.do("threads 5 1")
	if said := p.do("namespace libc.so.6"); said != "" {
		testenv.Lack(t, "dlmopen: %s", said)
	}
	r := mustLook(t, p.process.Pid, nil)
	r.check(t, 2, "environment", NoAnswer, "2 copies of the C library", "")

	p = start(t, nil, build(t, "gcc", probeSource, "-ldl"))
	p.do("threads 12 1", "namespace libc.so.6")
	// Under a cap of 2 each libc would have 2 arenas. Without a cap, the first libc has 8 or more, up to glibc's own
	// limit; the second has 4: the main one, and one for each thread of the command "namespace".
	r = mustLook(t, p.process.Pid, nil)
	over := r.Process.Census().Arenas - 2*2
	want := fmt.Sprintf("with 2 arenas, one per core here, in each of 2 C libraries, the process would reserve %s less", text.Size(uint64(over)*64*mib))
	r.check(t, 0, "", NoAnswer, "neither", want)
}

func TestLookFails(t *testing.T) {
	t.Run("gone", func(t *testing.T) {
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if _, err := Look(cmd.Process.Pid, here(), nil); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("zombie", func(t *testing.T) {
		p := zombie(t)
		if _, err := Look(p, here(), nil); !errors.Is(err, arena.ErrNoMemory) {
			t.Errorf("got %v", err)
		}
	})
}

// zombie returns the PID of a child that has ended and is reaped only at the end of the test.
func zombie(t *testing.T) int {
	t.Helper()
	process, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = process.Wait() })
	if err := unix.Waitid(unix.P_PID, process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	return process.Pid
}

// TestList: a row has the figures of its process, and processes with only a main arena are left out unless all are
// wanted.
func TestList(t *testing.T) {
	probe := build(t, "gcc", probeSource)
	many, single := start(t, []string{"MALLOC_ARENA_MAX=8"}, probe), start(t, nil, probe)
	many.do("threads 9 1")
	for _, all := range []bool{false, true} {
		host, err := List(t.Context(), here(), all)
		if err != nil {
			t.Fatal(err)
		}
		rows := map[int]Row{}
		for _, r := range host.Rows {
			rows[r.PID] = r
		}
		row := rows[many.process.Pid]
		if row.Arenas != 8 || row.Name != "probe" || row.Threads != 10 || row.ArenaReserved != 7*64*mib || row.ArenaResident == 0 || row.Cap.N != 8 || row.Cap.Kept != Yes || row.Saving != 6*64*mib || host.OneACore != 2 {
			t.Errorf("all %v: row %+v, one a core %d", all, row, host.OneACore)
		}
		if _, shown := rows[single.process.Pid]; shown != all {
			t.Errorf("all %v: the process with the main arena is shown: %v", all, shown)
		}
		for pid, r := range rows {
			if r.Arenas < 2 && !all {
				t.Errorf("process %d has %d arenas", pid, r.Arenas)
			}
		}
	}
}

// BenchmarkList lists a host with additional processes, every tenth of them with arenas.
func BenchmarkList(b *testing.B) {
	forest := build(b, "gcc", "testdata/forest.c")
	for _, n := range []int{100, 1000} {
		start(b, []string{"MALLOC_ARENA_MAX=4"}, forest, strconv.Itoa(n), "10", "8")
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if host, err := List(b.Context(), here(), false); err != nil || len(host.Rows) < n/10 {
					b.Fatal(len(host.Rows), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/process")
		})
	}
}

// TestLookBeforeAndAfterExec: before and after an exec, the result is about the program that the process runs at that time.
func TestLookBeforeAndAfterExec(t *testing.T) {
	testenv.Need(t, "sh")
	probe := build(t, "gcc", probeSource)
	script := fmt.Sprintf("echo ok; read x; MALLOC_ARENA_MAX=3 exec %s", probe)
	p := start(t, []string{"PATH=/usr/bin:/bin", "MALLOC_ARENA_MAX=7"}, "/bin/sh", "-c", script)
	before := mustLook(t, p.process.Pid, nil)
	p.do("")
	p.do("threads 9 1")
	after := mustLook(t, p.process.Pid, nil)
	before.check(t, 7, "environment", Yes, "1 arena, and 7 are allowed", "")
	after.check(t, 3, "environment", Yes, "3 arenas, and 3 are allowed", "")
}
