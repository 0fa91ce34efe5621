package target

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// judged runs a command that calls Quick and Examine in another process, and returns the results of both.
func judged(t *testing.T, cmd *exec.Cmd) (quick, thorough Target) {
	t.Helper()
	cmd.Env = append(cmd.Env, "TARGET_TEST_TOOL=judge")
	var both [2]Target
	must(t, json.Unmarshal([]byte(run(t, cmd)), &both))
	return both[0], both[1]
}

// probe has the first three values that testdata/arenas.c prints.
type probe struct {
	secure, arenas int
	exe            string
}

func probed(t *testing.T, cmd *exec.Cmd) probe {
	t.Helper()
	var p probe
	out := run(t, cmd)
	if _, err := fmt.Sscanf(out, "%d %d %s", &p.secure, &p.arenas, &p.exe); err != nil {
		t.Fatalf("%q: %q: %v", cmd.Args, out, err)
	}
	return p
}

// capped reports whether a real run of the probe obeys caps.
func capped(t *testing.T, command func() *exec.Cmd, env []string) bool {
	t.Helper()
	for _, n := range []int{2, 5} {
		cmd := command()
		cmd.Env = append(slices.Clone(env), fmt.Sprintf("MALLOC_ARENA_MAX=%d", n))
		if probed(t, cmd).arenas != n {
			return false
		}
	}
	return true
}

// TestVerdictIsWhatHappens builds a program with 12 threads in many ways and compares the verdict with the
// arenas that malloc_info(3) counts under caps of 2 and 5.
func TestVerdictIsWhatHappens(t *testing.T) {
	dir := publicDir(t)
	lib := "/usr/lib/x86_64-linux-gnu/"
	for _, c := range []struct {
		name      string
		gcc       []string
		needs     string
		env       []string
		allocator string
		why       string // text that the first sentence of Target.Why must contain
	}{
		{name: "dynamic", allocator: "glibc", why: "libc.so.6"},
		{name: "not position-independent", gcc: []string{"-no-pie"}, allocator: "glibc"},
		{name: "old hash table", gcc: []string{"-Wl,--hash-style=sysv"}, allocator: "glibc"},
		{name: "static", gcc: []string{"-static"}, allocator: "glibc", why: "static"},
		{name: "static and position-independent", gcc: []string{"-static-pie"}, allocator: "glibc", why: "static"},
		{name: "static and stripped", gcc: []string{"-static", "-s"}, allocator: "glibc", why: "static"},
		{name: "32 bits", gcc: []string{"-m32"}, needs: "/usr/lib32/libc.so.6", allocator: "glibc", why: "/lib32/libc.so.6"},
		{name: "linked with jemalloc", gcc: []string{"-Wl,--no-as-needed", lib + "libjemalloc.so.2"}, needs: lib + "libjemalloc.so.2",
			allocator: "jemalloc", why: "links libjemalloc.so.2, and jemalloc does not read MALLOC_ARENA_MAX"},
		{name: "linked with tcmalloc", gcc: []string{"-Wl,--no-as-needed", lib + "libtcmalloc_minimal.so.4"}, needs: lib + "libtcmalloc_minimal.so.4",
			allocator: "tcmalloc", why: "links libtcmalloc_minimal.so.4"},
		{name: "jemalloc after the C library", gcc: []string{"-Wl,--no-as-needed", "-lc", lib + "libjemalloc.so.2"}, needs: lib + "libjemalloc.so.2", allocator: "glibc"},
		{name: "jemalloc preloaded", env: []string{"LD_PRELOAD=libjemalloc.so.2"}, needs: lib + "libjemalloc.so.2", allocator: "jemalloc", why: "libjemalloc.so.2 is preloaded into"},
		{name: "jemalloc preloaded by path", env: []string{"LD_PRELOAD= " + lib + "libjemalloc.so.2:"}, needs: lib + "libjemalloc.so.2", allocator: "jemalloc"},
		{name: "mimalloc preloaded", env: []string{"LD_PRELOAD=libmimalloc.so.2"}, needs: lib + "libmimalloc.so.2", allocator: "mimalloc"},
		{name: "a missing library preloaded", env: []string{"LD_PRELOAD=libjemalloc.so.77"}, allocator: "glibc"},
		{name: "a library of another class preloaded", gcc: []string{"-m32"}, needs: "/usr/lib32/libc.so.6", env: []string{"LD_PRELOAD=" + lib + "libjemalloc.so.2"}, allocator: "glibc"},
		{name: "jemalloc preloaded into a static program", gcc: []string{"-static"}, env: []string{"LD_PRELOAD=libjemalloc.so.2"}, allocator: "glibc"},
		{name: "secure mode by tunables, before glibc 2.40", env: []string{"GLIBC_TUNABLES=glibc.rtld.enable_secure=1"}, allocator: "glibc"},
		{name: "a library without malloc preloaded", env: []string{"LD_PRELOAD=libm.so.6"}, allocator: "glibc"},
		{name: "malloc of its own, passed on", gcc: []string{"-DOWN_MALLOC"}, allocator: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.needs != "" {
				if _, err := os.Stat(c.needs); err != nil {
					testenv.Lack(t, "%v", err)
				}
			}
			program := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
			source := []string{"-o", program, "testdata/arenas.c", "-pthread"}
			if slices.Contains(c.gcc, "-DOWN_MALLOC") {
				source = append(source, "testdata/ownmalloc.c")
			}
			build(t, "gcc", append(source, c.gcc...)...)
			cmd := self("", program)
			cmd.Env = c.env
			quick, got := judged(t, cmd)
			works := capped(t, func() *exec.Cmd { return exec.Command(program) }, c.env)
			if got.CanCap == Unknown && c.allocator != "" || got.CanCap == Yes && !works || got.CanCap == No && works {
				t.Errorf("Examine: can cap: %v, and it works: %v\n%+v", got.CanCap, works, got)
			}
			if quick.CanCap == Yes || quick.CanCap == No && works {
				t.Errorf("Quick: can cap: %v, and it works: %v\n%+v", quick.CanCap, works, quick)
			}
			if got.Allocator != c.allocator {
				t.Errorf("allocator %q, want %q", got.Allocator, c.allocator)
			}
			if len(got.Why) == 0 || !strings.Contains(got.Why[0], c.why) {
				t.Errorf("why %q, want %q in it", got.Why, c.why)
			}
		})
	}
}

