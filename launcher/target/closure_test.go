package target

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// closureOf returns the libraries that the linker finds, in order, without the program and its loader.
func closureOf(t *testing.T, program string, env []string) (paths, missing []string) {
	t.Helper()
	im, err := fsys{}.openImage(program)
	must(t, err)
	defer im.close()
	l := fsys{}.newLinker(im, env, false)
	l.load(im)
	for _, o := range l.objects[1:] {
		if o.err != nil {
			t.Errorf("%s: %v", o.path, o.err)
		}
		if !o.is(filepath.Base(im.loader)) {
			paths = append(paths, o.path)
		}
	}
	for _, m := range l.missing {
		parts := strings.Split(m, `"`)
		missing = append(missing, parts[3])
	}
	return paths, missing
}

// lddOf returns the libraries that ldd prints. Lines:
//
//	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)
//	libgone.so => not found
//	/abs/lib.so (0x…)
//	linux-vdso.so.1 (0x…)
func lddOf(t *testing.T, program string, env []string) (paths, missing []string) {
	t.Helper()
	cmd := exec.Command("ldd", program)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ldd %s: %v %s", program, err, out)
	}
	for line := range strings.Lines(string(out)) {
		name, path, arrow := strings.Cut(strings.TrimSpace(line), " => ")
		if !arrow {
			path = name
		}
		path, _, _ = strings.Cut(path, " (0x")
		switch {
		case path == "not found":
			missing = append(missing, name)
		case strings.HasPrefix(path, "linux-vdso") || strings.HasPrefix(path, "linux-gate") || strings.Contains(path, "/ld-linux") || path == "statically linked":
		default:
			paths = append(paths, path)
		}
	}
	return paths, missing
}

// sameClosure compares the libraries and their order, which is the symbol lookup order.
func sameClosure(t *testing.T, program string, env ...string) {
	t.Helper()
	got, gotMissing := closureOf(t, program, env)
	want, wantMissing := lddOf(t, program, env)
	slices.Sort(gotMissing)
	slices.Sort(wantMissing)
	if !slices.Equal(got, want) || !slices.Equal(slices.Compact(gotMissing), slices.Compact(wantMissing)) {
		t.Errorf("%s %q:\n got %q, missing %q\nldd  %q, missing %q", program, env, got, gotMissing, want, wantMissing)
	}
}

