// This file reads the kernel's mode of transparent huge pages.

package machine

import (
	"strings"

	"arenacap/launcher/proc"
)

// hugePageFile shows the mode in brackets: "always [madvise] never" (Documentation/admin-guide/mm/transhuge.rst).
const hugePageFile = "/sys/kernel/mm/transparent_hugepage/enabled"

// HugePagesHelp says how to prevent huge pages if the mode is "always". arenacap does not do this itself.
const HugePagesHelp = `to prevent that, write madvise to ` + hugePageFile + ", or call prctl(PR_SET_THP_DISABLE) in the program or in what starts it; glibc.malloc.hugetlb=0 has no effect"

// HugePageMode is the mode, "always", "madvise" or "never", of the machine whose /sys is below root; "" is unknown.
func HugePageMode(root string) string {
	text, err := proc.Root(strings.TrimRight(root, "/")).Read(hugePageFile)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "[")
	mode, _, _ := strings.Cut(rest, "]")
	return mode
}
