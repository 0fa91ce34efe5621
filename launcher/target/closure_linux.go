package target

// This file finds the libraries of a program as the dynamic loader does.

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
)

// maxObjects limits the libraries of one program.
const maxObjects = 4096

// object is one ELF file of a process: the program, a preloaded library or a needed one.
type object struct {
	path           string
	names          []string // the names by which it was requested, and its DT_SONAME
	origin         string   // value of $ORIGIN
	rpath, runpath string
	noDefaults     bool // the flag DF_1_NODEFLIB is set: the loader does not search the default directories
	needed         []string
	parent         *object // the object that needs it; for a preloaded library the program
	device, inode  uint64
	span           uint64 // bytes of address space

	definesMalloc, usesMallopt bool
	err                        error // the error of reading DT_NEEDED or the symbols
}

// linker finds the libraries of one program as glibc's dynamic loader does (man 8 ld.so), without running it.
//
// Known limits: the linker does not look into glibc-hwcaps directories, which have builds of the same libraries for newer
// processors. It does not see effects of LD_AUDIT libraries, or libraries loaded with dlopen(3).
type linker struct {
	fs          fsys
	machine     elf.Machine
	bits        int
	interpreter string // path of the loader, from the program's PT_INTERP; the loader is mapped before all libraries
	loader      loaderDirs
	cache       ldCache
	libraryPath []string // LD_LIBRARY_PATH
	preload     []string // LD_PRELOAD, then /etc/ld.so.preload

	objects []*object // the objects, in symbol lookup order
	missing []string  // a sentence for each library that was not found
}

// newLinker reads the loader's directories, the cache and the preload settings.
func (fs fsys) newLinker(program image, env []string, secure bool) *linker {
	l := &linker{fs: fs, machine: program.head.machine, bits: program.head.bits, interpreter: program.loader}
	l.loader = fs.loaderDirs(program.loader)
	if b, err := fs.readFile(l.loader.cache); err == nil {
		l.cache, _ = parseLDCache(b) // the loader, too, ignores a cache that it cannot read
	}
	if path, _ := environ.Lookup(env, "LD_LIBRARY_PATH"); path != "" && !secure {
		l.libraryPath = splitPath(strings.ReplaceAll(path, ";", ":"))
	}
	l.preload = preloads(env, secure)
	if b, err := fs.readFile("/etc/ld.so.preload"); err == nil {
		l.preload = append(l.preload, parsePreloadFile(b)...)
	}
	return l
}

// preloads splits LD_PRELOAD. In secure mode the loader ignores names with a slash.
func preloads(env []string, secure bool) []string {
	value, _ := environ.Lookup(env, "LD_PRELOAD")
	names := strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' })
	return slices.DeleteFunc(names, func(name string) bool { return secure && strings.Contains(name, "/") })
}

// loaderDirs reads the paths built into the program's loader. If they are not found, it returns the usual ones.
func (fs fsys) loaderDirs(interpreter string) loaderDirs {
	if b, err := fs.readFile(interpreter); err == nil {
		if l, ok := parseLoader(b); ok {
			return l
		}
	}
	return loaderDirs{"/etc/ld.so.cache", []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}, "lib64"}
}

// load follows DT_NEEDED breadth first, the order in which the loader maps files and looks up symbols (glibc:
// elf/dl-deps.c).
func (l *linker) load(program image) {
	root := l.describe(program, "", nil)
	root.origin = filepath.Dir(l.fs.resolveLinks(program.path))
	l.objects = []*object{root}
	for _, name := range l.preload {
		l.add(name, root) // the loader reports and ignores a preload that it does not find
	}
	for i := 0; i < len(l.objects) && i < maxObjects; i++ {
		for _, name := range l.objects[i].needed {
			if !l.add(name, l.objects[i]) {
				l.missing = append(l.missing, fmt.Sprintf("%q needs the library %q, which was not found", l.objects[i].path, name))
			}
		}
	}
}

// mapped returns the address space of all objects and of the loader.
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

// add adds a library, unless it is already in the list. It reports whether the library exists.
func (l *linker) add(name string, parent *object) bool {
	if i := slices.IndexFunc(l.objects, func(o *object) bool { return slices.Contains(o.names, name) }); i >= 0 {
		return true
	}
	if name == filepath.Base(l.interpreter) { // the loader is already mapped
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

// insert appends an object, or only its names if the same file is already in the list.
func (l *linker) insert(o *object) {
	for _, old := range l.objects {
		if old.device == o.device && old.inode == o.inode {
			old.names = append(old.names, o.names...)
			return
		}
	}
	l.objects = append(l.objects, o)
}

// describe makes the object of an open ELF file: its search paths, the libraries that it needs, and whether it
// defines malloc or uses mallopt. The argument "parent" is the object that needs the file under this name; nil for the
// program itself.
func (l *linker) describe(im image, name string, parent *object) *object {
	o := &object{
		path: im.path, names: []string{name}, parent: parent, origin: filepath.Dir(im.path), span: im.head.span(),
		rpath: im.name(elf.DT_RPATH), runpath: im.name(elf.DT_RUNPATH), noDefaults: elf.DynFlag1(im.dyn[elf.DT_FLAGS_1])&elf.DF_1_NODEFLIB != 0,
	}
	if soname := im.name(elf.DT_SONAME); soname != "" && parent != nil {
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

// candidates yields the paths that the loader tries for a name, in its order (glibc: elf/dl-load.c, _dl_map_new_object).
func (l *linker) candidates(name string, parent *object) func(yield func(string) bool) {
	if strings.Contains(name, "/") {
		return slices.Values([]string{l.expand(name, parent)})
	}
	return func(yield func(string) bool) {
		_ = l.inFolders(l.rpaths(parent), name, yield) &&
			l.inFolders(l.expandAll(l.libraryPath, l.root(parent)), name, yield) &&
			l.inFolders(l.expandAll(splitPath(parent.runpath), parent), name, yield) &&
			l.inCache(name, parent, yield) &&
			(parent.noDefaults || l.inFolders(l.loader.dirs, name, yield))
	}
}

// rpaths returns the DT_RPATH directories of the object and its ancestors. DT_RPATH of an object counts only if neither that
// object nor o has a DT_RUNPATH.
func (l *linker) rpaths(o *object) []string {
	if o.runpath != "" {
		return nil
	}
	var dirs []string
	for ; o != nil; o = o.parent {
		if o.runpath == "" {
			dirs = append(dirs, l.expandAll(splitPath(o.rpath), o)...)
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

// splitPath splits a list of directories. An empty list contains no directory; an empty element of a list means the
// current directory.
func splitPath(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ":")
}
