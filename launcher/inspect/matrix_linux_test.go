package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/launcher/testenv"
)

// TestMatrix starts a probe under each glibc in the directories of $ARENACAP_GLIBCS, with 64 and 32 bits and many
// environments, numbers of threads and sizes. In each cell it compares the arenas and heaps of "arenacap inspect --json" with
// malloc_info(3) inside the probe and with the prediction of packages environ and glibc, and checks the cap and "kept".
// .ci/matrix runs it; with -short it has fewer environments and loads.
func TestMatrix(t *testing.T) {
	root := os.Getenv("ARENACAP_GLIBCS")
	if root == "" {
		t.Skip("no glibcs in $ARENACAP_GLIBCS; .ci/matrix fetches them")
	}
	m := matrix{tool: buildTool(t), online: machine.Find("/", machine.Cores, nil).Online.N}
	folders, err := filepath.Glob(filepath.Join(root, "*", "VERSION"))
	if err != nil || len(folders) < 4 {
		t.Fatalf("found only %d glibcs in %q: %v", len(folders), root, err)
	}
	for _, abi := range []abi{{64, "-m64", "lib/x86_64-linux-gnu"}, {32, "-m32", "lib32"}} {
		probe := m.buildProbe(t, filepath.Join(root, "oldest"), abi)
		for _, file := range folders {
			dir := filepath.Dir(file)
			if filepath.Base(dir) != "oldest" {
				t.Run(fmt.Sprintf("%s/%d-bit", filepath.Base(dir), abi.bits), func(t *testing.T) { m.glibc(t, dir, abi, probe) })
			}
		}
	}
	t.Logf("%d cells checked", m.cells)
}

type matrix struct {
	tool   string
	online int // number of online CPUs
	cells  int
}

// abi is a word size and the directory of its libraries in Debian's packages, with or without /usr in front.
type abi struct {
	bits       int
	flag, libs string
}

func buildTool(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "arenacap")
	if err := testenv.Arenacap(tool, nil); err != nil {
		t.Fatal(err)
	}
	return tool
}

