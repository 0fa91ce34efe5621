package target

// Quick and Examine, in this file, collect the facts about the server: the program that a command line finally starts.

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"arenacap/launcher/allocator"
	"arenacap/launcher/environ"
)

// Quick checks a program by the start of its file, its dynamic section, its mode and capabilities, and LD_PRELOAD, in
// about eight system calls; in two rare cases it does the work of Examine (see the method "glance"). args is the
// command line, beginning with the program's name; Quick looks for carriers in it. env is the environment that the
// program will get. The verdict is No or Unknown: only Examine returns Yes, because a library that is needed only
// indirectly, which Quick does not read, may replace the allocator. Directly needed libraries are recognized by name.
func Quick(path string, args, env []string) Target { return fsys{}.judge(path, args, env, false) }

// Examine checks a program by all libraries that the loader would map, the version of its C library, and the system's
// settings. It reads several megabytes.
func Examine(path string, args, env []string) Target { return fsys{}.judge(path, args, env, true) }

func (fs fsys) judge(path string, args, env []string, thorough bool) Target {
	t := Target{Path: path}
	f := facts{thorough: thorough, cap: environ.Inherited(env).Max}
	c := fs.follow(path, args, env)
	var buf [headSize]byte
	im, err := server(&t, c, buf[:])
	fs, env = c.fs, c.env
	t.Chain, t.Server, t.User, t.Arrives = c.links, c.path, c.user, c.arrives()
	c.tell(&f, len(t.Interpreters) > 0)
	fs.judgeSecurity(&t, &f)
	if err != nil {
		f.unread = err.Error()
		t.conclude(f)
		return t
	}
	defer im.close()
	t.Bits = im.head.bits
	t.judgeKind(im)
	if thorough {
		t.Mapped = im.head.span()
		fs.examine(&t, &f, im, env)
	} else {
		fs.glance(&t, &f, im, env)
	}
	t.conclude(f)
	return t
}

// server follows shell scripts to the last program and opens it. The error is a sentence.
func server(t *Target, c *chain, buf []byte) (image, error) {
	for {
		if c.unseen != "" {
			return image{}, errors.New(c.unseen)
		}
		im, err := program(t, c, buf)
		if !c.followsScript(t.Interpreters) {
			return im, err
		}
		if err == nil {
			im.close()
		}
		if t.Interpreters = nil; c.scripts > maxChain {
			c.unknown(fmt.Sprintf("a chain of more than %d scripts, each of which executes the next", maxChain))
		}
	}
}

// maxChain limits the interpreters of one script, and the scripts that exec each other.
const maxChain = 16

// program follows #! lines to the ELF file that will run, and opens it. A file that is not ELF and has no #! line is a
// script for /bin/sh, as in execvp(3). The error is a sentence.
func program(t *Target, c *chain, buf []byte) (image, error) {
	// The caller calls execvp(3) for the server; env, if a #! line names it, calls execvp for another program. The
	// variable "fallback" is the length of t.Interpreters at the latest of these calls. If the #! lines after the call
	// lead to a file that has no #! line and is not ELF, execvp runs /bin/sh instead of the interpreters that were
	// appended after the call.
	fallback := 0
	t.Server = c.path
	for path := t.Server; len(t.Interpreters) < maxChain; path = t.Program() {
		im, err := c.fs.nativeImage(path, buf)
		if !errors.Is(err, errNoELF) {
			return im, err
		}
		line, ok := parseShebang(im.start)
		if !ok {
			t.Interpreters = append(t.Interpreters[:fallback], Shell)
			continue
		}
		t.Interpreters = append(t.Interpreters, line.interpreter)
		if filepath.Base(line.interpreter) == "env" {
			if err := throughEnv(t, c, line.argument); err != nil {
				return image{}, err
			}
			fallback = len(t.Interpreters)
		}
	}
	return image{}, fmt.Errorf("the script %q has %d interpreters or more", t.Server, maxChain)
}

