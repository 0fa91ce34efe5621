package target

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"arenacap/launcher/environ"
)

// enablesSecure reports whether GLIBC_TUNABLES holds glibc.rtld.enable_secure=1, which glibc 2.40 and later
// take as an order to run as if AT_SECURE were set: the MALLOC_ variables are then ignored. Of several
// settings the last counts. A string that is malformed (an item with two "=", a last item with none) is
// ignored as a whole since 2.39 (glibc: elf/dl-tunables.c, parse_tunables_string).
func enablesSecure(env []string) bool {
	on := false
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "GLIBC_TUNABLES="); ok {
			if n, ok := lastTunable(value, "glibc.rtld.enable_secure"); ok {
				on = n == 1
			}
		}
	}
	return on
}

// lastTunable is the number that a well-formed string of tunables sets one of them to.
func lastTunable(tunables, name string) (n int64, ok bool) {
	items := strings.Split(tunables, ":")
	for i, item := range items {
		equals := strings.Count(item, "=")
		if equals > 1 || equals == 0 && i == len(items)-1 {
			return 0, false
		}
		if value, is := strings.CutPrefix(item, name+"="); is {
			if v, err := strconv.ParseInt(strings.TrimLeft(value, " \t"), 0, 32); err == nil {
				n, ok = v, true
			}
		}
	}
	return n, ok
}

// SystemTunables are those of /etc/tunables.conf that the loader of a running process takes for it. A program
// without a loader has none.
func SystemTunables(pid int, secure bool) []environ.SystemTunable {
	dir := "/proc/" + strconv.Itoa(pid)
	program, err := os.Readlink(dir + "/exe")
	if err != nil {
		return nil
	}
	var buf [headSize]byte
	im, err := fsys{}.nativeImage(dir+"/exe", buf[:])
	if err != nil {
		return nil
	}
	defer im.close()
	if root, err := os.Readlink(dir + "/root"); err == nil && root != "/" { // chroot(2)
		program = strings.TrimPrefix(program, root)
	}
	fs := fsys{dir + "/root"}
	built := fs.loaderDirs(im.loader)
	if im.loader == "" { // a static program, which has no soname, or a loader that was started by its own name
		b, _ := fsys{}.readFile(dir + "/exe")
		if built, _ = parseLoader(b); built.cache == "" || im.dyn.soname == 0 {
			return nil
		}
	}
	return fs.systemTunables(program, built.cache, secure)
}

// systemTunables are those that ldconfig has compiled into the loader's cache, for the program at a path.
func (fs fsys) systemTunables(program, cache string, secure bool) []environ.SystemTunable {
	b, err := fs.readFile(cache)
	if err != nil {
		return nil
	}
	c, err := parseLDCache(b)
	if err != nil {
		return nil
	}
	return c.tunables(program, secure)
}

// locked words a lock on arena_max; "" is none. The last line that is for the program counts.
func locked(system []environ.SystemTunable) (sentence string) {
	const name = "glibc.malloc.arena_max"
	for _, s := range system {
		switch {
		case s.Name != name:
		case !s.Locked:
			sentence = ""
		case s.N == 0:
			sentence = "/etc/tunables.conf locks " + name + " with a value that glibc does not take, and the environment cannot override it"
		default:
			sentence = fmt.Sprintf("/etc/tunables.conf sets %s to %d, which the environment cannot override", name, s.N)
		}
	}
	return sentence
}
