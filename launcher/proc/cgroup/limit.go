// The limits of a group and of those above it, whatever the version.

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

// Limit is Num for every Den: microseconds of CPU time in a period of microseconds, or bytes and 1. The zero limit is
// none.
type Limit struct {
	Num, Den uint64
	From     string // the file, and what stood in it
}

// tighter compares two limits as exact fractions.
func (l Limit) tighter(than Limit) bool {
	if l.Den == 0 || than.Den == 0 {
		return l.Den != 0
	}
	h1, l1 := bits.Mul64(l.Num, than.Den)
	h2, l2 := bits.Mul64(than.Num, l.Den)
	return h1 < h2 || h1 == h2 && l1 < l2
}

// CPU is the tightest CPU quota from the group itself up to the last one in sight. A file that cannot be read or is
// malformed hides no good limit at another level; it is among the errors.
func (g Group) CPU(root proc.Root) (Limit, []error) {
	return g.tightest(root, version.cpu)
}

// Memory is the tightest memory limit, as CPU has it. Where the kernel tells its own sum that one decides: it knows the
// groups that no mount shows, and before Linux 5.11 those whose limit does not reach down (memory.use_hierarchy = 0).
// Where both agree the group that sets the limit is the better name for it.
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

// readLimit reads a limit that is one file. A missing file is no limit: the group at the top of version 2 has none, nor
// has one whose controller is off.
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

// number reads a decimal as the kernel prints it: digits only.
func number(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