// buildProbe links with the oldest glibc, so that the program starts on all of them.
func (m *matrix) buildProbe(t *testing.T, oldest string, a abi) string {
	t.Helper()
	object := filepath.Join(t.TempDir(), "probe.o")
	libs := filepath.Join(oldest, "usr", a.libs) + "/" // gcc searches its own directory before the sysroot
	for _, args := range [][]string{
		{"-O1", "-pthread", a.flag, "-c", "-o", object, probeSource},
		{"--sysroot=" + oldest, a.flag, "-o", strings.TrimSuffix(object, ".o"), object, "-B", libs, "-L", libs, "-lpthread", "-ldl"},
	} {
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return strings.TrimSuffix(object, ".o")
}

// environments returns the environments of the matrix; with -short only the first four.
func environments() [][]string {
	const max, test, tunables = "MALLOC_ARENA_MAX=", "MALLOC_ARENA_TEST=", "GLIBC_TUNABLES="
	const tuned = tunables + "glibc.malloc.arena_max="
	list := [][]string{
		nil,
		{max + "2"},
		{max + "5", tuned + "3:glibc.malloc.tcache_count=2"},
		{max + "4abc"},
		{max + "1"}, {max + "4"}, {max + "12"}, {max + "4", test + "3"}, {max + "2", test + "20"},
		{test + "1"}, {test + "4"}, {test + "20"}, {test + "0"},
		{tuned + "3:glibc.malloc.tcache_count=2", max + "5"}, {"A=1", tunables + "glibc.malloc.tcache_count=2:glibc.malloc.arena_max=3", "B=2"},
		{max + "5", tuned + "0"}, {max + "5", tuned}, {max + "5", tuned + "3x"}, {tunables + "glibc.malloc.arena_test=20"},
		{tuned + "3:garbage", max + "5"}, {tuned + "3:", max + "5"}, {tuned + "3=4", max + "5"}, {tunables + ":glibc.malloc.arena_max=3"}, {tunables + "garbage:glibc.malloc.arena_max=3"},
		{tuned + "3:glibc.malloc.arena_max=6"}, {tuned + "3:glibc.malloc.arena_max=0"}, {tuned + "3", tuned + "6"},
		{max + "3", max + "5"}, {max + "3", max + "abc"}, {max + "3", max + "0"},
		{max + "0"}, {max}, {max + "-1"}, {max + "abc"}, {max + "4 "}, {max + " 4"}, {max + "+4"}, {max + "\n4"}, {max + "3.7"},
		{max + "010"}, {max + "08"}, {max + "0x5"}, {max + "4294967298"}, {max + "18446744073709551616"},
		{max + "2", tunables + "glibc.rtld.enable_secure=1"}, {"malloc_arena_max=2"}, {"MALLOC_ARENA_MAX"},
	}
	if testing.Short() {
		return list[:4]
	}
	return list
}

// load is a number of threads and the KiB that each thread holds.
type load struct{ threads, kib int }

// loads are the loads of the matrix. Each thread holds 1 KiB, or so much that an arena needs a second heap: 70 MiB, or 1.5
// MiB for the 1 MiB heaps of 32-bit programs; of 40 such threads each holds half as much.
func loads(bits int) []load {
	large := 70 << 10
	if bits == 32 {
		large = 1536
	}
	if testing.Short() {
		return []load{{40, 1}, {1, large}}
	}
	return []load{{1, 1}, {8, 1}, {40, 1}, {1, large}, {8, large}, {40, large / 2}}
}

func (m *matrix) glibc(t *testing.T, dir string, a abi, probe string) {
	version := readVersion(t, dir, a.bits)
	libs := one(t, filepath.Join(dir, "usr", a.libs), filepath.Join(dir, a.libs))
	loader := one(t, filepath.Join(libs, "ld-2.*.so"), filepath.Join(libs, "ld-linux*.so.2"))
	for _, env := range environments() {
		for i, l := range loads(a.bits) {
			if i > 2 && len(env) > 0 && env[0] != "MALLOC_ARENA_MAX=4" && !testing.Short() {
				continue // the environment and the KiB of each thread act independently, so not all pairs of environment and load are tested
			}
			cell := fmt.Sprintf("glibc %s, %d-bit, %q, %d threads with %d KiB", version, a.bits, env, l.threads, l.kib)
			p := start(t, env, loader, "--library-path", libs, probe)
			p.do(fmt.Sprintf("threads %d %d", l.threads, l.kib))
			m.check(t, cell, p, version, env, l)
			p.end()
		}
	}
	if libc := filepath.Join(dir, "usr", a.libs, "libc.a"); a.bits == 64 && usable(libc) {
		m.static(t, dir, filepath.Dir(libc), probe, version)
	}
}

// static links the probe statically with this glibc. arenacap must then infer the version from the program's data.
func (m *matrix) static(t *testing.T, dir, libs, probe string, version glibc.Version) {
	bin := filepath.Join(t.TempDir(), "static")
	args := []string{"--sysroot=" + dir, "-static", "-o", bin, probe + ".o", "-B", libs + "/", "-L", libs, "-lpthread", "-ldl"}
	if version.Before(35) {
		args = append(args, "-Wl,--defsym=_dl_find_object=0") // required by a newer gcc's unwinder
	}
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	l := load{40, 1}
	for _, env := range append(environments()[:4], []string{"MALLOC_ARENA_TEST=3"}, []string{"MALLOC_ARENA_MAX=3", "MALLOC_ARENA_MAX=5"}) {
		p := start(t, env, bin)
		p.do(fmt.Sprintf("threads %d %d", l.threads, l.kib))
		m.check(t, fmt.Sprintf("static glibc %s, %q", version, env), p, version, env, l)
		p.end()
	}
}

// check compares what inspect reports about one process with malloc_info(3) inside the process, and malloc_info with
// the prediction.
func (m *matrix) check(t *testing.T, cell string, p *program, v glibc.Version, env []string, l load) {
	t.Helper()
	m.cells++
	arenas, heaps := infoCounts(t, p.do("info"))
	got, status := m.inspect(t, p.process.Pid)
	setting := environ.Effective(env, v)
	if want := predict(setting, v, m.online, l.threads); arenas != want {
		t.Errorf("%s: malloc_info says %d arenas, predicted were %d", cell, arenas, want)
	}
	if got.Arenas != arenas || got.Heaps != heaps {
		t.Errorf("%s: inspect counts %d arenas with %d heaps, malloc_info %d with %d", cell, got.Arenas, got.Heaps, arenas, heaps)
	}
	if got.LibcVersion != v.String() || got.Allocator != "glibc" {
		t.Errorf("%s: inspect says version %q, malloc by %q", cell, got.LibcVersion, got.Allocator)
	}
	capped := setting.Max.OK && !setting.Max.Unlimited()
	switch {
	case capped && (got.Cap == nil || uint64(*got.Cap) != setting.Max.N || got.Source != setting.Max.From || got.Kept == nil || !*got.Kept):
		t.Errorf("%s: the cap is %+v, inspect says %s", cell, setting.Max, got)
	case !capped && strings.Contains(got.Why, "; glibc's own limit is") && !strings.Contains(got.Why, fmt.Sprintf("limit is %d here", predict(setting, v, m.online, 1<<20))):
		t.Errorf("%s: inspect says %s", cell, got)
	case !capped && (got.Cap != nil || got.Kept != nil):
		t.Errorf("%s: there is no cap, inspect says %s", cell, got)
	}
	if status != 0 {
		t.Errorf("%s: status %d", cell, status)
	}
	sum := uint64(0)
	for _, part := range got.Parts {
		sum += part.Virtual
	}
	if sum != got.Virtual || sum == 0 {
		t.Errorf("%s: the parts add up to %d bytes, the process has %d", cell, sum, got.Virtual)
	}
}

// predict returns how many arenas a number of threads make (malloc/arena.c, arena_get2): the main arena and one for each
// thread, up to the limit of the glibc.
func predict(s environ.Setting, v glibc.Version, online, threads int) int {
	limit, _ := v.Arenas(int(min(s.Max.N, 1<<20)), int(min(s.Test.N, 1<<20)), online)
	return min(limit, threads+1)
}

// seen is the compared part of an object of "inspect --json".
type seen struct {
	LibcVersion string `json:"libc_version"`
	Allocator   string
	Arenas      int
	Heaps       int
	Cap         *int
	Source      string `json:"cap_source"`
	Kept        *bool
	Why         string
	Virtual     uint64 `json:"virtual_bytes"`
	Parts       []struct {
		Virtual uint64 `json:"virtual_bytes"`
	}
}

func (s seen) String() string {
	text, _ := json.Marshal(s)
	return string(text)
}

func (m *matrix) inspect(t *testing.T, pid int) (got seen, status int) {
	t.Helper()
	out, err := exec.Command(m.tool, "inspect", "--json", fmt.Sprint(pid)).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, err = exit.ExitCode(), nil
	}
	var list []seen
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil || len(list) != 1 {
		t.Fatalf("inspect: %v, it printed %q", err, out)
	}
	return list[0], status
}

