package environ

import (
	"fmt"
	"runtime"

	"arenacap/launcher/environ/glibc"
)

// This file determines whether malloc requests huge pages.

// hugeTunable sets which huge pages malloc requests: 0 none, 1 transparent huge pages through madvise, 2 and more
// MAP_HUGETLB (since glibc 2.35: manual/tunables.texi). No other variable sets them.
const hugeTunable = "glibc.malloc.hugetlb"

// HugePages returns the reason why the malloc of this glibc version requests huge pages from the kernel in an
// environment, on this processor; "" if it does not. glibc 2.43 and later request them by default on aarch64 (NEWS
// 2.43). The result "mapped" is true if malloc uses mmap with MAP_HUGETLB, which does not depend on the kernel's mode
// of transparent huge pages.
func HugePages(env []string, v glibc.Version) (why string, mapped bool) {
	return hugePages(env, v, runtime.GOARCH)
}

func hugePages(env []string, v glibc.Version, arch string) (why string, mapped bool) {
	if v.Before(35) {
		return "", false
	}
	asked, value := false, uint64(0)
	for _, entry := range env {
		name, text := arenaVariable(entry)
		if items := tunableItems(text, v); name == tunablesName && lastIndex(items, hugeTunable) >= 0 {
			value, _ = parseNumber(lastValue(items, hugeTunable), v)
			asked = true
		}
	}
	switch {
	case asked && value != 0:
		return fmt.Sprintf("%s has %s=%d", tunablesName, hugeTunable, value), value > 1
	case !asked && v.Known() && !v.Before(43) && arch == "arm64":
		return fmt.Sprintf("glibc %s requests huge pages by default on aarch64", v), false
	}
	return "", false
}
