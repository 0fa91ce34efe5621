package target

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
)

func TestParseShebang(t *testing.T) {
	for _, c := range []struct {
		head string
		want shebang
		ok   bool
	}{
		{"#!/bin/sh\n", shebang{"/bin/sh", ""}, true},
		{"#! /bin/sh -e \nx", shebang{"/bin/sh", "-e"}, true},
		{"#!\t/usr/bin/env  python3 -u\t\n", shebang{"/usr/bin/env", "python3 -u"}, true},
		{"#!/bin/sh", shebang{"/bin/sh", ""}, true},
		{"#!/bin/sh\r\n", shebang{"/bin/sh\r", ""}, true},
		{"#!sh\n", shebang{"sh", ""}, true},
		{"#!/bin/sh\x00x y\n", shebang{"/bin/sh", ""}, true},
		{"#!/" + strings.Repeat("x", 251) + " y\n", shebang{"/" + strings.Repeat("x", 251), ""}, true},
		{"#!/bin/sh " + strings.Repeat("y", 400), shebang{"/bin/sh", strings.Repeat("y", 245)}, true},
		{"#!/" + strings.Repeat("x", 252), shebang{}, false},
		{"", shebang{}, false}, {"#", shebang{}, false}, {"# !/bin/sh\n", shebang{}, false},
		{"#!\n/bin/sh\n", shebang{}, false}, {"#! \t\n", shebang{}, false}, {"echo\n", shebang{}, false},
	} {
		if got, ok := parseShebang([]byte(c.head)); got != c.want || ok != c.ok {
			t.Errorf("parseShebang(%.40q) = %+v, %v, want %+v", c.head, got, ok, c.want)
		}
	}
}

// TestSplitLikeEnv compares splitWords with env(1).
func TestSplitLikeEnv(t *testing.T) {
	for _, s := range []string{
		"a b", "  a\t b ", "'a b' c", `"a b"c`, `a\_b`, `"a\_b"`, `a\tb\n`, `'a\tb'`, `a\'b`, `'a\'b'`, `a#b #c`, "#a", `\#a`, `""`, `'' a`,
		"${NAME}", "x${NAME}y", `"${NAME}"`, `'${NAME}'`, "${NO_SUCH}", "a ${NO_SUCH} b", `a\cb`, `a \c b`, `\$x`, `a\\b`, `'a"b'`, `"a'b"`, "a\vb\fc",
	} {
		cmd := exec.Command("/usr/bin/env", "-S", `/usr/bin/printf [%s]\\n x `+s)
		cmd.Env = []string{"NAME=v w"}
		want := run(t, cmd)
		got := ""
		for _, word := range append([]string{"x"}, splitWords(s, func(name string) string { return map[string]string{"NAME": "v w"}[name] })...) {
			got += "[" + word + "]\n"
		}
		if got != want {
			t.Errorf("splitWords(%q) gives %q, env -S %q", s, got, want)
		}
	}
}

// TestEnvLine parses ARGUMENT of "#!/usr/bin/env ARGUMENT", which the kernel passes as one word.
func TestEnvLine(t *testing.T) {
	for _, c := range []struct {
		argument string
		program  string
		env      string // the environment that results from A=0
	}{
		{"python3", "python3", "A=0"},
		{"python3 -u", "python3 -u", "A=0"}, // one argument: a program whose name has a blank
		{"-S python3 -u", "python3", "A=0"},
		{"-Spython3 -u", "python3", "A=0"},
		{"-vS A=1 B= sh", "sh", "A=1 B="},
		{"-iS sh", "sh", ""},
		{"-S -i - sh", "sh", ""},
		{"-S -u A -uB --unset=C -- sh", "sh", ""},
		{"-S -C /tmp --chdir=/tmp sh", "sh", "A=0"},
		{"--split-string=-S sh x", "sh", "A=0"},
		{"--ignore-environment", "", ""}, {"-S", "", "A=0"}, {"A=1", "", "A=1"}, {"-S -u", "", "A=0"},
	} {
		got := carrierAt("env").read("env", []string{c.argument}, func(string) string { return "" })
		program := strings.Join(got.command[:min(1, len(got.command))], "")
		if env := strings.Join(got.environment([]string{"A=0"}), " "); program != c.program || env != c.env || (got.problem != "") != (c.program == "") {
			t.Errorf("env %q = %q, environment %q, want %q %q", c.argument, program, env, c.program, c.env)
		}
	}
}

