package container_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// initScript is PID 1 of a virtual machine with 4 CPUs and cgroup v2. It nests the groups of a node, a pod and a
// container like a kubelet. It prints a line "case NAME JSON" for each case: JSON is the output of arenacap plan --json
// in the innermost group. The "private" cases run in a cgroup namespace, as containers do by default.
const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
plan() { echo "case $1 $(arenacap plan --json | tr -d '\n')"; }
private() { unshare --cgroup --mount /bin/busybox sh -c 'cd / && umount /sys/fs/cgroup && mount -t cgroup2 cgroup /sys/fs/cgroup && arenacap plan --json | tr -d "\n" >/plan'; echo "case $1 $(cat /plan)"; }
cd /sys/fs/cgroup
mkdir -p node/pod/container
for group in . node node/pod; do echo "+cpu +memory" >$group/cgroup.subtree_control; done
echo $$ >node/pod/container/cgroup.procs
plan none
echo "150000 100000" >node/pod/container/cpu.max
plan container
private container-private
echo "50000 100000" >node/pod/cpu.max
plan pod
private pod-private
echo "max 100000" >node/pod/cpu.max
echo "1000000 100000" >node/pod/container/cpu.max
plan wide
echo 128M >node/pod/container/memory.max
printf '[budget]\nresident = "25%%"\n' >/policy.toml
echo "case memory $(arenacap plan --json --policy /policy.toml | tr -d '\n')"
poweroff -f
`

// TestCgroupV2 tests the limits of cgroup v2, on a separate kernel, because this machine may have the CPU controller in v1.
func TestCgroupV2(t *testing.T) {
	kernel := os.Getenv("ARENACAP_KERNEL")
	if kernel == "" {
		t.Skip("no kernel to boot: .ci/container names one in ARENACAP_KERNEL")
	}
	testenv.Need(t, "qemu-system-x86_64", "busybox", "unshare", "ldd", "gzip")
	image := initramfs(t, lab.Dir(t))
	ctx := lab.Within(t, 4*time.Minute)
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-smp", "4", "-m", "512",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", image,
		"-append", "console=ttyS0 quiet panic=-1").CombinedOutput()
	if err != nil {
		t.Fatalf("qemu: %v\n%s", err, out)
	}
	found := map[string]plan{}
	for line := range strings.Lines(string(out)) {
		words, ok := strings.CutPrefix(line, "case ")
		name, text, _ := strings.Cut(strings.TrimSpace(words), " ")
		var p plan
		if ok && json.Unmarshal([]byte(text), &p) == nil {
			found[name] = p
		}
	}
	for name, want := range map[string]struct {
		quota float64 // CPU quota in CPUs; 0: none
		used  int
	}{
		"none":              {0, 4},
		"container":         {1.5, 2},
		"container-private": {1.5, 2},
		"pod":               {0.5, 1},
		"pod-private":       {1.5, 2}, // groups above the namespace's root are not visible
		"wide":              {10, 4},
		"memory":            {10, 4},
	} {
		got, ok := found[name]
		quota := 0.0
		if got.Cores.Quota != nil {
			quota = *got.Cores.Quota
		}
		if !ok || quota != want.quota || got.Cores.Used != want.used || got.Cores.Online != 4 {
			t.Errorf("%s: %+v, quota %g; want %+v", name, got, quota, want)
		}
	}
	if b := found["memory"].Budget; len(b) != 1 || b[0].Limit != 32<<20 {
		t.Errorf("a quarter of 128 MiB: %+v", b)
	}
	if t.Failed() {
		t.Logf("the console:\n%s", out)
	}
}

// plan holds the fields of arenacap plan --json that are tested here.
type plan struct {
	Cores struct {
		Online, Used int
		Quota        *float64
	}
	Budget []struct {
		Limit uint64 `json:"limit_bytes"`
	}
}

// initramfs is the virtual machine's file system: busybox, unshare, their libraries, and a static arenacap.
func initramfs(t *testing.T, dir string) string {
	t.Helper()
	root := filepath.Join(dir, "root")
	install := func(from, place string) {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(root, place)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"proc", "sys", "bin", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"busybox", "unshare"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		install(path, "bin/"+name)
		libraries, _ := exec.Command("ldd", path).Output() // ldd fails for a static program, which has no libraries
		for _, word := range strings.Fields(string(libraries)) {
			if strings.HasPrefix(word, "/") {
				install(word, word)
			}
		}
	}
	if err := testenv.Arenacap(filepath.Join(root, "bin", "arenacap"), []string{"CGO_ENABLED=0", "GOARCH=amd64"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "init"), []byte(initScript), 0o755); err != nil {
		t.Fatal(err)
	}
	return archive(t, root, filepath.Join(dir, "initramfs"))
}

// archive packs a folder in the format of an initramfs (initramfs-buffer-format).
func archive(t *testing.T, root, path string) string {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("/bin/sh", "-c", "find . | busybox cpio -o -H newc | gzip -1")
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, io.Discard
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return path
}
