package environ

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"arenacap/launcher/testenv"
	"arenacap/policy"
)

const stackMiB = 8

// TestLimits runs a program under address-space limits: without a cap, with caps, and with caps that max_reserved
// lowers. If the worst case of the arenas and the thread stacks fit into the address space that the program leaves
// free, every thread starts and can allocate. Under 400,000 KiB and without a cap, some of 33 threads get no stack or
// no memory; with a cap of 2 all get both.
func TestLimits(t *testing.T) {
	testenv.Need(t, "gcc")
	path := filepath.Join(t.TempDir(), "threads")
	if out, err := exec.Command("gcc", "-O1", "-pthread", "-o", path, "testdata/threads.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	here := buildProbe(t).run(t, nil)
	online := policy.Reading[int]{N: here.cpus, From: "test"}
	fit, tight := 0, 0
	for _, kib := range []uint64{200_000, 400_000, 700_000, 1_000_000, 2_000_000, 4_000_000} {
		m := policy.Machine{Online: online, Affinity: online, Address: policy.Reading[uint64]{N: kib << 10, From: "RLIMIT_AS"}}
		for _, cap := range []string{"glibc", "1", "2", "4", "12", "64/core, 25%", "64/core, 50%"} {
			plan := limited(t, cap, m)
			for _, threads := range []int{4, 12, 33, 64} {
				cell := fmt.Sprintf("%d KiB, cap %s, %d threads", kib, cap, threads)
				l := runLimited(t, path, threads, kib, Apply([]string{}, plan).Env)
				arenas, _ := here.version.PlannedArenas(plan)
				room := uint64(l.mapped) + uint64(threads)*(stackMiB<<20+4096) + uint64(min(arenas-1, threads))*here.version.HeapBytes()
				whole := l.started == threads && l.given == threads
				switch {
				case l.arenas > arenas:
					t.Errorf("%s: %d arenas of %d", cell, l.arenas, arenas)
				case room <= kib<<10 && !whole:
					t.Errorf("%s: arenas and stacks fit into the limit, but only %d threads started and %d got memory", cell, l.started, l.given)
				case room <= kib<<10:
					fit++
				case !whole:
					tight++
				}
				if kib == 400_000 && threads == 33 && (cap == "glibc" && whole || cap == "2" && !whole) {
					t.Errorf("%s: %d threads started", cell, l.started)
				}
			}
		}
	}
	if fit < 20 || tight < 20 {
		t.Errorf("the threads fit into the limit in %d cells and do not in %d; want at least 20 of each", fit, tight)
	}
}

// limited returns the plan for a value of --arenas. "64/core, SHARE" stands for a policy file with cap = "64/core" and
// max_reserved = "SHARE".
func limited(t *testing.T, cap string, m policy.Machine) policy.Plan {
	t.Helper()
	p := policy.Builtin()
	var share string
	if n, _ := fmt.Sscanf(cap, "64/core, %s", &share); n == 1 {
		file := filepath.Join(t.TempDir(), "policy.toml")
		err := os.WriteFile(file, fmt.Appendf(nil, "[arenas]\ncap = \"64/core\"\nmax_reserved = %q\n", share), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if p, err = (policy.Lookup{Named: file}).Load(); err != nil {
			t.Fatal(err)
		}
	} else if err := p.Override("arenas", cap); err != nil {
		t.Fatal(err)
	}
	plan, err := p.Resolve(m)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

type limitedRun struct{ mapped, started, given, arenas int }

func runLimited(t *testing.T, path string, threads int, kib uint64, env []string) (l limitedRun) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `ulimit -v "$1"; exec "$0" "$2" "$3"`, path, strconv.FormatUint(kib, 10), strconv.Itoa(threads), strconv.Itoa(stackMiB))
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	if _, err := fmt.Sscan(string(out), &l.mapped, &l.started, &l.given, &l.arenas); err != nil {
		t.Fatalf("%v printed %q: %v", cmd, out, err)
	}
	return l
}
