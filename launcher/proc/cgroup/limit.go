// This file finds the limits of a group and of the groups above it, for both versions.

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"strconv"
	"strings"

	"arenacap/launcher/proc"
)

// Limit is the fraction Num/Den: CPU time per period, both in microseconds, or bytes per 1. The zero Limit is no limit.
type Limit struct {
	Num, Den uint64
	From     string // the file and its content
}

// tighter reports whether l is the smaller limit. It compares exact fractions.
func (l Limit) tighter(than Limit) bool {
	if l.Den == 0 || than.Den == 0 {
		return l.Den != 0
	}
	h1, l1 := bits.Mul64(l.Num, than.Den)
	h2, l2 := bits.Mul64(than.Num, l.Den)
	return h1 < h2 || h1 == h2 && l1 < l2
}

// CPU is the smallest CPU quota of the group and the visible groups above it. A file that cannot be read or is malformed
// adds an error and does not hide the limits of other levels.
func (g Group) CPU(root proc.Root) (Limit, []error) {
	return g.tightest(root, version.cpu)
}

// Memory is the smallest memory limit of the group and the visible groups above it, with errors as in CPU. If the kernel
// reports a different resulting limit (memorySum), Memory returns the limit from the kernel: this limit includes groups that
// no mount shows, and before Linux 5.11 it leaves out groups whose limit does not apply to children (memory.use_hierarchy =
// 0). If both limits are equal, the field From of the result names the group that sets the limit.
func (g Group) Memory(root proc.Root) (Limit, []error) {
	best, errs := g.tightest(root, version.memory)
	if !g.there() {
		return best, errs
	}
	sum, ok, err := g.version.memorySum(root, strings.TrimSuffix(g.Folders[0], "/"))
	if err != nil {
		return best, append(errs, err)
	}
	if ok && sum.Num != best.Num {
		return sum, errs
	}
	return best, errs
}

func (g Group) tightest(root proc.Root, read func(v version, root proc.Root, folder string) (Limit, error)) (best Limit, errs []error) {
	for _, folder := range g.Folders {
		found, err := read(g.version, root, strings.TrimSuffix(folder, "/"))
		if err != nil {
			errs = append(errs, err)
		}
		if found.tighter(best) {
			best = found
		}
	}
	return best, errs
}

// readLimit reads a limit from one file. A missing file means no limit: the root of version 2 has no such file, and
// neither has a group whose controller is off.
func readLimit(root proc.Root, path string, parse func(string) (Limit, error)) (Limit, error) {
	text, err := readLine(root, path)
	if errors.Is(err, fs.ErrNotExist) {
		return Limit{}, nil
	}
	if err != nil {
		return Limit{}, err
	}
	l, err := parse(text)
	if err != nil {
		return Limit{}, fmt.Errorf("%s: %w", path, err)
	}
	l.From = path + ": " + text
	return l, nil
}

func readLine(root proc.Root, path string) (string, error) {
	text, err := root.Read(path)
	return strings.TrimSuffix(string(text), "\n"), err
}

// number parses a decimal, digits only.
func number(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