// nativeImage opens a program that this kernel can load. If the error is errNoELF, the image is closed, but its field
// "start" still contains the first bytes of the file.
func (fs fsys) nativeImage(path string, buf []byte) (image, error) {
	file, err := fs.open(path)
	if err != nil {
		return image{}, fmt.Errorf("%q cannot be read: %w", path, err)
	}
	im, err := newImage(file, path, buf)
	switch {
	case err == nil && native(im.head.machine):
		return im, nil
	case err == nil:
		err = fmt.Errorf("%q is a program for another processor (ELF machine %d)", path, im.head.machine)
	case errors.Is(err, errBadELF) || errors.Is(err, errLongHead):
		err = fmt.Errorf("%q is %w", path, err)
	case !errors.Is(err, errNoELF):
		err = fmt.Errorf("%q cannot be read: %w", path, err)
	}
	file.close()
	return im, err
}

// throughEnv appends the program that "#!/usr/bin/env ARGUMENT" starts. The kernel passes ARGUMENT as one word, which only -S
// splits, followed by the path of the script.
func throughEnv(t *Target, c *chain, argument string) error {
	r := carrierAt("env").read("env", []string{argument}, c.getenv)
	if r.problem != "" || argument == "" {
		return fmt.Errorf("the #! line of %q runs env without a program", t.Server)
	}
	env := r.environment(c.env)
	if !sameCap(c.env, env) {
		c.lose(fmt.Sprintf("env in the #! line of %q changes MALLOC_ARENA_MAX", t.Server), "")
	}
	c.env = env
	found, err := c.fs.find(r.command[0], env)
	if err != nil {
		return fmt.Errorf("the #! line of %q: %w", t.Server, err)
	}
	t.Interpreters = append(t.Interpreters, found)
	return nil
}

// judgeKind recognizes the C library by the loader's name, and Go by its note.
func (t *Target) judgeKind(im image) {
	golang, libcStart := im.notes()
	t.Go, t.Static = golang, im.loader == ""
	loader := filepath.Base(im.loader)
	switch {
	case t.Static:
		t.Cgo = golang && libcStart
	case len(im.needs) == 0: // a position-independent Go program has a loader and needs no library
		t.Libc = "none"
	case strings.HasPrefix(loader, "ld-musl-"):
		t.Libc, t.Allocator, t.Cgo = "musl", "musl", golang
	case strings.HasPrefix(loader, "ld-linux") || strings.HasPrefix(loader, "ld64.so") || loader == "ld.so.1":
		t.Libc, t.Cgo = "glibc", golang
	}
	if golang && !t.Cgo {
		t.Allocator, t.Libc = "go", "none"
	}
}

// glance looks for another allocator in the preloaded libraries, and in those that precede the C library in DT_NEEDED.
func (fs fsys) glance(t *Target, f *facts, im image, env []string) {
	if t.Static || t.Libc == "musl" || t.Libc == "none" {
		return
	}
	// Two rare cases need the work of Examine: the effect of glibc.rtld.enable_secure depends on the version of glibc, and a
	// preloaded allocator has no effect if the loader does not find its file.
	if enablesSecure(env) || slices.ContainsFunc(preloads(env, t.AtSecure == Yes), isAllocator) {
		fs.examine(t, f, im, env)
		return
	}
	needed, err := im.needed()
	if err != nil {
		return
	}
	for _, name := range needed {
		if name == allocator.Glibc {
			return
		}
		if replacement, ok := allocator.OfLibrary(name); ok {
			t.Allocator, f.replaces = replacement, name
			return
		}
	}
}

func isAllocator(library string) bool {
	_, ok := allocator.OfLibrary(library)
	return ok
}

// examine follows the libraries of a dynamic program, or scans a static one.
func (fs fsys) examine(t *Target, f *facts, im image, env []string) {
	switch {
	case t.Allocator == "go" || t.Libc == "musl" || t.Libc == "none":
		return
	case t.Static:
		t.examineStatic(f, im, env)
	default:
		fs.examineDynamic(t, f, im, env)
	}
}

// examineStatic searches a static program for glibc's malloc, by the first line that malloc_info(3) prints: every glibc
// since 2.10 contains this text, and no other malloc does. A glibc that contains the names of the tunables arena_max
// and mxfast (2.31 and later) obeys MALLOC_ARENA_MAX. 2.27 to 2.30 obey it too, but these names do not distinguish them
// from 2.26.0, which ignores it.
func (t *Target) examineStatic(f *facts, im image, env []string) {
	found, names, whole := im.scanMarks(`<malloc version="1">`, "glibc.malloc.arena_max", "glibc.malloc.mxfast", "UPX!", "glibc.rtld.enable_secure")
	f.staticMalloc = found[0] != nil
	f.staticTunable = found[1] != nil && found[2] != nil
	f.staticOther = whole && !f.staticMalloc && found[3] == nil // a file packed by UPX cannot be searched
	f.enable = found[4] != nil && enablesSecure(env)
	if f.staticMalloc || found[1] != nil {
		t.Libc = "glibc"
	}
	if f.staticMalloc {
		t.Allocator = "glibc"
		var libc allocator.StaticGlibc
		im.chunks(allocator.Overlap, func(chunk []byte, _ bool) { libc.Add(chunk) })
		t.LibcVersion, _ = libc.Version()
		f.libc = im.path
	}
	if f.staticMalloc {
		f.hidden = names
	} else if len(names) > 0 {
		t.Allocator, f.replaces = names[len(names)-1], im.path
	}
}

