// Package gc steers the garbage collector as runtime/debug does, without that package: in the order in which Go
// initialises packages runtime/debug comes behind all libraries, and so would everything that imports it, the launch
// included.
package gc

import _ "unsafe" // for go:linkname

// SetPercent is debug.SetGCPercent: how much the heap may grow before a collection, below 0 for never.
func SetPercent(percent int) { setGCPercent(int32(percent)) }

// SetMemoryLimit is debug.SetMemoryLimit, in bytes.
func SetMemoryLimit(limit int64) { setMemoryLimit(limit) }

// FreeOSMemory is debug.FreeOSMemory: it collects, and gives back what is free.
func FreeOSMemory() { freeOSMemory() }

// Implemented in package runtime for package runtime/debug.

//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(in int32) (out int32)

//go:linkname setMemoryLimit runtime/debug.setMemoryLimit
func setMemoryLimit(in int64) (out int64)

//go:linkname freeOSMemory runtime/debug.freeOSMemory
func freeOSMemory()
