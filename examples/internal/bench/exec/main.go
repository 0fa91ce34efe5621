// Command exec only executes its arguments. It measures the cost of Go itself for a launch.
package main

import (
	"os"
	"syscall"
)

func main() {
	_ = syscall.Exec(os.Args[1], os.Args[1:], syscall.Environ())
	os.Exit(126)
}
