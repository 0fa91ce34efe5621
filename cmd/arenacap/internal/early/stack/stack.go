// Package stack makes the stack of the main goroutine at once as large as a launch needs it, before anything else is
// initialised. It starts with 2 KiB; growing it step by step from deep inside would copy it five times, and each copy
// touches new pages.
package stack

func init() { reserve() }

func reserve()
