package target

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
)

// maxObjects bounds the libraries of one program.
const maxObjects = 4096

// object is one ELF file of a process: the program, a preloaded library or a needed one.
type object struct {
	path           string
	names          []string // those it was asked for by, and its DT_SONAME
	origin         string   // what $ORIGIN stands for
	rpath, runpath string
	noDefaults     bool // DF_1_NODEFLIB
	needed         []string
	parent         *object // whose need it was; the program for preloaded libraries
	device, inode  uint64
	span           uint64 // of address space

	definesMalloc, usesMallopt bool
	err                        error // why needs or symbols are not known
}

// linker finds libraries as glibc's dynamic loader does (man 8 ld.so), for one program. It runs nothing.
//
// Known limits: variants for special processors (glibc-hwcaps folders) count as the library itself; what an
// LD_AUDIT library changes and what a program opens with dlopen(3) are not seen.
type linker struct {
	fs          fsys
	machine     elf.Machine
	bits        int
	interpreter string // PT_INTERP, which is loaded already
	loader      loaderDirs
	cache       ldCache
	libraryPath []string // LD_LIBRARY_PATH
	preload     []string // LD_PRELOAD, then /etc/ld.so.preload

	objects []*object // in the order in which symbols are looked up
	missing []string  // sentences
}

// newLinker reads what the program's loader reads first.
func (fs fsys) newLinker(program image, env []string, secure bool) *linker {
	l := &linker{fs: fs, machine: program.head.machine, bits: program.head.bits, interpreter: program.loader}
	l.loader = fs.loaderDirs(program.loader)
	if b, err := fs.readFile(l.loader.cache); err == nil {
		l.cache, _ = parseLDCache(b) // the loader, too, goes on without a cache that it cannot read
	}
	if path, _ := environ.Lookup(env, "LD_LIBRARY_PATH"); path != "" && !secure {
		l.libraryPath = splitAny(path, ":;")
	}
	l.preload = preloads(env, secure)
	if b, err := fs.readFile("/etc/ld.so.preload"); err == nil {
		l.preload = append(l.preload, parsePreloadFile(b)...)
	}
	return l
}

// preloads splits LD_PRELOAD. In secure mode the loader takes no names with a slash from it.
func preloads(env []string, secure bool) []string {
	value, _ := environ.Lookup(env, "LD_PRELOAD")
	names := strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' })
	return slices.DeleteFunc(names, func(name string) bool { return secure && strings.Contains(name, "/") })
}

// loaderDirs is what the program's loader has built in; where its text does not tell, what a glibc in / has.
func (fs fsys) loaderDirs(interpreter string) loaderDirs {
	if b, err := fs.readFile(interpreter); err == nil {
		if l, ok := parseLoader(b); ok {
			return l
		}
	}
	return loaderDirs{"/etc/ld.so.cache", []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}, "lib64"}
}

// load follows the needs of the program breadth first: the order in which the loader maps the files and
// looks for symbols (glibc: elf/dl-deps.c).
func (l *linker) load(program image) {
	root := l.describe(program, "", nil)
	root.origin = filepath.Dir(l.fs.unlinked(program.path))
	l.objects = []*object{root}
	for _, name := range l.preload {
		l.add(name, root) // one that is not found is said by the loader and ignored
	}
	for i := 0; i < len(l.objects) && i < maxObjects; i++ {
		for _, name := range l.objects[i].needed {
			if !l.add(name, l.objects[i]) {
				l.missing = append(l.missing, fmt.Sprintf("%q needs %q, and that was not found", l.objects[i].path, name))
			}
		}
	}
}

// mapped is the address space that all objects and the loader take.
func (l *linker) mapped() (bytes uint64) {
	for _, o := range l.objects {
		bytes += o.span
	}
	if slices.ContainsFunc(l.objects, func(o *object) bool { return o.path == l.interpreter }) {
		return bytes
	}
	loader, err := l.fs.openImage(l.interpreter)
	if err != nil {
		return bytes
	}
	defer loader.close()
	return bytes + loader.head.span()
}

// add maps one more library, unless it is there already. It reports whether the library exists.
func (l *linker) add(name string, parent *object) bool {
	if i := slices.IndexFunc(l.objects, func(o *object) bool { return slices.Contains(o.names, name) }); i >= 0 {
		return true
	}
	if name == filepath.Base(l.interpreter) { // it is there before all others
		name = l.interpreter
	}
	for path := range l.candidates(name, parent) {
		im, err := l.fs.openImage(path)
		if err != nil {
			continue
		}
		fits := im.head.machine == l.machine && im.head.bits == l.bits
		if fits {
			l.insert(l.describe(im, name, parent))
		}
		im.close()
		if fits {
			return true
		}
	}
	return false
}