func TestEnablesSecure(t *testing.T) {
	const on = "glibc.rtld.enable_secure=1"
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{[]string{"GLIBC_TUNABLES=" + on}, true},
		{[]string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3:" + on}, true},
		{[]string{"GLIBC_TUNABLES=garbage:" + on}, true},
		{[]string{"GLIBC_TUNABLES=glibc.rtld.enable_secure=0x1"}, true},
		{[]string{"GLIBC_TUNABLES=" + on + ":glibc.rtld.enable_secure=0"}, false},
		{[]string{"GLIBC_TUNABLES=" + on, "GLIBC_TUNABLES=glibc.rtld.enable_secure=0"}, false},
		{[]string{"GLIBC_TUNABLES=" + on + ":"}, false}, // malformed: glibc ignores all of it
		{[]string{"GLIBC_TUNABLES=" + on + "=2"}, false},
		{[]string{"GLIBC_TUNABLES="}, false},
		{[]string{"TUNABLES=" + on}, false},
		{nil, false},
	} {
		if got := enablesSecure(c.env); got != c.want {
			t.Errorf("enablesSecure(%q) = %v", c.env, got)
		}
	}
}

// TestSystemTunables reads a cache that ldconfig of glibc 2.44 built from testdata/tunables.conf. The wanted values are the
// output of "ld.so --list-tunables" of glibc 2.44 for programs of these names.
func TestSystemTunables(t *testing.T) {
	v := glibc.Version{Major: 2, Minor: 44}
	for _, c := range []struct {
		program   string
		env       []string
		max, test uint64
	}{
		{"/usr/bin/z", nil, 10, 2},
		{"/usr/bin/x", nil, 1<<64 - 1, 2},
		{"/usr/bin/y", nil, 10, 2},
		{"/usr/bin/z", []string{"MALLOC_ARENA_MAX=3"}, 3, 2},
		{"/usr/bin/x", []string{"MALLOC_ARENA_MAX=3"}, 1<<64 - 1, 2},
		{"/opt/y", []string{"MALLOC_ARENA_MAX=3"}, 10, 2},
		{"/opt/x", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=6:glibc.malloc.arena_test=9"}, 6, 2},
		{"/opt/y", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=6:glibc.malloc.arena_test=9"}, 10, 2},
	} {
		got := environ.Effective(c.env, v, fsys{}.systemTunables(c.program, "testdata/tunables.cache", false)...)
		if got.Max.N != c.max || got.Test.N != c.test || !got.Test.Locked {
			t.Errorf("%s %q: %+v, want %d and %d", c.program, c.env, got, c.max, c.test)
		}
	}
	// In secure mode the lines with onlysecure or anysecure apply.
	secure := environ.Effective(nil, v, fsys{}.systemTunables("/usr/bin/z", "testdata/tunables.cache", true)...)
	if want := (environ.Value{N: 7, OK: true, From: "tunables", System: true, Locked: true}); secure.Max != want || secure.Test != (environ.Value{Locked: true}) {
		t.Errorf("in secure mode: %+v", secure)
	}
	if got := environ.Effective(nil, glibc.Version{Major: 2, Minor: 43}, environ.SystemTunable{Name: "glibc.malloc.arena_max", N: 4}); got != (environ.Setting{}) {
		t.Errorf("glibc 2.43 does not read /etc/tunables.conf, want none of its lines: %+v", got)
	}
}

func TestParsePreloadFile(t *testing.T) {
	got := parsePreloadFile([]byte("/lib/a.so b.so:c.so\t\n# d.so\ne.so # f.so\n\n"))
	if want := []string{"/lib/a.so", "b.so", "c.so", "e.so"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestParseOldCache parses the format of ldconfig up to glibc 2.31 and the newer one, in both byte orders, with hwcap
// entries.
func TestParseOldCache(t *testing.T) {
	texts := "libx.so\x00/lib/hw/libx.so\x00/lib/libx.so\x00"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		b := order.AppendUint32([]byte(cacheMagicOld+"\x00"), 1)
		b = append(b, make([]byte, 12)...) // the only entry of the table in the old format; the parser skips that table
		inner := order.AppendUint32([]byte(cacheMagic), 2)
		inner = order.AppendUint32(inner, uint32(len(texts)))
		flags := byte(2)
		if order.String() == "BigEndian" {
			flags = 3
		}
		inner = append(inner, flags)
		inner = append(inner, make([]byte, cacheHeader-len(inner))...)
		base := uint32(cacheHeader + 2*cacheEntry)
		for _, e := range []struct {
			path  uint32
			hwcap uint64
		}{{8, 1 << 62}, {24, 0}} {
			for _, v := range []uint32{0x303, base, base + e.path, 0} {
				inner = order.AppendUint32(inner, v)
			}
			inner = order.AppendUint64(inner, e.hwcap)
		}
		b = append(append(b, inner...), texts...)
		for name, whole := range map[string][]byte{"old": b, "new": append(inner, texts...)} {
			cache, err := parseLDCache(whole)
			must(t, err)
			if got, want := cache.lookup("libx.so"), []string{"/lib/libx.so"}; !slices.Equal(got, want) {
				t.Errorf("%s, %v: %q, want %q", name, order, got, want)
			}
		}
	}
	for _, bad := range []string{"", cacheMagicOld, cacheMagic, cacheMagic + strings.Repeat("\xff", 40)} {
		if _, err := parseLDCache([]byte(bad)); err == nil {
			t.Errorf("parseLDCache(%q) gives no error", bad)
		}
	}
}

func TestParseLoader(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       loaderDirs
		ok         bool
	}{
		{"Debian", "x\x00/etc/ld.so.cache\x00 search\x00a/\x00/lib/x86_64-linux-gnu/\x00/usr/lib/x86_64-linux-gnu/\x00/lib/\x00/usr/lib/\x00\x00",
			loaderDirs{"/etc/ld.so.cache", []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"}, "lib/x86_64-linux-gnu"}, true},
		{"Fedora", "\x00/etc/ld.so.cache\x00\x00/lib64/\x00/usr/lib64/\x00\x00", loaderDirs{"/etc/ld.so.cache", []string{"/lib64", "/usr/lib64"}, "lib64"}, true},
		{"a prefix of its own", "/opt/glibc/etc/ld.so.cache\x00/opt/glibc/lib/\x00/opt/glibc/usr/lib/\x00", loaderDirs{"/opt/glibc/etc/ld.so.cache", []string{"/opt/glibc/lib", "/opt/glibc/usr/lib"}, "lib"}, true},
		{"no folders", "/etc/ld.so.cache\x00", loaderDirs{}, false},
		{"musl", "/etc/ld-musl-x86_64.path\x00/lib:/usr/local/lib:/usr/lib\x00", loaderDirs{}, false},
	} {
		got, ok := parseLoader([]byte(c.text))
		if ok != c.ok || ok && fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, ok, c.want)
		}
	}
}

// seeds adds the first bytes of real files to a fuzz corpus.
func seeds(f *testing.F, size int, patterns ...string) {
	f.Helper()
	f.Add([]byte{})
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil {
				f.Add(bytes.Clone(b[:min(size, len(b))]))
			}
		}
	}
}