// examineDynamic finds the malloc that the program calls, and the settings that apply to it.
func (fs fsys) examineDynamic(t *Target, f *facts, im image, env []string) {
	l := fs.newLinker(im, env, t.AtSecure == Yes)
	l.load(im)
	t.Mapped = l.mapped()
	f.missing = l.missing
	f.enable = enablesSecure(env)
	for _, o := range l.objects {
		if o.err != nil {
			f.damaged = append(f.damaged, fmt.Sprintf("the symbols of %q cannot be read: %v", o.path, o.err))
		}
		if o.is(allocator.Glibc) && f.libc == "" {
			f.libc = o.path
		}
		if o.usesMallopt && !o.is(allocator.Glibc) && f.mallopt == "" {
			f.mallopt, t.Mallopt = o.path, o.path
		}
	}
	if f.libc == "" {
		if len(f.missing) == 0 && t.Libc == "glibc" {
			t.Libc = "none"
		}
		return
	}
	t.Libc = "glibc"
	t.LibcVersion, t.LibcRelease = fs.libcVersion(f.libc)
	fs.judgeMalloc(t, f, l)
	f.locked = locked(fs.systemTunables(fs.resolveLinks(im.path), l.loader.cache, false))
}

// judgeMalloc takes the first definition of malloc in symbol lookup order, because the program calls the first one.
func (fs fsys) judgeMalloc(t *Target, f *facts, l *linker) {
	i := slices.IndexFunc(l.objects, func(o *object) bool { return o.definesMalloc && !o.is(filepath.Base(l.interpreter)) })
	if i < 0 {
		return
	}
	first := l.objects[i]
	if first.is(allocator.Glibc) {
		t.Allocator = "glibc"
		f.hidden = fs.marksIn(l.objects[0].path)
		return
	}
	f.replaces, f.preloaded = first.path, slices.ContainsFunc(l.preload, first.is)
	for _, name := range append(first.names, first.path) {
		if replacement, ok := allocator.OfLibrary(name); ok {
			t.Allocator = replacement
			return
		}
	}
	if names := fs.marksIn(first.path); len(names) > 0 {
		t.Allocator = names[0]
	}
}

func (o *object) is(name string) bool { return slices.Contains(o.names, name) }

// marksIn lists the allocators whose characteristic strings a file contains.
func (fs fsys) marksIn(path string) []string {
	f, err := fs.open(path)
	if err != nil {
		return nil
	}
	defer f.close()
	_, names, _ := f.scanMarks()
	return names
}

// scanMarks searches for texts as the method "scan" does, and also lists the allocators whose characteristic strings
// the file contains.
func (f file) scanMarks(texts ...string) (found [][]byte, allocators []string, whole bool) {
	marks, n := allocator.Marks(), len(texts)
	for _, m := range marks {
		texts = append(texts, m.Text)
	}
	found, whole = f.scan(texts...)
	for i, m := range marks {
		if found[n+i] != nil && !slices.Contains(allocators, m.Name) {
			allocators = append(allocators, m.Name)
		}
	}
	return found, allocators, whole
}

// libcVersion reads the version banner of a libc.so.6.
func (fs fsys) libcVersion(path string) (version, release string) {
	f, err := fs.open(path)
	if err != nil {
		return "", ""
	}
	defer f.close()
	found, _ := f.scan(allocator.Banner)
	return allocator.ParseBanner(found[0])
}

// resolveLinks resolves symbolic links in a path, as /proc/self/exe does.
func (fs fsys) resolveLinks(path string) string {
	if fs.root != "" {
		return strings.TrimPrefix(fs.path(path), fs.root)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return real
}