// TestKinds checks programs that do not call malloc_info(3): programs of Go, with musl, and without a C library. The table
// has their verdicts.
func TestKinds(t *testing.T) {
	dir := publicDir(t)
	tree(t, dir, [][3]string{
		{"hello/main.go", "644", "package main\nfunc main() { println() }\n"},
		{"cgo/main.go", "644", "package main\n// #include <stdlib.h>\nimport \"C\"\nfunc main() { C.free(C.malloc(1)) }\n"},
		{"main.c", "644", "#include <stdlib.h>\nint main(int n, char **v) { free(malloc(n)); }\n"},
		{"empty.c", "644", "void main(void) {}\n"},
	})
	for _, c := range []struct {
		name, command string
		want          Target
		quick         Answer // verdict of Quick
		why           string
		full          bool
	}{
		{"Go", "CGO_ENABLED=0 go build -o OUT hello/main.go", Target{Bits: 64, Libc: "none", Allocator: "go", Static: true, Go: true, CanCap: No}, No, "Go does not use glibc's malloc", false},
		{"Go for 32 bits", "CGO_ENABLED=0 GOARCH=386 go build -o OUT hello/main.go", Target{Bits: 32, Libc: "none", Allocator: "go", Static: true, Go: true, CanCap: No}, No, "Go does not use glibc's malloc", true},
		{"Go, stripped", "CGO_ENABLED=0 go build -ldflags '-s -w' -o OUT hello/main.go", Target{Bits: 64, Libc: "none", Allocator: "go", Static: true, Go: true, CanCap: No}, No, "Go does not use glibc's malloc", false},
		{"Go, position-independent", "CGO_ENABLED=0 go build -buildmode=pie -o OUT hello/main.go", Target{Bits: 64, Libc: "none", Allocator: "go", Go: true, CanCap: No}, No, "Go does not use glibc's malloc", true},
		{"Go with C", "CGO_ENABLED=1 go build -o OUT cgo/main.go", Target{Bits: 64, Libc: "glibc", Allocator: "glibc", Go: true, Cgo: true, CanCap: Yes}, Unknown, "uses the malloc of", false},
		{"Go with C, static", "CGO_ENABLED=1 go build -ldflags '-linkmode external -extldflags -static' -o OUT cgo/main.go", Target{Bits: 64, Libc: "glibc", Allocator: "glibc", Static: true, Go: true, Cgo: true, CanCap: Yes}, Unknown, "static", true},
		{"musl", "musl-gcc -o OUT main.c", Target{Bits: 64, Libc: "musl", Allocator: "musl", CanCap: No}, No, "uses musl, which has no arenas", false},
		{"musl, static", "musl-gcc -static -o OUT main.c", Target{Bits: 64, Static: true, CanCap: No}, Unknown, "is static and does not contain glibc's malloc", false},
		{"no C library", "gcc -nostdlib -static -Wl,-e,main -o OUT empty.c", Target{Bits: 64, Static: true, CanCap: No}, Unknown, "does not contain glibc's malloc", false},
	} {
		if c.full && !testenv.Full() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.command, "musl-gcc") {
				testenv.Need(t, "musl-gcc")
			}
			out := filepath.Join(dir, strings.NewReplacer(" ", "-", ",", "").Replace(c.name))
			cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(c.command, "OUT", out))
			cmd.Dir = dir
			run(t, cmd)
			got, quick := Examine(out, nil, nil), Quick(out, nil, nil)
			if quick.CanCap != c.quick {
				t.Errorf("Quick: %+v, want %v", quick, c.quick)
			}
			if len(got.Why) == 0 || !strings.Contains(got.Why[0], c.why) {
				t.Errorf("why %q, want %q in it", got.Why, c.why)
			}
			c.want.Path, c.want.Server, c.want.Arrives, c.want.AtSecure = out, out, Yes, No
			got.Why, got.Hints, got.Notes, got.LibcVersion, got.LibcRelease, got.Mapped = nil, nil, nil, "", "", 0
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestLibcVersionLikeLdd compares the version in the file with the output of "ldd --version":
// "ldd (Debian GLIBC 2.36-9+deb12u14) 2.36".
func TestLibcVersionLikeLdd(t *testing.T) {
	testenv.Need(t, "ldd")
	line, _, _ := strings.Cut(run(t, exec.Command("ldd", "--version")), "\n")
	got := Examine("/proc/self/exe", nil, nil)
	if got.Libc == "none" {
		got = Examine("/bin/sh", nil, nil)
	}
	if want := fmt.Sprintf("ldd (%s) %s", got.LibcRelease, got.LibcVersion); want != line {
		t.Errorf("version %q, ldd says %q", want, line)
	}
	if v := got.Glibc(); v.String() != got.LibcVersion {
		t.Errorf("Glibc = %s for %q", v, got.LibcVersion)
	}
}

