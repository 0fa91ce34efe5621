// Package proc knows the texts of /proc and of the kernel's lists of CPUs: one file of this folder for each file of
// the kernel, with the format above its parser. The texts of control groups are in package cgroup below. Nothing else
// parses them. A parser takes the text and gives values whose unit is in their name or type; only read_linux.go reads
// files.
package proc

import "strconv"

// number reads a decimal as the kernel prints it, digits only, of at most so many bits.
func number(text []byte, bits int) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(text), 10, bits)
	return n, err == nil
}
