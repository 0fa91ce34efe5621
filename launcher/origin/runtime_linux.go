// What is taken from Go's runtime by name, because no exported function gives it.

package origin

import _ "unsafe" // for go:linkname

// afterForkInChild is what the runtime does in a child before its exec: it puts the default action in place of its handlers
// and, on the first thread, sets the mask that it found there at its own start. "Do not remove or change the type
// signature. See go.dev/issue/67401."
//
//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// environment is what execve(2) gave (TestNothingElseChanges of cmd/arenacap).
//
//go:linkname environment syscall.runtime_envs
func environment() []string

// setGCPercent is debug.SetGCPercent (TestSetGCPercent). Package runtime/debug itself comes behind all libraries in the
// order in which Go initialises packages, and so would everything that imports it, the launch included.
//
//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(in int32) (out int32)
