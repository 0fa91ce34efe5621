package environ

import (
	"fmt"
	"runtime"
)

// Huge pages in arenas: who asks for them.

// hugeTunable is what malloc does about huge pages: 0 nothing, 1 transparent ones, by madvise, 2 and more MAP_HUGETLB
// (glibc since 2.35: manual/tunables.texi). There is no variable for it.
const hugeTunable = "glibc.malloc.hugetlb"

// HugePages says why a glibc of that version asks the kernel for huge pages in an environment, on this processor; "" is that
// it does not. From 2.43 on it does so by itself on aarch64 (NEWS 2.43). mapped is for MAP_HUGETLB, on which the kernel's mode
// of transparent huge pages has no effect.
func HugePages(env []string, v GlibcVersion) (why string, mapped bool) {
	return hugePages(env, v, runtime.GOARCH)
}

func hugePages(env []string, v GlibcVersion, arch string) (why string, mapped bool) {
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
		return fmt.Sprintf("glibc %s asks for them by itself on aarch64", v), false
	}
	return "", false
}