// insert appends an object that is not there under another name.
func (l *linker) insert(o *object) {
	for _, old := range l.objects {
		if old.device == o.device && old.inode == o.inode {
			old.names = append(old.names, o.names...)
			return
		}
	}
	l.objects = append(l.objects, o)
}

// describe takes what is needed of an open file.
func (l *linker) describe(im image, name string, parent *object) *object {
	o := &object{
		path: im.path, names: []string{name}, parent: parent, origin: filepath.Dir(im.path), span: im.head.span(),
		rpath: im.name(im.dyn.rpath), runpath: im.name(im.dyn.runpath), noDefaults: elf.DynFlag1(im.dyn.flags1)&elf.DF_1_NODEFLIB != 0,
	}
	if soname := im.name(im.dyn.soname); soname != "" && parent != nil {
		o.names = append(o.names, soname)
	}
	var st unix.Stat_t
	if unix.Fstat(int(im.file), &st) == nil {
		o.device, o.inode = uint64(st.Dev), st.Ino
	}
	o.needed, o.err = im.needed()
	if o.err == nil {
		o.definesMalloc, o.usesMallopt, o.err = im.mallocSymbols()
	}
	return o
}

// candidates yields the paths where the loader looks for a name, in its order (glibc: elf/dl-load.c,
// _dl_map_new_object).
func (l *linker) candidates(name string, parent *object) func(yield func(string) bool) {
	if strings.Contains(name, "/") {
		return slices.Values([]string{l.expand(name, parent)})
	}
	return func(yield func(string) bool) {
		_ = l.inFolders(l.rpaths(parent), name, yield) &&
			l.inFolders(l.expandAll(l.libraryPath, l.root(parent)), name, yield) &&
			l.inFolders(l.expandAll(splitAny(parent.runpath, ":"), parent), name, yield) &&
			l.inCache(name, parent, yield) &&
			(parent.noDefaults || l.inFolders(l.loader.dirs, name, yield))
	}
}

// rpaths is the DT_RPATH folders of the object and of those that led to it. They count only where the object
// has no DT_RUNPATH, and of an ancestor where that one has none.
func (l *linker) rpaths(o *object) []string {
	if o.runpath != "" {
		return nil
	}
	var dirs []string
	for ; o != nil; o = o.parent {
		if o.runpath == "" {
			dirs = append(dirs, l.expandAll(splitAny(o.rpath, ":"), o)...)
		}
	}
	return dirs
}

func (l *linker) root(o *object) *object {
	for o.parent != nil {
		o = o.parent
	}
	return o
}

func (l *linker) inFolders(dirs []string, name string, yield func(string) bool) bool {
	for _, dir := range dirs {
		if dir == "" {
			dir = "."
		}
		if !yield(dir + "/" + name) {
			return false
		}
	}
	return true
}

func (l *linker) inCache(name string, parent *object, yield func(string) bool) bool {
	for _, path := range l.cache.lookup(name) {
		if parent.noDefaults && slices.Contains(l.loader.dirs, filepath.Dir(path)) {
			continue
		}
		if !yield(path) {
			return false
		}
	}
	return true
}

// expand replaces the loader's tokens (man 8 ld.so, "Dynamic string tokens").
func (l *linker) expand(path string, o *object) string {
	if !strings.Contains(path, "$") {
		return path
	}
	platform := "x86_64"
	switch l.machine {
	case elf.EM_386:
		platform = "i686"
	case elf.EM_AARCH64:
		platform = "aarch64"
	}
	return strings.NewReplacer("${ORIGIN}", o.origin, "$ORIGIN", o.origin, "${LIB}", l.loader.lib, "$LIB", l.loader.lib,
		"${PLATFORM}", platform, "$PLATFORM", platform).Replace(path)
}

func (l *linker) expandAll(paths []string, o *object) []string {
	expanded := make([]string, len(paths))
	for i, path := range paths {
		expanded[i] = l.expand(path, o)
	}
	return expanded
}

// splitAny splits at each of the separators; an empty text has no parts.
func splitAny(s, separators string) []string {
	if s == "" {
		return nil
	}
	var parts []string
	for {
		i := strings.IndexAny(s, separators)
		if i < 0 {
			return append(parts, s)
		}
		parts, s = append(parts, s[:i]), s[i+1:]
	}
}
