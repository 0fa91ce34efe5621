package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/machine/gopsutil"
	"arenacap/policy"
)

const cgroupDir = "/sys/fs/cgroup/"

func TestQuota(t *testing.T) {
	for _, c := range []struct {
		machine string
		cpus    float64
		from    string
		why     string
	}{
		{machine: "v2-max"},
		{machine: "v2-controller-off"},
		{machine: "v2-nested-parent-tighter", cpus: 1.5, from: cgroupDir + "a/b/cpu.max: 150000 100000"},
		{machine: "v2-nested-leaf-tighter", cpus: 0.5, from: cgroupDir + "a/b/cpu.max: 25000 50000"},
		{machine: "v2-longer-period-is-tighter", cpus: 0.5, from: cgroupDir + "a/cpu.max: 500000 1000000"},
		{machine: "v2-namespaced", cpus: 2, from: cgroupDir + "cpu.max: 200000 100000"},
		{machine: "v2-namespaced-mount-from-outside", cpus: 3.5, from: cgroupDir + "pod/cpu.max: 350000 100000"},
		{machine: "v2-namespace-names-hidden", cpus: 2.5, from: cgroupDir + `cpu.max: 250000 100000; not counted: no mount shows the cpu group "/app" of cgroup v2`},
		{machine: "v2-outside-of-namespace", why: `no mount shows the cpu group "/../other" of cgroup v2`},
		{machine: "v2-leaf-only", cpus: 1.2, from: cgroupDir + "cpu.max: 120000 100000"},
		{machine: "v2-mount-of-another-group", why: `no mount shows the cpu group "/docker/ab12" of cgroup v2`},
		{machine: "v2-two-mounts", cpus: 0.7, from: cgroupDir + "a/cpu.max: 70000 100000"},
		{machine: "v2-hidden-under-a-later-mount", cpus: 2.2, from: "/run/a/b/cpu.max: 220000 100000"},
		{machine: "v2-folder-is-not-there", cpus: 0.9, from: cgroupDir + `a/cpu.max: 90000 100000; not counted: no mount shows the cpu group "/a/b" of cgroup v2`},
		{machine: "escaped-mount", cpus: 1.75, from: "/mnt/c g/my group/cpu.max: 175000 100000"},
		{machine: "v1-unlimited"},
		{machine: "v1-nested-parent-tighter", cpus: 1.5, from: cgroupDir + "cpu,cpuacct/a/cpu.cfs_quota_us: 150000, cpu.cfs_period_us: 100000"},
		{machine: "v1-namespaced", cpus: 0.5, from: cgroupDir + "cpu,cpuacct/cpu.cfs_quota_us: 50000, cpu.cfs_period_us: 100000"},
		{machine: "v1-leaf-only", cpus: 3, from: cgroupDir + "cpu,cpuacct/cpu.cfs_quota_us: 300000, cpu.cfs_period_us: 100000"},
		{machine: "v1-zero-period", why: cgroupDir + `cpu/a/cpu.cfs_quota_us: quota "100000", period "0": expected numbers of microseconds above 0, or the quota -1`},
		{machine: "v1-no-period", why: "open " + cgroupDir + "cpu/a/cpu.cfs_period_us: no such file or directory"},
		{machine: "hybrid", cpus: 2.75, from: cgroupDir + "cpu/a/cpu.cfs_quota_us: 275000, cpu.cfs_period_us: 100000"},
		{machine: "hybrid-memory-in-v2"},
		{machine: "zero-period", why: cgroupDir + `a/cpu.max: "100000 0" is not "QUOTA PERIOD" or "max PERIOD" in microseconds`},
		{machine: "malformed-cpu-max", why: cgroupDir + `a/cpu.max: "plenty" is not "QUOTA PERIOD" or "max PERIOD" in microseconds`},
		{machine: "malformed-below-a-good-limit", cpus: 1.5, from: cgroupDir + "a/cpu.max: 150000 100000; not counted: " +
			cgroupDir + `a/b/cpu.max: "100000" is not "QUOTA PERIOD" or "max PERIOD" in microseconds`},
		{machine: "malformed-cgroup-line", why: `/proc/self/cgroup: line "0:/a\n" is not "ID:CONTROLLERS:/PATH"`},
		{machine: "malformed-mountinfo", why: `/proc/self/mountinfo: line "30 23 0:26 /" contains no root and mount point`},
		{machine: "no-cgroup"},
		{machine: "cgroup-not-mounted", why: `no mount shows the cpu group "/a" of cgroup v2`},
		{machine: "no-mountinfo", why: "open /proc/self/mountinfo: no such file or directory"},
		{machine: "no-proc", why: "open /proc/self/cgroup: no such file or directory"},
	} {
		t.Run(c.machine, func(t *testing.T) {
			want := policy.Reading[float64]{N: c.cpus, From: c.from, Why: c.why}
			if got := find(t, c.machine, Cores).Quota; got != want {
				t.Errorf("quota\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	const (
		host     = 4 << 30
		hostFrom = "/proc/meminfo: MemTotal"
	)
	for _, c := range []struct {
		machine string
		bytes   uint64
		from    string
	}{
		{"v2-max", host, hostFrom},
		{"v2-nested-parent-tighter", 1 << 30, cgroupDir + "a/b/memory.max: 1073741824"},
		{"v2-nested-leaf-tighter", 512 << 20, cgroupDir + "a/b/memory.max: 536870912"},
		{"memory-limit-above-the-host", host, hostFrom},
		{"v1-unlimited", host, hostFrom},
		{"v1-nested-parent-tighter", 1 << 30, cgroupDir + "memory/a/memory.limit_in_bytes: 1073741824"},
		{"v1-namespaced", 256 << 20, cgroupDir + "memory/memory.limit_in_bytes: 268435456"},
		{"v1-leaf-only", 384 << 20, cgroupDir + "memory/memory.stat: hierarchical_memory_limit 402653184"},
		{"v1-parent-does-not-reach-down", 2 << 30, cgroupDir + "memory/a/b/memory.stat: hierarchical_memory_limit 2147483648"},
		{"v1-malformed-kernel-sum", 1 << 30, cgroupDir + "memory/a/memory.limit_in_bytes: 1073741824; not counted: " +
			cgroupDir + `memory/a/memory.stat: "?" is not a number of bytes above 0`},
		{"hybrid", 3 << 30, cgroupDir + "memory/a/memory.limit_in_bytes: 3221225472"},
		{"hybrid-memory-in-v2", 3 << 30, cgroupDir + "unified/unit/memory.max: 3221225472"},
		{"malformed-cpu-max", host, hostFrom + "; not counted: " + cgroupDir + `a/memory.max: "lots" is not "max" or a number of bytes above 0`},
		{"malformed-below-a-good-limit", 1 << 30, cgroupDir + "a/memory.max: 1073741824; not counted: " +
			cgroupDir + `a/b/memory.max: "-1" is not "max" or a number of bytes above 0`},
		{"no-cgroup", host, hostFrom},
		{"v2-namespaced", 768 << 20, cgroupDir + "memory.max: 805306368"}, // this fake machine has no /proc/meminfo
	} {
		t.Run(c.machine, func(t *testing.T) {
			want := policy.Reading[uint64]{N: c.bytes, From: c.from}
			if got := find(t, c.machine, Memory).Memory; got != want {
				t.Errorf("memory\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestMemoryUnknown(t *testing.T) {
	got := find(t, "no-proc", Memory).Memory
	if got.N != 0 || !strings.Contains(got.Why, "no MemTotal in /proc/meminfo") || !strings.Contains(got.Why, "/proc/self/cgroup: no such file") {
		t.Errorf("memory of a machine without /proc: %+v", got)
	}
}

func TestCPUs(t *testing.T) {
	const gone = ": no such file or directory"
	list := func(s, file string) string { return fmt.Sprintf(`%s: %q is not a CPU list such as "0-3,8"`, file, s) }
	for _, c := range []struct {
		machine                   string
		online, affinity, library policy.Reading[int]
	}{
		{"cpus-pinned",
			policy.Reading[int]{N: 8, From: onlineFile + ": 0-7"},
			policy.Reading[int]{N: 3, From: statusFile + ": Cpus_allowed_list 2-3,6"},
			policy.Reading[int]{N: 4, From: "gopsutil"}},
		{"cpus-offline",
			policy.Reading[int]{N: 3, From: onlineFile + ": 0-1,4"},
			policy.Reading[int]{N: 3, From: statusFile + ": Cpus_allowed_list 0-127"},
			policy.Reading[int]{Why: "gopsutil: open ROOT/proc/stat" + gone}},
		{"cpus-one",
			policy.Reading[int]{N: 1, From: onlineFile + ": 0"},
			policy.Reading[int]{N: 1, From: statusFile + ": Cpus_allowed_list 0"},
			policy.Reading[int]{Why: "gopsutil: open ROOT/proc/stat" + gone}},
		{"cpus-allowed-none-online",
			policy.Reading[int]{N: 2, From: onlineFile + ": 0-1"},
			policy.Reading[int]{Why: statusFile + " allows CPUs 2-3, none of which is online"},
			policy.Reading[int]{Why: "gopsutil: open ROOT/proc/stat" + gone}},
		{"cpus-no-sysfs",
			policy.Reading[int]{N: 2, From: statFile + ": cpuN lines"},
			policy.Reading[int]{N: 2, From: statusFile + ": Cpus_allowed_list 0,2"},
			policy.Reading[int]{N: 2, From: "gopsutil"}},
		{"cpus-malformed-online",
			policy.Reading[int]{N: 2, From: statFile + ": cpuN lines"},
			policy.Reading[int]{Why: statusFile + ": the file contains no Cpus_allowed_list line"},
			policy.Reading[int]{N: 2, From: "gopsutil"}},
		{"cpus-malformed",
			policy.Reading[int]{Why: list("3-1\n", onlineFile) + "; " + statFile + ": the file contains no cpuN line"},
			policy.Reading[int]{Why: list("x", statusFile)},
			policy.Reading[int]{Why: "gopsutil counted no CPU"}},
		{"no-proc",
			policy.Reading[int]{Why: "open " + onlineFile + gone + "; open " + statFile + gone},
			policy.Reading[int]{Why: "open " + statusFile + gone},
			policy.Reading[int]{Why: "gopsutil: open ROOT/proc/stat" + gone}},
	} {
		t.Run(c.machine, func(t *testing.T) {
			m := find(t, c.machine, Cores|Library)
			m.Library.Why = strings.Replace(m.Library.Why, filepath.Join("testdata", c.machine), "ROOT", 1)
			for i, pair := range [][2]policy.Reading[int]{{m.Online, c.online}, {m.Affinity, c.affinity}, {m.Library, c.library}} {
				if pair[0] != pair[1] {
					t.Errorf("%s\n got %+v\nwant %+v", []string{"online", "affinity", "library"}[i], pair[0], pair[1])
				}
			}
		})
	}
}

func TestOnlyWhatIsNeeded(t *testing.T) {
	none := policy.Reading[int]{Why: "not looked up"}
	m := find(t, "cpus-pinned", 0)
	if m.Online != none || m.Affinity != none || m.Library != none || m.Quota.Why != none.Why || m.Memory.Why != none.Why {
		t.Errorf("no fact was needed, but Find looked up %+v", m)
	}
	if m := find(t, "cpus-pinned", Cores); m.Online.N == 0 || m.Library != none || m.Memory.Why != none.Why {
		t.Errorf("only the cores were needed, but Find looked up %+v", m)
	}
	if m := find(t, "v2-max", Memory); m.Memory.N == 0 || m.Online != none || m.Quota.Why != none.Why {
		t.Errorf("only the memory was needed, but Find looked up %+v", m)
	}
}

// TestThousandsOfMounts: on a host with many containers, mountinfo has hundreds of kilobytes.
func TestThousandsOfMounts(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/v2-nested-parent-tighter")); err != nil {
		t.Fatal(err)
	}
	file := root + mountFile
	last, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	layer := "99 23 0:99 / /var/lib/docker/overlay2/0123456789abcdef/merged rw,relatime - overlay overlay rw,lowerdir=/a:/b:/c\n"
	if err := os.WriteFile(file, append([]byte(strings.Repeat(layer, 5000)), last...), 0o600); err != nil {
		t.Fatal(err)
	}
	if q := Find(root, Cores, nil).Quota; q.N != 1.5 {
		t.Errorf("quota %+v", q)
	}
}

// find looks up facts on a fake machine. Each folder of testdata is the root of such a machine, named after its
// situation.
func find(t *testing.T, machine string, need Need) policy.Machine {
	t.Helper()
	root := filepath.Join("testdata", machine)
	if matches, _ := filepath.Glob(root + "/*"); len(matches) == 0 {
		t.Fatalf("there is no fake root %s", root)
	}
	return Find(root, need, gopsutil.Root(root))
}

func BenchmarkFindCores(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Find("/", Cores, nil)
	}
}

func BenchmarkFindCoresNestedGroup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Find("testdata/v2-nested-parent-tighter", Cores, nil)
	}
}