// TestMappedLikeTheKernel compares Mapped with the virtual size of a program after its start, which also contains the
// stack, the heap and buffers.
func TestMappedLikeTheKernel(t *testing.T) {
	path, err := Find("cat", os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	cat := exec.Command(path)
	cat.Env = []string{"LC_ALL=C"}
	in, _ := cat.StdinPipe()
	out, _ := cat.StdoutPipe()
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cat.Wait() }()
	in.Write([]byte("x"))
	if _, err := out.Read(make([]byte, 1)); err != nil { // wait until the loader has finished
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", cat.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var pages uint64
	fmt.Sscan(string(text), &pages)
	virtual := pages * uint64(os.Getpagesize())
	if got := Examine(path, nil, cat.Env).Mapped; got == 0 || got > virtual || virtual-got > 2<<20 {
		t.Errorf("%d bytes mapped of a virtual size of %d", got, virtual)
	}
}

// TestQuickAgreesWithExamine checks that Quick and Examine say No of the same programs, among common servers and
// interpreters that are installed.
func TestQuickAgreesWithExamine(t *testing.T) {
	for _, program := range []string{"/bin/sh", "/usr/bin/redis-server", "/usr/sbin/mariadbd", "/usr/bin/python3", "/usr/bin/perl", "/usr/bin/java"} {
		if _, err := os.Stat(program); err != nil {
			continue
		}
		quick, full := Quick(program, nil, nil), Examine(program, nil, nil)
		if (quick.CanCap == No) != (full.CanCap == No) {
			t.Errorf("%s: Quick %+v, Examine %+v", program, quick, full)
		}
	}
}

// TestScriptsLikeTheKernel runs scripts, and compares /proc/self/exe of the program that runs with Target.Program. Of
// files without a #! line it checks only the interpreters.
func TestScriptsLikeTheKernel(t *testing.T) {
	dir := publicDir(t)
	probe := dir + "/bin/probe"
	must(t, os.Mkdir(dir+"/bin", 0o755))
	build(t, "gcc", "-o", probe, "testdata/arenas.c", "-pthread")
	tree(t, dir, [][3]string{
		{"direct", "755", "#!" + probe + "\n"},
		{"argument", "755", "#! \t" + probe + " -x y \n"},
		{"nested", "755", "#!" + dir + "/direct\n"},
		{"env", "755", "#!/usr/bin/env probe\n"},
		{"env-split", "755", "#!/usr/bin/env -S probe -x 'y z'\n"},
		{"env-variables", "755", "#!/usr/bin/env -S A=b LC_ALL=C probe\n"},
		{"env-path", "755", "#!/usr/bin/env -S PATH=" + dir + "/other:/bin probe\n"},
		{"other/probe", "755", "-> ../bin/probe"},
		{"env-unset", "755", "#!/usr/bin/env -S -uA probe\n"},
		{"env-split-long", "755", "#!/usr/bin/env --split-string=-u A probe\n"},
		{"env-script", "755", "#!/usr/bin/env direct\n"},
		{"bin/direct", "755", "-> ../direct"},
		{"bin/plain", "755", "exec " + probe + "\n"},
		{"env-plain", "755", "#!/usr/bin/env plain\n"},
	})
	env := []string{"PATH=" + dir + "/bin:/usr/bin:/bin"}
	for name, chain := range map[string][]string{
		"direct": {probe}, "argument": {probe}, "nested": {dir + "/direct", probe},
		"env": {"/usr/bin/env", probe}, "env-split": {"/usr/bin/env", probe}, "env-variables": {"/usr/bin/env", probe},
		"env-path": {"/usr/bin/env", dir + "/other/probe"}, "env-unset": {"/usr/bin/env", probe}, "env-split-long": {"/usr/bin/env", probe},
		"env-script": {"/usr/bin/env", dir + "/bin/direct", probe},
	} {
		t.Run(name, func(t *testing.T) {
			path := dir + "/" + name
			got := Examine(path, nil, env)
			if !slices.Equal(got.Interpreters, chain) || got.CanCap != Yes || got.Path != path {
				t.Errorf("interpreters %q, can cap %v %q, want %q", got.Interpreters, got.CanCap, got.Why, chain)
			}
			cmd := exec.Command(path)
			cmd.Env = env
			ran := probed(t, cmd).exe
			if judged, err := filepath.EvalSymlinks(got.Program()); err != nil || judged != ran {
				t.Errorf("judged %q (%v), but %q ran", judged, err, ran)
			}
			if quick := Quick(path, nil, env); !slices.Equal(quick.Interpreters, chain) {
				t.Errorf("Quick: %+v", quick)
			}
		})
	}
	for name, chain := range map[string][]string{"bin/plain": nil, "env-plain": {"/usr/bin/env", dir + "/bin/plain", "/bin/sh"}} {
		if got := Examine(dir+"/"+name, nil, env); !slices.Equal(got.Interpreters, chain) || got.CanCap != Yes {
			t.Errorf("%s: interpreters %q %v, want %q", name, got.Interpreters, got.Why, chain)
		}
	}
}

// TestScriptsThatCannotBeJudged checks that the verdict is unknown, with the reason. It is No if env in the #! line
// changes the cap.
func TestScriptsThatCannotBeJudged(t *testing.T) {
	dir := publicDir(t)
	elf, err := os.ReadFile("/bin/true")
	must(t, err)
	foreign := slices.Clone(elf)
	foreign[18] = 243 // RISC-V
	tree(t, dir, [][3]string{
		{"missing", "755", "#!/no/such\n"}, {"self", "755", "#!" + dir + "/self\n"}, {"env-nothing", "755", "#!/usr/bin/env\n"},
		{"env-missing", "755", "#!/usr/bin/env no-such\n"}, {"env-option", "755", "#!/usr/bin/env -i\n"},
		{"folder", "755", "/"}, {"fifo", "755", "fifo"}, {"cut", "755", string(elf[:80])}, {"foreign", "755", string(foreign)},
		{"env-clear", "755", "#!/usr/bin/env -iS sh\n"}, {"env-set", "755", "#!/usr/bin/env -S MALLOC_ARENA_MAX=9 sh\n"}, {"env-drop", "755", "#!/usr/bin/env -S -u MALLOC_ARENA_MAX sh\n"},
	})
	env := []string{"PATH=/usr/bin:/bin"}
	for name, want := range map[string]string{
		"missing": `"/no/such" cannot be read: no such file`, "self": "has 16 interpreters or more", "env-nothing": "runs env without a program",
		"env-missing": `"no-such" was not found in PATH`, "env-option": "runs env without a program", "folder": "is a directory",
		"fifo": "cannot be read", "cut": "program headers are cut off", "foreign": "another processor (ELF machine 243)", "nowhere": "no such file",
	} {
		for _, got := range []Target{Quick(dir+"/"+name, nil, env), Examine(dir+"/"+name, nil, env)} {
			if got.CanCap != Unknown || len(got.Why) != 1 || !strings.Contains(got.Why[0], want) {
				t.Errorf("%s: %v %q, want unknown and %q", name, got.CanCap, got.Why, want)
			}
		}
	}
	for _, name := range []string{"env-clear", "env-set", "env-drop"} {
		for _, got := range []Target{Quick(dir+"/"+name, nil, env), Examine(dir+"/"+name, nil, env)} {
			if got.CanCap != No || !strings.Contains(got.Why[0], "changes MALLOC_ARENA_MAX") {
				t.Errorf("%s: %v %q", name, got.CanCap, got.Why)
			}
		}
	}
}

// TestAllocatorUnderNamesOfItsOwn: in a server that contains jemalloc as je_malloc, malloc is glibc's, but the server
// allocates with jemalloc. Examine recognizes jemalloc by one of its strings; the program of this test has only the
// string.
func TestAllocatorUnderNamesOfItsOwn(t *testing.T) {
	dir := publicDir(t)
	tree(t, dir, [][3]string{{"main.c", "644", "#include <stdlib.h>\nconst char *volatile text = \"<jemalloc>: x\";\nint main(int n, char **v) { free(malloc(n)); }\n"}})
	for _, args := range [][]string{nil, {"-static"}} {
		build(t, "gcc", append([]string{"-o", dir + "/main", dir + "/main.c"}, args...)...)
		got := Examine(dir+"/main", nil, nil)
		if got.CanCap != Unknown || got.Allocator != "glibc" || !strings.Contains(got.Why[0], "contains jemalloc under other symbol names") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// TestScanAcrossChunks finds a text at any offset, also across the end of a chunk.
func TestScanAcrossChunks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, at := range []int{0, 1, 256<<10 - 513, 256<<10 - 300, 256<<10 - 3, 256 << 10, 512<<10 - 5, 700 << 10} {
		b := []byte(strings.Repeat("x", at) + "needle" + strings.Repeat("y", 300))
		must(t, os.WriteFile(path, b, 0o644))
		f, err := fsys{}.open(path)
		must(t, err)
		found, whole := f.scan("needle", "nowhere")
		f.close()
		if string(found[0]) != strings.Repeat("y", 256) || found[1] != nil || !whole {
			t.Errorf("at %d: %q, %v", at, found, whole)
		}
	}
}