func FuzzImage(f *testing.F) {
	seeds(f, 32<<10, "/bin/true", "/lib/x86_64-linux-gnu/libdl.so.2", "/usr/lib32/libdl.so.2")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		must(t, os.WriteFile(path, b, 0o755))
		im, err := fsys{}.openImage(path)
		if err != nil {
			return
		}
		defer im.close()
		im.notes()
		names, err := im.needed()
		if err == nil && len(names) != len(im.needs) {
			t.Errorf("%d names for %d needs", len(names), len(im.needs))
		}
		im.name(elf.DT_SONAME)
		im.mallocSymbols()
		fsys{}.judge(path, nil, nil, true)
	})
}

func FuzzHead(f *testing.F) {
	seeds(f, headSize, "/bin/true", "/usr/lib32/libdl.so.2")
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(b)
		if err != nil {
			return
		}
		if h.bits != 32 && h.bits != 64 || len(h.segments) > maxProgramHeaders {
			t.Errorf("%d bits, %d segments", h.bits, len(h.segments))
		}
		h.parseDynamic(b)
		h.notes(b, func([]byte, uint32) {})
		h.symbols(b, b, func([]byte, bool) {})
		h.chainEnd(b)
	})
}

func FuzzShebang(f *testing.F) {
	f.Add([]byte("#! /bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		line, ok := parseShebang(b)
		if ok && (line.interpreter == "" || strings.ContainsAny(line.interpreter, " \t\n\x00") || strings.ContainsAny(line.argument, "\n\x00")) {
			t.Errorf("%q gives %+v", b, line)
		}
		carrierAt("env").read("env", []string{line.argument}, func(name string) string { return name })
	})
}

func FuzzLDCache(f *testing.F) {
	seeds(f, 1<<20, "/etc/ld.so.cache")
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseLDCache(b); err == nil {
			c.lookup("libc.so.6")
			c.lookup("")
		}
	})
}

func FuzzLoader(f *testing.F) {
	f.Add([]byte("\x00/etc/ld.so.cache\x00\x00/lib64/\x00/usr/lib64/\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, ok := parseLoader(b); ok && (len(l.dirs) < 2 || l.lib == "") {
			t.Errorf("%q gives %+v", b, l)
		}
		parsePreloadFile(b)
	})
}

func FuzzTunables(f *testing.F) {
	f.Add("glibc.rtld.enable_secure=1:a=b")
	f.Fuzz(func(t *testing.T, s string) {
		enablesSecure([]string{"GLIBC_TUNABLES=" + s})
	})
}

func FuzzFileCaps(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseFileCaps(b); err != nil && c != (fileCaps{}) {
			t.Errorf("%q gives %+v with %v", b, c, err)
		}
	})
}
