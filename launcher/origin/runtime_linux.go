// What is taken from Go's runtime by name, because no exported function gives it. This is the only file with linknames.
//
// Of the first five the runtime says: "Do not remove or change the type signature. See go.dev/issue/67401." The other four
// have no such promise: they are there for one package of the standard library, which declares them by the same name and
// type. Without the name the linker refuses to build; a change of what they do changes that package's functions too.

package origin

import _ "unsafe" // for go:linkname

// beforeFork blocks every signal and makes each check for stack space fail until afterFork (runtime/proc.go).
//
//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

// afterFork, in the parent, undoes that.
//
//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

// afterForkInChild puts the default action in place of the runtime's handlers and sets the mask of signals that beforeFork
// kept or, on the first thread before any fork, the one that the runtime found at its start.
//
//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// enterSyscall tells the scheduler that this thread is in the kernel until exitSyscall.
//
//go:linkname enterSyscall runtime.entersyscall
func enterSyscall()

//go:linkname exitSyscall runtime.exitsyscall
func exitSyscall()

// beforeExec keeps the runtime from starting a thread until afterExec, as syscall.Exec does.
//
//go:linkname beforeExec syscall.runtime_BeforeExec
func beforeExec()

//go:linkname afterExec syscall.runtime_AfterExec
func afterExec()

// environment is what execve(2) gave, from which package syscall makes os.Environ (TestNothingElseChanges of
// cmd/arenacap).
//
//go:linkname environment syscall.runtime_envs
func environment() []string

// setGCPercent is debug.SetGCPercent (TestSetGCPercent). Package runtime/debug itself comes behind all libraries in the
// order in which Go initialises packages, and so would everything that imports it, the launch included.
//
//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(in int32) (out int32)
