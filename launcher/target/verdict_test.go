package target

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// TestConclude checks the verdict on given facts, such as versions and settings that this machine does not have.
func TestConclude(t *testing.T) {
	glibc := func(version, release string) Target {
		return Target{Arrives: Yes, Server: "/srv/x", Bits: 64, Libc: "glibc", LibcVersion: version, LibcRelease: release, Allocator: "glibc", AtSecure: No}
	}
	libc := facts{thorough: true, libc: "/lib/libc.so.6"}
	with := func(change func(*facts)) facts {
		f := libc
		change(&f)
		return f
	}
	secure := with(func(f *facts) { f.enable = true })
	locked := with(func(f *facts) { f.locked = "/etc/tunables.conf sets it" })
	for _, c := range []struct {
		name   string
		target Target
		facts  facts
		want   Answer
		why    string
		note   string
	}{
		{"2.36", glibc("2.36", "Debian GLIBC 2.36-9"), libc, Yes, `"/srv/x" uses the malloc of "/lib/libc.so.6" (glibc 2.36)`, ""},
		{"RHEL 5", glibc("2.5", "GNU libc"), libc, No, "no limit on arenas", ""},
		{"before the limit", glibc("2.9", "GNU libc"), libc, No, "no limit on arenas", ""},
		{"RHEL 6", glibc("2.12", "GNU libc"), libc, Yes, "(glibc 2.12)", "may have been built without a limit"},
		{"2.25 upstream", glibc("2.25", "GNU libc"), libc, No, "ignores MALLOC_ARENA_MAX (a bug", ""},
		{"2.26 upstream", glibc("2.26", "GNU libc"), libc, No, "ignores MALLOC_ARENA_MAX (a bug", ""},
		{"2.26 of SLES 15", glibc("2.26", "GNU libc git 3a5ea88f8e"), libc, Unknown, "unless it was patched", ""},
		{"2.26 of Ubuntu", glibc("2.26", "Ubuntu GLIBC 2.26-0ubuntu2"), libc, Unknown, "unless it was patched", ""},
		{"2.27", glibc("2.27", "GNU libc"), libc, Yes, "(glibc 2.27)", ""},
		{"enable_secure before 2.40", glibc("2.39", ""), secure, Yes, "(glibc 2.39)", ""},
		{"enable_secure since 2.40", glibc("2.40", ""), secure, No, "enable_secure=1", ""},
		{"a development version", glibc("2.43.9000", ""), secure, No, "enable_secure=1", ""},
		{"tunables.conf before 2.44", glibc("2.43", ""), locked, Yes, "(glibc 2.43)", ""},
		{"tunables.conf since 2.44", glibc("2.44", ""), locked, No, "/etc/tunables.conf sets it", ""},
		{"version not found", glibc("", ""), libc, Unknown, "the version of the C library", ""},
		{"another C library", Target{Arrives: Yes, Server: "/srv/x"}, facts{thorough: true}, Unknown, "was not recognized", ""},
		{"Quick", glibc("", ""), facts{}, Unknown, "", ""},
		{"a static program, packed", Target{Arrives: Yes, Server: "/srv/x", Static: true}, facts{thorough: true}, Unknown, "cannot see whether it contains", ""},
		{"a static program of an old glibc", Target{Arrives: Yes, Server: "/srv/x", Static: true, Libc: "glibc"}, with(func(f *facts) { f.staticMalloc = true }), Unknown, "may ignore", ""},
		{"an allocator under other symbol names", glibc("2.36", ""), with(func(f *facts) { f.hidden = []string{"jemalloc"} }), Unknown, "contains jemalloc under other symbol names", ""},
		{"an allocator linked statically", func() Target { t := glibc("2.36", ""); t.Allocator = "tcmalloc"; return t }(), with(func(f *facts) { f.replaces = "/srv/x" }), No, "contains another malloc, and tcmalloc does not read", ""},
		{"mallopt", glibc("2.36", ""), with(func(f *facts) { f.mallopt = "/lib/liby.so" }), Yes, "uses the malloc", `"/lib/liby.so" calls mallopt`},
		{"set-uid", glibc("2.36", ""), with(func(f *facts) { f.secure = "is set-uid" }), No, `"/srv/x" is set-uid, so the kernel starts it in secure mode`, ""},
	} {
		c.target.conclude(c.facts)
		if got := strings.Join(c.target.Why, "\n"); c.target.CanCap != c.want || !strings.Contains(got, c.why) || (c.why == "") != (got == "") {
			t.Errorf("%s: %v %q, want %v %q", c.name, c.target.CanCap, got, c.want, c.why)
		}
		if got := strings.Join(c.target.Notes, "\n"); !strings.Contains(got, c.note) || (c.note == "") != (got == "") {
			t.Errorf("%s: notes %q, want %q", c.name, got, c.note)
		}
	}
}