// infoCounts counts the arenas and their heaps in the text of malloc_info(3): it has an element <heap> for each arena, and
// since 2.27 an element with the number of heaps for each arena except the main one.
func infoCounts(t *testing.T, info string) (arenas, heaps int) {
	t.Helper()
	for _, part := range strings.Split(info, `<aspace type="subheaps" `)[1:] {
		var n int
		if _, err := fmt.Sscanf(part, `size="%d"`, &n); err != nil {
			t.Fatalf("no number of heaps in %q", part)
		}
		heaps += n
	}
	return strings.Count(info, "<heap nr="), heaps
}

// readVersion reads the version of Debian's package libc6, such as "2.36-9+deb12u14", from the file VERSION in dir.
func readVersion(t *testing.T, dir string, bits int) glibc.Version {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	upstream, _, _ := strings.Cut(strings.TrimSpace(string(text)), "-")
	v := glibc.Reported(upstream, bits)
	if !v.Known() {
		t.Fatalf("%q is not a version", text)
	}
	return v
}

// one returns the first usable file or directory that matches one of the patterns.
func one(t *testing.T, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 && usable(found[0]) {
			return found[0]
		}
	}
	t.Fatalf("no file matches one of %q", patterns)
	return ""
}

// usable reports whether path is a file, or a directory that contains libc.so.6.
func usable(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return err == nil
	}
	_, err = os.Stat(filepath.Join(path, "libc.so.6"))
	return err == nil
}
