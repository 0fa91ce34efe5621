package target

import (
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
)

// Limits of execvp(3) and of the kernel behind it.
const (
	nameMax     = 255             // NAME_MAX: a name without a slash may have so many bytes
	pathMax     = 4096            // PATH_MAX, its NUL included
	scriptDepth = 5               // interpreters that are scripts themselves (Linux: fs/exec.c, exec_binprm)
	defaultPath = "/bin:/usr/bin" // confstr(_CS_PATH) of glibc since 2.24, which execvp takes where PATH is unset
)

// Find resolves a program's name as execvp(3) of glibc does and returns the path that is to be executed,
// which may be relative. env is the environment whose PATH counts.
//
// The error is the one that execvp ends with, in errors.Is: ENOENT is env(1)'s status 127, every other one
// its 126. What only the kernel can know (ETXTBSY, a file that is no program, an argument list that is too
// long) is left to the real exec; a file that it refuses with ENOEXEC is a Script.
//
// Known difference: where PATH has 4096 bytes or more, glibc skips an entry of such a length and then, by
// an oversight (posix/execvpe.c, the continue), looks in the current directory. Find only skips it.
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

// search tries each entry of PATH. An empty entry is the current directory; then the result has no slash.
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
		case errors.As(err, new(interpreterError)) && lost == nil:
			lost = err
		}
		last = err
	}
	switch {
	case denied != nil:
		return "", denied
	case lost != nil && errors.Is(last, syscall.ENOENT): // the same status, but a better reason
		return "", lost
	case last == nil || errors.Is(last, syscall.ENOENT):
		if variable, _, ok := strings.Cut(name, "="); ok && variable != "" {
			return "", fmt.Errorf("%q is no program; a variable stands behind env: env %s PROGRAM: %w", name, name, syscall.ENOENT)
		}
		return "", fmt.Errorf("%q was not found in PATH (%s): %w", name, shortList(path), syscall.ENOENT)
	}
	return "", last
}

// shortList is a PATH that fits into a message.
func shortList(path string) string {
	if n := strings.Count(path, ":"); len(path) > 60 {
		return fmt.Sprintf("%d folders", n+1)
	}
	return strconv.Quote(path)
}

// goesOn lists the errors after which execvp tries the next entry of PATH (glibc: posix/execvpe.c).
func goesOn(err error) bool {
	for _, e := range []syscall.Errno{syscall.ENOENT, syscall.ESTALE, syscall.ENOTDIR, syscall.ENODEV, syscall.ETIMEDOUT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// refusal predicts the error of execve(2) as far as file modes and the interpreters of #! lines and of ELF
// files tell it; nil where nothing stands against the exec. An interpreter that is missing fails the exec of
// the file that names it with ENOENT, so execvp goes on as if that file were not there.
func (fs fsys) refusal(path string) error {
	file := path
	for depth := 0; ; depth++ {
		if err := fs.executable(file); err != nil {
			return refused(path, file, err)
		}
		head, err := fs.head(file)
		if err != nil { // executable but not readable: the kernel sees more than we do
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

// loaderRefusal checks the ELF interpreter (PT_INTERP) of a program that this kernel would load. A head
// that does not hold it says nothing.
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

// native reports whether the kernel loads programs for an ELF machine by itself. Where arenacap's own
// architecture is not listed every machine counts: then a missing loader is taken for what it seems.
func native(machine elf.Machine) bool {
	switch runtime.GOARCH {
	case "amd64", "386":
		return machine == elf.EM_X86_64 || machine == elf.EM_386
	case "arm64", "arm":
		return machine == elf.EM_AARCH64 || machine == elf.EM_ARM
	}
	return true
}

// executable is the check that execve(2) makes on each file it opens: a regular file that this process may
// execute. For root some x bit has to be set; a noexec mount denies everybody.
func (fs fsys) executable(path string) error {
	real := fs.path(path)
	if len(real) >= pathMax {
		return syscall.ENAMETOOLONG
	}
	var st unix.Stat_t
	if err := unix.Stat(real, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return notRegular(st.Mode)
	}
	return unix.Faccessat(unix.AT_FDCWD, real, unix.X_OK, unix.AT_EACCESS)
}

// kindError is an EACCES that says what stands where a program was wanted.
type kindError string

func (e kindError) Error() string        { return "is " + string(e) + ", not a program" }
func (e kindError) Is(target error) bool { return target == syscall.EACCES }

func notRegular(mode uint32) error {
	if mode&unix.S_IFMT == unix.S_IFDIR {
		return kindError("a directory")
	}
	return kindError("no regular file")
}

// interpreterError is about a file that is there and may be executed, but not what it names to run it.
type interpreterError struct{ error }

func (e interpreterError) Unwrap() error { return e.error }

// refused words the error for the program that was asked for and the file that stands against it.
func refused(program, file string, err error) error {
	var kind kindError
	what := ": %w"
	switch {
	case errors.As(err, &kind):
		what = " %w"
	case errors.Is(err, syscall.EACCES):
		what = " may not be executed: %w; see ls -l, and chmod +x where the x bits are missing"
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

// Shell runs a file that the kernel knows no format for, a script without "#!" (glibc: posix/execvpe.c,
// maybe_script_execute; paths.h, _PATH_BSHELL).
const Shell = "/bin/sh"

// Script is the command line of the shell for such a file, where args are the program's own.
func Script(path string, args []string) []string {
	return append([]string{Shell, path}, args[1:]...)
}
