package environ

import (
	"os/exec"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
	"arenacap/policy"
)

// TestHugePagesOffOnARM64 lists the tunables of an aarch64 loader. glibc 2.43 and later ask for huge pages by default there;
// huge_pages = "off" turns that off and keeps the other tunables.
func TestHugePagesOffOnARM64(t *testing.T) {
	testenv.Need(t, "qemu-aarch64-static")
	loader := testenv.ARM64Loader(t)
	var off policy.Plan
	off.Mode, off.Policy.Arenas.HugePages = policy.Off, "off"
	for _, c := range []struct {
		env       string
		huge, set string
	}{
		{"A=1", "0x1", "0x0"},
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.tcache_count=2", "0x1", "0x2"},
		{"GLIBC_TUNABLES=glibc.malloc.tcache_count=2:", "0x1", "0x0"}, // the colon at the end makes it malformed
	} {
		if huge, set := tunablesOnARM64(t, loader, []string{c.env}); huge != c.huge || set != c.set {
			t.Errorf("%s: hugetlb is %s and tcache_count %s", c.env, huge, set)
		}
		count := "0x0"
		if strings.Contains(c.env, "tcache_count=2") {
			count = "0x2"
		}
		if huge, set := tunablesOnARM64(t, loader, Apply([]string{c.env}, off).Env); huge != "0x0" || set != count {
			t.Errorf(`%s with huge_pages = "off": hugetlb is %s and tcache_count %s`, c.env, huge, set)
		}
	}
}

func tunablesOnARM64(t *testing.T, loader string, env []string) (huge, tcache string) {
	t.Helper()
	cmd := exec.Command("qemu-aarch64-static", loader, "--list-tunables")
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	value := func(name string) string {
		_, rest, _ := strings.Cut(string(out), name+": ")
		value, _, _ := strings.Cut(rest, " ")
		return value
	}
	return value("glibc.malloc.hugetlb"), value("glibc.malloc.tcache_count")
}
