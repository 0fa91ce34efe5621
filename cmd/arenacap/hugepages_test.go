package main

// These tests check huge pages in arenas, from the policy to a live process.

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"arenacap/launcher/machine"
	"arenacap/launcher/testenv"
)

func TestHugePagesLine(t *testing.T) {
	const asks = "GLIBC_TUNABLES has glibc.malloc.hugetlb=1"
	for _, c := range []struct {
		off       bool
		mode, why string
		known     bool
		want      string
	}{
		{true, "always", asks, true, `huge_pages = "off" does not help, because the kernel's mode is "always": to prevent that, write madvise to /sys/`},
		{false, "always", "", false, `arenas get huge pages, because the kernel's mode is "always": to prevent that, write madvise to /sys/`},
		{true, "never", asks, true, `huge_pages = "off" changes nothing, because the kernel's mode is "never"`},
		{false, "never", asks, true, ""},
		{true, "madvise", asks, true, `huge_pages = "off" helps: ` + asks},
		{true, "madvise", "", true, `huge_pages = "off" changes nothing: this glibc requests no huge pages`},
		{true, "madvise", "", false, `huge_pages = "off" helps where glibc requests huge pages: from 2.43 on aarch64`},
		{false, "madvise", asks, true, asks + `; huge_pages = "off" in [arenas] prevents that`},
		{false, "", asks, true, asks + `; huge_pages = "off" in [arenas] prevents that`},
		{false, "madvise", "", true, ""},
	} {
		if got := hugePagesLine(c.off, c.mode, c.why, c.known); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestHugePagesEnd: under a glibc that obeys glibc.malloc.hugetlb=1, arenas have huge pages, and with huge_pages =
// "off" they have none.
func TestHugePagesEnd(t *testing.T) {
	loader, libraries := testenv.NewerGlibc(t, 43)
	if mode := machine.HugePageMode("/"); mode != "madvise" {
		t.Skipf("the kernel's mode of huge pages is %q; this is about \"madvise\"", mode)
	}
	requireTools(t)
	arenas, err := arenasProgram()
	if err != nil {
		t.Fatal(err)
	}
	program := []string{loader, "--library-path", libraries, arenas}
	file := filepath.Join(t.TempDir(), "policy.toml")
	under := func(setting string) (huge uint64, said string) {
		if err := os.WriteFile(file, []byte("[arenas]\ncap = \"off\"\n"+setting), 0o600); err != nil {
			t.Fatal(err)
		}
		return hugeUnder(t, file, program)
	}
	if huge, said := under(""); huge == 0 || !strings.Contains(said, "are huge pages, and at most") {
		t.Errorf("hugetlb=1: %d bytes in huge pages; %s", huge, said)
	}
	if huge, said := under("huge_pages = \"off\"\n"); huge != 0 || strings.Contains(said, "huge") {
		t.Errorf(`huge_pages = "off": %d bytes in huge pages; %s`, huge, said)
	}
}

// hugeUnder starts the program with arenas under a policy and glibc.malloc.hugetlb=1, and returns the huge_bytes of ps
// and the output of inspect.
func hugeUnder(t *testing.T, policy string, program []string) (huge uint64, said string) {
	t.Helper()
	tool := builtTools().checked
	a := mustStart(t, []string{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1"}, append([]string{tool, "run", "--policy", policy, "--"}, program...)...)
	if _, err := a.do("threads 8 1"); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(tool, "inspect", a.pid()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var rows []struct {
		PID  int
		Huge uint64 `json:"huge_bytes"`
	}
	list, err := exec.Command(tool, "ps", "--json").Output()
	if err == nil {
		err = json.Unmarshal(list, &rows)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, list)
	}
	for _, r := range rows {
		if strconv.Itoa(r.PID) == a.pid() {
			huge = r.Huge
		}
	}
	return huge, string(text)
}