// TestLibrariesLikeLdd compares the libraries that this package finds for programs and libraries of this machine with those
// that ldd finds.
func TestLibrariesLikeLdd(t *testing.T) {
	testenv.Need(t, "ldd")
	programs := []string{"/usr/bin/redis-server", "/usr/sbin/mariadbd", "/usr/bin/python3", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"}
	all, _ := filepath.Glob("/usr/bin/*")
	for i := 0; i < len(all); i += 1 + len(all)/60 { // about 60 files, because ldd takes several milliseconds for each
		programs = append(programs, all[i])
	}
	compared := 0
	for _, program := range programs {
		if real, err := filepath.EvalSymlinks(program); err == nil {
			program = real // $ORIGIN is the directory of the symbolic link under ldd, but the directory of the file after an exec
		}
		im, err := fsys{}.openImage(program)
		if err != nil {
			continue // the program is missing or a script
		}
		im.close()
		if im.loader != "" && strings.Contains(im.loader, "ld-linux") {
			sameClosure(t, program)
			compared++
		}
	}
	if compared < 10 {
		t.Errorf("only %d programs compared", compared)
	}
	if Examine("/bin/sh", nil, nil).Libc == "glibc" {
		sameClosure(t, "/bin/sh", "LD_PRELOAD=libm.so.6")
	}
}

// TestSearchOrderLikeLdd compares the libraries that this package finds with those that ldd finds, in the situations that
// ld.so(8) describes: DT_RPATH, DT_RUNPATH, LD_LIBRARY_PATH and others.
func TestSearchOrderLikeLdd(t *testing.T) {
	testenv.Need(t, "ldd")
	dir := publicDir(t)
	tree(t, dir, [][3]string{
		{"leaf.c", "644", "int leaf(void) { return 1; }\n"}, {"mid.c", "644", "int leaf(void);\nint mid(void) { return leaf(); }\n"},
		{"main.c", "644", "int mid(void);\nint main(void) { return mid(); }\n"}, {"a", "755", "/"}, {"b", "755", "/"}, {"c", "755", "/"}, {"lib", "755", "/"}, {"lib32", "755", "/"},
	})
	rpath, runpath := "-Wl,--disable-new-dtags,-rpath,", "-Wl,--enable-new-dtags,-rpath,"
	both := func(folder string, args ...string) { // builds libleaf.so and libmid.so in one directory
		build(t, "gcc", "-shared", "-fPIC", "-Wl,-soname,libleaf.so", "-o", dir+"/"+folder+"/libleaf.so", dir+"/leaf.c")
		build(t, "gcc", append([]string{"-shared", "-fPIC", "-Wl,-soname,libmid.so", "-o", dir + "/" + folder + "/libmid.so", dir + "/mid.c", dir + "/" + folder + "/libleaf.so"}, args...)...)
	}
	main := func(name string, args ...string) string {
		build(t, "gcc", append([]string{"-o", dir + "/" + name, dir + "/main.c", "-Wl,--allow-shlib-undefined", dir + "/a/libmid.so"}, args...)...)
		return dir + "/" + name
	}
	both("a")
	both("b")
	plain := main("plain")
	sameClosure(t, plain) // libmid.so is missing
	sameClosure(t, plain, "LD_LIBRARY_PATH="+dir+"/b")
	sameClosure(t, plain, "LD_LIBRARY_PATH="+dir+"/c:"+dir+"/a;"+dir+"/b")
	sameClosure(t, plain, "LD_PRELOAD="+dir+"/a/libmid.so:"+dir+"/b/libleaf.so")
	sameClosure(t, plain, "LD_PRELOAD=libm.so.6 "+dir+"/a/libmid.so", "LD_LIBRARY_PATH="+dir+"/b")
	sameClosure(t, main("rpath", rpath+dir+"/a"))
	sameClosure(t, main("rpath-2", rpath+dir+"/a"), "LD_LIBRARY_PATH="+dir+"/b") // DT_RPATH precedes LD_LIBRARY_PATH
	sameClosure(t, main("runpath", runpath+dir+"/a"))                            // DT_RUNPATH does not apply to libleaf.so
	sameClosure(t, main("runpath-2", runpath+dir+"/a"), "LD_LIBRARY_PATH="+dir+"/b")
	sameClosure(t, main("origin", rpath+"$ORIGIN/c:$ORIGIN/a"))
	sameClosure(t, main("origin-2", rpath+"${ORIGIN}/b"))
	sameClosure(t, main("token", rpath+dir+"/$LIB/$PLATFORM:"+dir+"/a"))
	sameClosure(t, main("empty", rpath+":"+dir+"/a"))
	both("c", runpath+"$ORIGIN") // a library with its own DT_RUNPATH
	sameClosure(t, plain, "LD_LIBRARY_PATH="+dir+"/c")
	sameClosure(t, main("rpath-over-runpath", rpath+dir+"/c"))
	sameClosure(t, main("no-defaults", "-Wl,-z,nodefaultlib", rpath+dir+"/a"))
	build(t, "gcc", "-shared", "-fPIC", "-o", dir+"/nosoname.so", dir+"/leaf.c")
	build(t, "gcc", "-o", dir+"/slash", "-Wl,--no-as-needed", dir+"/main.c", "-Wl,--allow-shlib-undefined", dir+"/b/libmid.so", dir+"/nosoname.so", rpath+dir+"/b")
	sameClosure(t, dir+"/slash") // DT_NEEDED with a slash
	if _, err := os.Stat("/usr/lib32/libc.so.6"); err == nil {
		build(t, "gcc", "-m32", "-shared", "-fPIC", "-Wl,-soname,libleaf.so", "-o", dir+"/lib32/libleaf.so", dir+"/leaf.c")
		build(t, "gcc", "-m32", "-shared", "-fPIC", "-Wl,-soname,libmid.so", "-o", dir+"/lib32/libmid.so", dir+"/mid.c", dir+"/lib32/libleaf.so")
		build(t, "gcc", "-m32", "-o", dir+"/main32", dir+"/main.c", dir+"/lib32/libmid.so", "-Wl,--allow-shlib-undefined", rpath+dir+"/a:"+dir+"/lib32")
		sameClosure(t, dir+"/main32") // the loader skips files of the other class
		build(t, "gcc", "-m32", "-o", dir+"/lib32-token", dir+"/main.c", dir+"/lib32/libmid.so", "-Wl,--allow-shlib-undefined", rpath+dir+"/$LIB")
		sameClosure(t, dir+"/lib32-token")
	}
}

// TestMissingLibraryIsNoYes checks that a missing library makes the verdict unknown, because the loader would not
// start the program.
func TestMissingLibraryIsNoYes(t *testing.T) {
	dir := publicDir(t)
	tree(t, dir, [][3]string{{"leaf.c", "644", "int leaf(void) { return 1; }\n"}, {"main.c", "644", "int leaf(void);\nint main(void) { return leaf(); }\n"}})
	build(t, "gcc", "-shared", "-fPIC", "-Wl,-soname,libgone.so", "-o", dir+"/libgone.so", dir+"/leaf.c")
	build(t, "gcc", "-o", dir+"/main", dir+"/main.c", dir+"/libgone.so")
	got := Examine(dir+"/main", nil, nil)
	if want := `"` + dir + `/main" needs the library "libgone.so", which was not found`; got.CanCap != Unknown || !slices.Contains(got.Why, want) {
		t.Errorf("%v %q, want unknown and %q", got.CanCap, got.Why, want)
	}
}

// TestCacheLikeLdconfig looks up in /etc/ld.so.cache each library that "ldconfig -p" prints, except builds for newer
// processors (hwcap). Lines:
//
//	libz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1
func TestCacheLikeLdconfig(t *testing.T) {
	ldconfig, err := exec.LookPath("ldconfig")
	if err != nil {
		ldconfig = "/sbin/ldconfig"
	}
	testenv.Need(t, ldconfig)
	b, err := os.ReadFile("/etc/ld.so.cache")
	must(t, err)
	cache, err := parseLDCache(b)
	must(t, err)
	lines := 0
	for line := range strings.Lines(run(t, exec.Command(ldconfig, "-p"))) {
		left, path, ok := strings.Cut(strings.TrimSpace(line), " => ")
		name, about, _ := strings.Cut(left, " (")
		if !ok || strings.Contains(about, "hwcap") {
			continue
		}
		lines++
		if got := cache.lookup(name); !slices.Contains(got, path) {
			t.Errorf("lookup(%q) = %q, ldconfig has %q", name, got, path)
		}
	}
	if lines == 0 {
		t.Error("ldconfig -p shows no library")
	}
	if got := cache.lookup("no-such.so"); got != nil {
		t.Errorf("lookup of a name that is not there = %q", got)
	}
}