// TestAnswerJSON checks that an unknown answer becomes null, and the others true and false.
func TestAnswerJSON(t *testing.T) {
	for a, want := range map[Answer]string{Unknown: "null", No: "false", Yes: "true"} {
		if got, err := a.MarshalJSON(); string(got) != want || err != nil {
			t.Errorf("%v: %s, %v", a, got, err)
		}
	}
}

// TestAnotherRoot examines programs in root directories that have a C library of another version.
func TestAnotherRoot(t *testing.T) {
	for _, c := range []struct {
		situation string
		banner    string
		files     [][3]string
		env       []string
		want      Answer
		why       string
	}{
		{"a newer glibc", "GNU libc) stable release version 2.44.", nil, nil, Yes, "(glibc 2.44)"},
		{"tunables.conf locked", "GNU libc) stable release version 2.44.", [][3]string{{"tunables", "644", "-4"}}, nil, No,
			"/etc/tunables.conf sets glibc.malloc.arena_max to 4, which the environment cannot override"},
		{"tunables.conf locked, then not", "GNU libc) stable release version 2.44.", [][3]string{{"tunables", "644", "-4 3"}}, nil, Yes, "(glibc 2.44)"},
		{"tunables.conf locked with nonsense", "GNU libc) stable release version 2.44.", [][3]string{{"tunables", "644", "-0"}}, nil, No, "with an invalid value"},
		{"tunables.conf for this program", "GNU libc) stable release version 2.44.", [][3]string{{"tunables", "644", "-4[prog"}}, nil, No, "/etc/tunables.conf sets"},
		{"tunables.conf for another program", "GNU libc) stable release version 2.44.", [][3]string{{"tunables", "644", "-4[/bin/other"}}, nil, Yes, "(glibc 2.44)"},
		{"tunables.conf that may be overridden", "GNU libc) stable release version 2.44.", [][3]string{{"tunables", "644", "4"}}, nil, Yes, "(glibc 2.44)"},
		{"tunables.conf with an old glibc", "GNU libc) stable release version 2.43.", [][3]string{{"tunables", "644", "-4"}}, nil, Yes, "(glibc 2.43)"},
		{"enable_secure", "GNU libc) stable release version 2.41.", nil, []string{"GLIBC_TUNABLES=glibc.rtld.enable_secure=1"}, No, "enable_secure=1"},
		{"an allocator in ld.so.preload", "GNU libc) stable release version 2.36.", [][3]string{{"etc/ld.so.preload", "644", "# ours\n/lib/libjemalloc.so.2\n"}}, nil, No, "libjemalloc.so.2 is preloaded into"},
		{"ld.so.preload of a missing library", "GNU libc) stable release version 2.36.", [][3]string{{"etc/ld.so.preload", "644", "/lib/libgone.so"}}, nil, Yes, "(glibc 2.36)"},
		{"no banner", "nothing", nil, nil, Unknown, "the version of the C library"},
	} {
		t.Run(c.situation, func(t *testing.T) {
			t.Parallel()
			root := publicDir(t)
			tree(t, root, append(c.files, [][3]string{
				{"main.c", "644", "#include <stdlib.h>\nint main(void) { free(malloc(1)); }\n"}, {"etc/ld.so.conf", "644", "/opt/lib\n"},
				{"libc.c", "644", "char banner[] = \"GNU C Library (" + c.banner + "\\n\";\nvoid *malloc(unsigned long n) { return 0; }\nvoid free(void *p) {}\n"}, {"opt/lib", "755", "/"}, {"lib", "755", "/"},
			}...))
			build(t, "gcc", "-o", root+"/prog", root+"/main.c")
			build(t, "gcc", "-w", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libc.so.6", "-o", root+"/opt/lib/libc.so.6", root+"/libc.c")
			build(t, "gcc", "-w", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libjemalloc.so.2", "-o", root+"/lib/libjemalloc.so.2", root+"/libc.c")
			fakeCache(t, root)
			got := fsys{root}.judge("/prog", nil, c.env, true)
			if got.CanCap != c.want || !strings.Contains(strings.Join(got.Why, "\n"), c.why) {
				t.Errorf("%v %q, want %v %q", got.CanCap, got.Why, c.want, c.why)
			}
		})
	}
}

// fakeCache runs ldconfig, and adds the section that a newer ldconfig would write for /etc/tunables.conf. Each word of
// the file "tunables" stands for a line of tunables.conf and is a value of arena_max. A "-" before the value locks the
// line; a "[" and the name of a program after the value limit the line to this program.
func fakeCache(t *testing.T, root string) {
	t.Helper()
	ldconfig := "/sbin/ldconfig"
	testenv.Need(t, ldconfig)
	run(t, exec.Command(ldconfig, "-r", root, "-X"))
	lines, err := os.ReadFile(filepath.Join(root, "tunables"))
	if err != nil {
		return
	}
	path := filepath.Join(root, "etc/ld.so.cache")
	b, err := os.ReadFile(path)
	must(t, err)
	order := binary.NativeEndian
	text := func(s string) uint32 {
		b = append(append(b, s...), 0)
		return uint32(len(b) - len(s) - 1)
	}
	name, entries := text("glibc.malloc.arena_max"), []byte{}
	for _, line := range strings.Fields(string(lines)) {
		value, program, filtered := strings.Cut(line, "[")
		flags := uint32(tunableParsed | tunableNotSecure)
		value, locked := strings.CutPrefix(value, "-")
		if locked {
			flags |= tunableLocked
		}
		if filtered {
			flags |= tunableOfProgram
		}
		for _, field := range []uint32{flags, 0, name, text(value), text(program), 0} {
			entries = order.AppendUint32(entries, field)
		}
		n, err := strconv.ParseUint(value, 10, 64)
		must(t, err)
		entries = order.AppendUint64(entries, n)
	}
	at := uint32(len(b))
	for _, field := range []uint32{extensionMagic, 1, tunablesTag, 0, at + 24, uint32(tunablesHeader + len(entries)),
		tunablesMark, tunablesVersion, uint32(len(entries) / tunablesEntry), 0} {
		b = order.AppendUint32(b, field)
	}
	order.PutUint32(b[32:], at)
	must(t, os.WriteFile(path, append(b, entries...), 0o644))
}

// TestNotesAndHints checks the complete reasons, notes and hints of one program.
func TestNotesAndHints(t *testing.T) {
	t1 := Target{Arrives: Yes, Server: "/srv/x.py", Interpreters: []string{"/usr/bin/env", "/usr/bin/python3"}, Libc: "glibc", LibcVersion: "2.36", Allocator: "jemalloc"}
	t1.conclude(facts{thorough: true, cap: 3, replaces: "/lib/libjemalloc.so.2", preloaded: true})
	want := Target{
		Why:   []string{`libjemalloc.so.2 is preloaded into "/usr/bin/python3", and jemalloc does not read MALLOC_ARENA_MAX`},
		Notes: []string{`"/srv/x.py" is a script: the verdict is about /usr/bin/python3, and programs that it starts inherit the cap`},
		Hints: []string{"for jemalloc, set MALLOC_CONF=narenas:3"},
	}
	if !slices.Equal(t1.Why, want.Why) || !slices.Equal(t1.Notes, want.Notes) || !slices.Equal(t1.Hints, want.Hints) {
		t.Errorf("got  %q %q %q\nwant %q %q %q", t1.Why, t1.Notes, t1.Hints, want.Why, want.Notes, want.Hints)
	}
}
