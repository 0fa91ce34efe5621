package target

// This file finds a program by its name as execvp(3) does.

import (
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
)

// These are limits of execvp(3) and execve(2).
const (
	nameMax     = 255             // NAME_MAX: bytes of a name without a slash
	pathMax     = 4096            // PATH_MAX: bytes, including the NUL
	scriptDepth = 5               // interpreters that are scripts themselves (Linux: fs/exec.c, exec_binprm)
	defaultPath = "/bin:/usr/bin" // confstr(_CS_PATH) since glibc 2.24; execvp uses it if PATH is unset
)

// Find resolves a program's name in the PATH of env, as execvp(3) of glibc does, and returns the path to execute, which may
// be relative.
//
// The error wraps the errno that execvp would return. Programs such as env(1) then end with status 127 for ENOENT,
// with 126 for any other errno. Find does not detect errors that only the kernel can detect (ETXTBSY, not a program,
// argument list too long). If the kernel rejects the file with ENOEXEC, run the command line that Script returns.
//
// Known difference: glibc skips a PATH entry of 4096 bytes or more, but then looks in the current directory, which is a bug
// (posix/execvpe.c, the continue). Find only skips the entry.
func Find(name string, env []string) (string, error) {
	return fsys{}.find(name, env)
}

func (fs fsys) find(name string, env []string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("the program's name is empty: %w", syscall.ENOENT)
	case strings.Contains(name, "/"):
		return name, fs.refusal(name)
	case len(name) > nameMax:
		return "", fmt.Errorf("the program's name has %d bytes, at most %d are allowed: %w", len(name), nameMax, syscall.ENAMETOOLONG)
	}
	path, ok := environ.Lookup(env, "PATH")
	if !ok {
		path = defaultPath
	}
	return fs.search(name, path)
}

// search tries each entry of PATH. An empty entry means the current directory; the path of a program found there is
// its name, without a slash.
func (fs fsys) search(name, path string) (string, error) {
	var denied, lost, last error
	for dir := range strings.SplitSeq(path, ":") {
		if len(dir) >= pathMax {
			continue
		}
		candidate := name
		if dir != "" {
			candidate = dir + "/" + name
		}
		err := fs.refusal(candidate)
		switch {
		case err == nil:
			return candidate, nil
		case errors.Is(err, syscall.EACCES):
			denied = err
		case !goesOn(err):
			return "", err
		case errors.As(err, new(interpreterError)) && errors.Is(err, syscall.ENOENT) && lost == nil:
			lost = err
		}
		last = err
	}
	switch {
	case denied != nil:
		return "", denied
	case lost != nil && errors.Is(last, syscall.ENOENT): // execvp fails with ENOENT here too, but the error "lost" names the missing interpreter
		return "", lost
	case last == nil || errors.Is(last, syscall.ENOENT):
		if variable, _, ok := strings.Cut(name, "="); ok && variable != "" {
			return "", fmt.Errorf("%q sets a variable and is not a program; write env %s PROGRAM: %w", name, name, syscall.ENOENT)
		}
		return "", fmt.Errorf("%q was not found in PATH (%s): %w", name, shortList(path), syscall.ENOENT)
	}
	return "", last
}

// shortList formats a PATH for a message.
func shortList(path string) string {
	if n := strings.Count(path, ":"); len(path) > 60 {
		return fmt.Sprintf("%d folders", n+1)
	}
	return strconv.Quote(path)
}

// goesOn reports whether execvp tries the next entry of PATH after an error other than EACCES, after which it always
// does (glibc: posix/execvpe.c).
func goesOn(err error) bool {
	next := []error{syscall.ENOENT, syscall.ESTALE, syscall.ENOTDIR, syscall.ENODEV, syscall.ETIMEDOUT}
	return slices.ContainsFunc(next, func(e error) bool { return errors.Is(err, e) })
}

