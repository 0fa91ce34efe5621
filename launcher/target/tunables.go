package target

// This file reads the tunables of glibc that decide whether glibc obeys MALLOC_ARENA_MAX.

import (
	"debug/elf"
	"fmt"
	"os"
	"strconv"
	"strings"

	"arenacap/launcher/environ"
)

// enablesSecure reports whether GLIBC_TUNABLES sets glibc.rtld.enable_secure=1. glibc 2.40 and later then act as if AT_SECURE
// were set, and ignore the MALLOC_ variables. The last setting counts. glibc 2.39 and later ignore a malformed string, in
// which an item has two "=" or the last item has none (elf/dl-tunables.c, parse_tunables_string).
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

// lastTunable returns the last value of a tunable in a string of tunables; ok is false if the string is malformed or
// has no valid value of the tunable.
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

// SystemTunables returns the lines of /etc/tunables.conf that the loader of a running process applies. For a program without
// a loader it returns no lines.
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
	if root, err := os.Readlink(dir + "/root"); err == nil && root != "/" { // the process has another root directory, by chroot(2)
		program = strings.TrimPrefix(program, root)
	}
	fs := fsys{dir + "/root"}
	built := fs.loaderDirs(im.loader)
	if im.loader == "" { // a static program, or a loader that was started as the program; only the loader has a soname
		b, _ := fsys{}.readFile(dir + "/exe")
		if built, _ = parseLoader(b); built.cache == "" || im.dyn[elf.DT_SONAME] == 0 {
			return nil
		}
	}
	return fs.systemTunables(program, built.cache, secure)
}

// systemTunables returns the lines of /etc/tunables.conf that ldconfig compiled into the loader's cache and that apply to
// the program at a path.
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

// locked returns a sentence that says that /etc/tunables.conf sets arena_max and locks it, so that the environment cannot
// change it; "" if arena_max is not locked. If several lines set arena_max, the last one decides.
func locked(system []environ.SystemTunable) (sentence string) {
	const name = "glibc.malloc.arena_max"
	for _, s := range system {
		switch {
		case s.Name != name:
		case !s.Locked:
			sentence = ""
		case s.N == 0:
			sentence = "/etc/tunables.conf locks " + name + " with an invalid value, which the environment cannot override"
		default:
			sentence = fmt.Sprintf("/etc/tunables.conf sets %s to %d, which the environment cannot override", name, s.N)
		}
	}
	return sentence
}
