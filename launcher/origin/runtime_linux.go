// This file declares unexported functions of Go's runtime, by linkname. No other file has linknames.
//
// The runtime promises to keep the first five: "Do not remove or change the type signature. See go.dev/issue/67401." The
// other four have no such promise. Each serves one package of the standard library (syscall or runtime/debug), which
// declares it with the same name and type. If a name disappears, linking fails. If a function changes its behaviour,
// the callers in that package show how to call it.

package origin

import _ "unsafe" // for go:linkname

// beforeFork blocks all signals and makes stack checks fail until afterFork (runtime/proc.go).
//
//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

// afterFork undoes beforeFork, in the parent.
//
//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

// afterForkInChild resets the runtime's handlers to the default action and restores the signal mask that beforeFork saved. If
// the first thread calls afterForkInChild without a call of beforeFork, it restores the mask that the runtime found at its
// start.
//
//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// enterSyscall tells the scheduler that this thread is in a system call until exitSyscall.
//
//go:linkname enterSyscall runtime.entersyscall
func enterSyscall()

//go:linkname exitSyscall runtime.exitsyscall
func exitSyscall()

// beforeExec prevents the start of threads until afterExec, as in syscall.Exec.
//
//go:linkname beforeExec syscall.runtime_BeforeExec
func beforeExec()

//go:linkname afterExec syscall.runtime_AfterExec
func afterExec()

// environment returns the environment as execve(2) passed it. Package syscall builds os.Environ from the same list.
// TestNothingElseChanges of cmd/arenacap verifies that arenacap passes the list on to the target with only its own changes.
//
//go:linkname environment syscall.runtime_envs
func environment() []string

// setGCPercent does what debug.SetGCPercent does (TestSetGCPercent). It is linked by its name, because importing
// runtime/debug would delay the launch: Go initialises packages in the order of their paths, as far as imports allow, so
// runtime/debug, and each package that imports it, comes after the libraries in github.com/… (see package early).
//
//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(in int32) (out int32)
