// What the kernel does about transparent huge pages.

package machine

import (
	"strings"

	"arenacap/launcher/proc"
)

// HugePageFile has the kernel's mode in brackets: "always [madvise] never" (Documentation/admin-guide/mm/transhuge.rst).
const HugePageFile = "/sys/kernel/mm/transparent_hugepage/enabled"

// HugePagesHelp is what takes huge pages away where the kernel's mode is "always". arenacap does neither.
const HugePagesHelp = `prctl(PR_SET_THP_DISABLE) in the program or what starts it, or "madvise" in ` + HugePageFile + ", would change that; glibc.malloc.hugetlb=0 cannot"

// HugePageMode is "always", "madvise" or "never" of the machine whose /sys is below root; "" is not known.
func HugePageMode(root string) string {
	text, err := proc.Root(strings.TrimRight(root, "/")).Read(HugePageFile)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "[")
	mode, _, _ := strings.Cut(rest, "]")
	return mode
}
