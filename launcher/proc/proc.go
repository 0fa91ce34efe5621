// Package proc parses the files of /proc and the kernel's CPU lists. Each kernel file has one file here, which describes
// the format above the parser. Package vma does the same for memory mappings, package cgroup for control groups. No other
// package parses these files. Parsers take text; only read_linux.go reads files. The package also has Waitid, because the
// launcher and the sweep read the same structure of the kernel.
package proc

import "strconv"

// number parses a decimal of at most the given bits, digits only.
func number(text []byte, bits int) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(text), 10, bits)
	return n, err == nil
}