// refusal predicts the error of execve(2) from file modes and from the interpreters of #! lines and ELF files. If an
// interpreter is missing, execve fails with ENOENT, so execvp continues as if the file did not exist.
func (fs fsys) refusal(path string) error {
	file := path
	for depth := 0; ; depth++ {
		if err := fs.executable(file); err != nil {
			return refused(path, file, err)
		}
		head, err := fs.head(file)
		if err != nil { // executable but not readable: the kernel can read it, arenacap cannot
			return nil
		}
		line, isScript := parseShebang(head)
		if !isScript {
			return fs.loaderRefusal(path, head)
		}
		if depth == scriptDepth {
			return fmt.Errorf("%q has more than %d interpreters that are scripts themselves: %w", path, scriptDepth, syscall.ELOOP)
		}
		file = line.interpreter
	}
}

// loaderRefusal checks the ELF interpreter (PT_INTERP) of a program that this kernel would load. It returns nil if the
// start of the file, the argument "head", does not contain the interpreter's name.
func (fs fsys) loaderRefusal(path string, head []byte) error {
	h, err := parseHead(head)
	if err != nil || !native(h.machine) {
		return nil
	}
	s, _ := h.find(elf.PT_INTERP)
	name, ok := part(head, s.offset, s.size)
	if !ok || s.size == 0 {
		return nil
	}
	loader := string(cString(name))
	if err := fs.executable(loader); err != nil {
		return refused(path, loader, err)
	}
	return nil
}

// native reports whether the kernel loads programs for an ELF machine without binfmt_misc. On an architecture that is not
// listed it returns true, so a missing loader is reported as an error.
func native(machine elf.Machine) bool {
	switch runtime.GOARCH {
	case "amd64", "386":
		return machine == elf.EM_X86_64 || machine == elf.EM_386
	case "arm64", "arm":
		return machine == elf.EM_AARCH64 || machine == elf.EM_ARM
	}
	return true
}

// executable checks that a path is a regular file that this process may execute, as execve(2) checks the program and
// each interpreter. Root needs at least one x bit; on a noexec mount execution always fails.
func (fs fsys) executable(path string) error {
	real := fs.path(path)
	if len(real) >= pathMax {
		return syscall.ENAMETOOLONG
	}
	var st unix.Stat_t
	if err := unix.Stat(real, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return unix.Faccessat(unix.AT_FDCWD, real, unix.X_OK, unix.AT_EACCESS)
	case unix.S_IFDIR:
		return kindError("a directory")
	}
	return kindError("a special file")
}

// kindError is an EACCES for a path that is not a regular file. It names the file type.
type kindError string

func (e kindError) Error() string        { return "is " + string(e) + ", not a program" }
func (e kindError) Is(target error) bool { return target == syscall.EACCES }

// interpreterError means that a file is executable, but its interpreter is not.
type interpreterError struct{ error }

func (e interpreterError) Unwrap() error { return e.error }

// refused formats the error for a program whose exec fails because of the argument "file": the program itself or an
// interpreter.
func refused(program, file string, err error) error {
	var kind kindError
	what := ": %w"
	switch {
	case errors.As(err, &kind):
		what = " %w"
	case errors.Is(err, syscall.EACCES):
		what = " cannot be executed: %w; look at its permissions (ls -l), or set them (chmod +x)"
	case file != program:
		what = " cannot be executed: %w"
	}
	if file == program {
		return fmt.Errorf("%q"+what, program, err)
	}
	if errors.Is(err, syscall.ENOENT) {
		what = " does not exist: %w"
		if strings.HasSuffix(file, "\r") {
			what += "; the #! line ends in a carriage return, remove it (dos2unix)"
		}
	}
	return interpreterError{fmt.Errorf("%q needs the interpreter %q, which"+what, program, file, err)}
}

// Shell runs a file whose format the kernel does not recognize, such as a script without "#!" (glibc: posix/execvpe.c,
// maybe_script_execute; paths.h, _PATH_BSHELL).
const Shell = "/bin/sh"

// Script returns the command line that runs the file at path by Shell. args is the command line of the program.
func Script(path string, args []string) []string {
	return append([]string{Shell, path}, args[1:]...)
}
