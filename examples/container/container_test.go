// Package container_test builds the example's image from its Dockerfile with podman, without a registry, and runs it with
// podman and runc, like docker run, and as the pod of its manifest.
package container_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

const (
	image    = "authserver"
	arenacap = "/usr/local/bin/arenacap"
)

func build(t *testing.T) (context.Context, *lab.Podman) {
	t.Helper()
	podman := lab.NewPodman(t, lab.Debian, lab.Golang)
	testenv.Need(t, "go", "catatonit")
	if err := podman.Build(t.Context(), "--tag", image, "--file", "Dockerfile"); err != nil {
		t.Fatal(err)
	}
	return lab.Within(t, 5*time.Minute), podman
}

// TestContainer runs the first two tests of the list. With ARENACAP_FULL=1, which .ci/container sets, it runs all of them.
func TestContainer(t *testing.T) {
	ctx, podman := build(t)
	podman.Run(ctx, t, 2, []lab.PodmanTest{
		{Name: "docker run", Test: dockerRun},
		{Name: "the pod of the manifest", Test: thePod},
		{Name: "statuses", Test: statuses},
		{Name: "orphans", Test: orphans},
		{Name: "a server that ignores SIGTERM", Test: deafServer},
		{Name: "cores", Test: cores},
		{Name: "breach", Test: breach},
		{Name: "memory by per cent", Test: memoryPercent},
		{Name: "the policy", Test: refusals},
		{Name: "musl", Test: musl},
	})
}

// runVolume is the server's writable folder, with the owner that it has in the image. It replaces --tmpfs, which accepts
// uid= in docker but not in podman.
const runVolume = "--volume=/run/authserver"

// dockerRun runs and stops the image as in the README.
func dockerRun(ctx context.Context, t *testing.T, podman *lab.Podman) {
	a := serve(ctx, t, podman, "auth", "--read-only", runVolume, "--cpus=1.5", "--memory=512m")
	if out, status, err := podman.Do(ctx, "stop", "auth"); status != 0 || err != nil {
		t.Errorf("podman stop: %d, %v, %s", status, err, out)
	}
	if status, err := a.Wait(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
	if _, err := a.AwaitEvent(ctx, "exited", ""); err != nil {
		t.Error(err)
	}
}

// serve starts a container of the server with these flags of podman, and connects to the server.
func serve(ctx context.Context, t *testing.T, podman *lab.Podman, name string, flags ...string) *lab.AuthServer {
	t.Helper()
	return podman.AuthServer(ctx, t, name, start(ctx, t, podman, name, append(flags, image)...))
}

func start(ctx context.Context, t *testing.T, podman *lab.Podman, name string, args ...string) *lab.Process {
	t.Helper()
	p, err := podman.Start(ctx, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// serverOf returns the server's PID on the host. The server is the only child of the container's PID 1, whose PID on
// the host is pid.
func serverOf(t *testing.T, pid int) int {
	t.Helper()
	text := lab.ProcFile(t, pid, fmt.Sprintf("task/%d/children", pid))
	var child int
	if _, err := fmt.Sscan(text, &child); err != nil {
		t.Fatalf("children of PID 1: %q: %v", text, err)
	}
	return child
}

// podContainer is podman's name for the manifest's container.
const podContainer = "authserver-pod-0-authserver"

// thePod checks that with all restrictions of the manifest the server runs and keeps the cap of the container's
// cores, inspect works inside, and SIGTERM ends it.
func thePod(ctx context.Context, t *testing.T, podman *lab.Podman) {
	a := podman.AuthServer(ctx, t, podContainer, play(ctx, t, podman))
	pid := serverOf(t, podman.Pid(ctx, t, podContainer))
	status := lab.ProcFile(t, pid, "status")
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n",
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the server's status has no %q:\n%s", want, status)
		}
	}
	env, err := lab.Environ(pid)
	if err != nil {
		t.Fatal(err)
	}
	if want := min(4, 2*runtime.NumCPU()); env["MALLOC_ARENA_MAX"] != strconv.Itoa(want) {
		t.Errorf("MALLOC_ARENA_MAX=%q, want %d for 1.5 CPUs", env["MALLOC_ARENA_MAX"], want)
	}
	for range 64 {
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	probe(ctx, t, podman)
	kubectlExec(ctx, t, podman, pid)
	if out, status, err := podman.Do(ctx, "stop", podContainer); status != 0 || err != nil {
		t.Errorf("podman stop: %d, %v, %s", status, err, out)
	}
	if out, status, err := podman.Do(ctx, "wait", podContainer); out != "0" || status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %s, %d, %v", out, status, err)
	}
	if e, err := a.AwaitEvent(ctx, "exited", ""); err != nil || e.Service != "authserver" {
		t.Errorf("%+v, %v", e, err)
	}
}

// play starts the pod of the manifest, and returns a process that prints the pod's log. Here podman 4.3 differs from a
// kubelet in two points: it does not support subPath, so the ConfigMap's folder is mounted instead of the single file
// (test "the policy" mounts the file), and only root may enter the volume that it creates for a ConfigMap.
func play(ctx context.Context, t *testing.T, podman *lab.Podman) *lab.Process {
	t.Helper()
	file, err := lab.Copy("deployment.yaml", lab.Dir(t), "mountPath: /etc/arenacap/policy.toml", "mountPath: /etc/arenacap")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"volume", "create", "authserver-policy"}, {"kube", "play", "--network", "none", file}} {
		if out, status, err := podman.Do(ctx, args...); status != 0 || err != nil {
			t.Fatalf("podman %s: %d, %v\n%s", strings.Join(args, " "), status, err, out)
		}
	}
	p, err := lab.Start(podman.Command(ctx, "logs", "--follow", podContainer), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// probe runs the manifest's readiness probe, and checks the limits in the pod and that its root file system, its
// policy, /proc/sys and its control group are read-only.
func probe(ctx context.Context, t *testing.T, podman *lab.Podman) {
	t.Helper()
	_, deployment := manifest(ctx, t)
	command := deployment.Spec.Template.Spec.Containers[0].ReadinessProbe.Exec.Command
	if out, status, err := podman.Do(ctx, slices.Concat([]string{"exec", podContainer}, command)...); status != 0 || err != nil {
		t.Errorf("the readiness probe: %d, %v\n%s", status, err, out)
	}
	var found plan
	out, status, err := podman.Do(ctx, "exec", podContainer, arenacap, "plan", "--json")
	if err := errors.Join(err, json.Unmarshal([]byte(out), &found)); err != nil || status != 0 {
		t.Fatalf("plan in the pod: %d, %v\n%s", status, err, out)
	}
	if q := found.Cores.Quota; q == nil || *q != 1.5 || len(found.Budget) != 2 || found.Budget[0].Limit != 512<<20*4/5 {
		t.Errorf("1.5 CPUs and 80%% of 512 MiB: %s", out)
	}
	group := "/sys/fs/cgroup/cpu/cgroup.procs"
	if _, err := os.Stat("/sys/fs/cgroup/cpu"); err != nil { // cgroup v2
		group = "/sys/fs/cgroup/cgroup.procs"
	}
	for _, path := range []string{"/file", "/etc/arenacap/policy.toml", "/proc/sys/kernel/hostname", group} {
		out, status, err := podman.Do(ctx, "exec", "--user", "0:0", podContainer, "/bin/sh", "-c", "echo 1 >>"+path)
		if status == 0 || err != nil || !strings.Contains(out, "Read-only file system") {
			t.Errorf("%s can be written in the container: %d, %v, %s", path, status, err, out)
		}
	}
}

// kubectlExec does what kubectl exec POD -- arenacap inspect --json PID does.
func kubectlExec(ctx context.Context, t *testing.T, podman *lab.Podman, pid int) {
	t.Helper()
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && string(scope) != "0\n" {
		t.Logf("kernel.yama.ptrace_scope is %s: only root may look into a process here", scope)
		return
	}
	// The line NSpid has the PID in each namespace, the outermost first (proc(5)).
	_, ns, _ := strings.Cut(lab.ProcFile(t, pid, "status"), "NSpid:")
	ns, _, _ = strings.Cut(ns, "\n")
	pids := strings.Fields(ns)
	out, status, err := podman.Do(ctx, "exec", podContainer, arenacap, "inspect", "--json", pids[len(pids)-1])
	var found []struct {
		Arenas, Cap int
		Kept        *bool
	}
	if err != nil || status != 0 || json.Unmarshal([]byte(out), &found) != nil || len(found) != 1 {
		t.Fatalf("inspect in the container: %d, %v\n%s", status, err, out)
	}
	if got := found[0]; got.Arenas != got.Cap || got.Kept == nil || !*got.Kept {
		t.Errorf("after 64 logins on 64 threads: %s", out)
	}
}

// statuses checks the exit statuses of docker run, which kubectl describe pod shows as "Exit Code".
func statuses(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"a clean end", []string{"/bin/sh", "-c", "exit 0"}, 0, ""},
		{"the server's own status", []string{"/bin/sh", "-c", "exit 5"}, 5, ""},
		{"a signal", []string{"/bin/sh", "-c", "kill -SEGV $$"}, 128 + int(syscall.SIGSEGV), ""},
		{"no such program", []string{"/usr/local/bin/authsrever"}, 127, "authsrever"},
		{"may not be run", []string{"/etc/arenacap/policy.toml"}, 126, "permission denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, status, err := run(ctx, podman, nil, c.args...)
			if err != nil || status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, %v, %q; want %d", status, err, out, c.status)
			}
		})
	}
}

// run runs a container of the image to its end.
func run(ctx context.Context, podman *lab.Podman, flags []string, args ...string) (output string, status int, err error) {
	return podman.Do(ctx, slices.Concat([]string{"run", "--rm"}, flags, []string{image}, args)...)
}

// leaveOrphans is a server that leaves fifty orphans, which end at once. It prints a line when no zombie is left. SIGTERM
// ends it with status 7; it leaves one more orphan, which ends with the container.
const leaveOrphans = `trap 'exit 7' TERM
for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5; do /bin/true & done); done
while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do :; done
(sleep 1000 &)
echo no zombies
sleep 1000 & wait`

// orphans checks that PID 1 reaps orphaned processes, with and without a budget, and that remaining processes end
// with PID 1.
func orphans(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for i, c := range []struct {
		name string
		args []string
	}{
		{"the image's entry point", []string{image}},
		{"without a budget", []string{"--entrypoint", arenacap, image, "run", "--supervise", "--budget", "off", "--"}},
		{"auto with a budget", []string{"--entrypoint", arenacap, image, "run", "--budget", "1TiB", "--"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := fmt.Sprintf("orphans%d", i)
			p := start(ctx, t, podman, name, append(c.args, "/bin/sh", "-c", leaveOrphans)...)
			if _, err := p.AwaitText(ctx, "no zombies"); err != nil {
				t.Fatal(err)
			}
			left := processes(ctx, t, podman, name)
			if err := podman.Signal(ctx, name, "TERM"); err != nil {
				t.Fatal(err)
			}
			if status, err := p.Wait(ctx); status != 7 || err != nil {
				t.Errorf("SIGTERM ended it with %d, %v", status, err)
			}
			wantEnded(t, left)
		})
	}
}

// processes returns pidfds of a container's processes: PID 1, the server and its children. A pidfd never refers to a later
// process with the same PID.
func processes(ctx context.Context, t *testing.T, podman *lab.Podman, name string) []*os.Process {
	t.Helper()
	out, _, err := podman.Do(ctx, "top", name, "hpid")
	pids := strings.Fields(out)
	if err != nil || len(pids) < 4 || pids[0] != "HPID" {
		t.Fatalf("podman top: %v, %q", err, out)
	}
	var list []*os.Process
	for _, text := range pids[1:] {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("podman top: %q", out)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, process)
	}
	return list
}

// wantEnded checks that all have ended: the kernel kills the processes of a PID namespace before its PID 1 is gone.
func wantEnded(t *testing.T, list []*os.Process) {
	t.Helper()
	for _, process := range list {
		if err := process.Signal(syscall.Signal(0)); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("process %d of the container still runs: %v", process.Pid, err)
		}
	}
}

// deafServer runs a server that ignores SIGTERM. It then sends SIGKILL to PID 1, as a kubelet does after
// terminationGracePeriodSeconds, and checks that no process is left.
func deafServer(ctx context.Context, t *testing.T, podman *lab.Podman) {
	const deaf = `trap 'echo not yet' TERM; echo the trap is set; while :; do sleep 1000 & wait; done`
	p := start(ctx, t, podman, "deaf", image, "/bin/sh", "-c", deaf)
	if _, err := p.AwaitText(ctx, "the trap is set"); err != nil {
		t.Fatal(err)
	}
	if err := podman.Signal(ctx, "deaf", "TERM"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.AwaitText(ctx, "not yet"); err != nil {
		t.Fatal(err)
	}
	left := processes(ctx, t, podman, "deaf")
	if err := podman.Signal(ctx, "deaf", "KILL"); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(ctx); status != 128+int(syscall.SIGKILL) || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	wantEnded(t, left)
}

// cores checks that the cap follows the CPU limit, with and without a cgroup namespace. A fraction counts as a whole core.
// Cores that the machine does not have are not counted.
func cores(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for _, c := range []struct {
		limit string
		quota float64
		used  int
	}{{"0.25", 0.25, 1}, {"1", 1, 1}, {"1.5", 1.5, 2}, {"64", 64, 64}} {
		for _, groups := range []string{"private", "host"} {
			t.Run(c.limit+" "+groups, func(t *testing.T) {
				out, status, err := run(ctx, podman, []string{"--cpus", c.limit, "--cgroupns", groups, "--entrypoint", arenacap}, "plan", "--json")
				var plan struct {
					Cores struct {
						Quota float64
						Used  int
					}
					ArenaMax int `json:"arena_max"`
				}
				if err := errors.Join(err, json.Unmarshal([]byte(out), &plan)); err != nil || status != 0 {
					t.Fatalf("status %d, %v\n%s", status, err, out)
				}
				used := min(c.used, runtime.NumCPU())
				if plan.Cores.Quota != c.quota || plan.Cores.Used != used || plan.ArenaMax != 2*used {
					t.Errorf("%+v, want quota %g, %d used, a cap of %d", plan, c.quota, used, 2*used)
				}
			})
		}
	}
}

// policyFlag returns the flag that mounts a policy in place of the image's.
func policyFlag(file string) string { return "--volume=" + file + ":/etc/arenacap/policy.toml:ro" }

// quick returns the flag that mounts a copy of policy.toml with an interval of 10 ms and without a settle time. The
// argument "pairs" has the other replacements in the copy: old text, new text, old text, …
func quick(t *testing.T, pairs ...string) string {
	t.Helper()
	pairs = append(pairs, "[budget]\n", "[budget]\ninterval = \"10ms\"\nsettle = \"0s\"\n")
	file, err := lab.Copy("policy.toml", t.TempDir(), pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return policyFlag(file)
}

// breach checks that with "terminate" the server is ended and the container's status is 124; with "report" it
// continues and the breach is logged.
func breach(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for _, c := range []struct {
		action string
		status int
	}{{"terminate", 124}, {"report", 0}} {
		t.Run(c.action, func(t *testing.T) {
			policy := quick(t, `"1GiB"`, `"150MiB"`, `"2/core"`, `8`, `"terminate"`, `"`+c.action+`"`)
			a := serve(ctx, t, podman, c.action, "--read-only", runVolume, policy)
			for range 3 { // three arenas of 64 MiB each; the main arena does not count
				if err := a.Login(); err != nil {
					t.Fatal(err)
				}
			}
			if e, err := a.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 150<<20 || e.Value != 192<<20 {
				t.Errorf("%+v, %v", e, err)
			}
			if c.action == "report" {
				if err := podman.Signal(ctx, c.action, "TERM"); err != nil {
					t.Fatal(err)
				}
			}
			if status, err := a.Wait(ctx); status != c.status || err != nil {
				t.Errorf("status %d, %v, want %d", status, err, c.status)
			}
		})
	}
}

// memoryPercent checks that a percentage is of the container's memory limit, not of the node's memory.
func memoryPercent(ctx context.Context, t *testing.T, podman *lab.Podman) {
	const grow = `$held = "x" x (60 << 20); sleep 1000` // uses 60 MiB, and briefly twice as much
	p := start(ctx, t, podman, "memory", "--memory=256m", quick(t, `"80%"`, `"20%"`), image, "/usr/bin/perl", "-e", grow)
	const limit = 256 << 20 / 5
	if e, err := p.AwaitEvent(ctx, "breach", "resident"); err != nil || e.Limit != limit || e.Value <= limit {
		t.Errorf("%+v, %v, want a limit of %d", e, err, limit)
	}
	if status, err := p.Wait(ctx); status != 124 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}

// refusals checks that an invalid or untrusted policy is reported on one line, and the server is not started. The
// policy of a ConfigMap, as a single file or in its read-only folder, is accepted.
func refusals(ctx context.Context, t *testing.T, podman *lab.Podman) {
	mistake := policyFlag(write(t, "[arenas]\ncaps = 2\n"))
	mounted := write(t, "[arenas]\ncap = 2\n")
	file, folder := policyFlag(mounted), "--volume="+filepath.Dir(mounted)+":/etc/arenacap:ro"
	if err := os.Chmod(filepath.Dir(mounted), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		flags  []string
		status int
		says   string
	}{
		{"a mistake", []string{mistake}, 125, `policy.toml:2:1: unknown key "caps" in [arenas]; did you mean "cap"?`},
		{"one file of a ConfigMap, root", []string{file, "--user=0:0"}, 0, "2"},
		{"the folder of a ConfigMap, root", []string{folder, "--user=0:0"}, 0, "2"},
		{"the same folder, writable", []string{strings.TrimSuffix(folder, ":ro"), "--user=0:0"}, 125, `"/etc/arenacap" can be written by group or others`},
		{"the folder of a ConfigMap, another user", []string{folder}, 0, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, status, err := run(ctx, podman, c.flags, "/bin/sh", "-c", "echo $MALLOC_ARENA_MAX")
			if err != nil || status != c.status || !strings.Contains(out, c.says) || strings.Contains(out, "\n") {
				t.Errorf("status %d, %v, %q; want %d and %q", status, err, out, c.status, c.says)
			}
		})
	}
}

// musl checks that in an image with musl and without glibc, like Alpine, arenacap runs, and says that nothing can be
// capped.
func musl(ctx context.Context, t *testing.T, podman *lab.Podman) {
	testenv.Need(t, "musl-gcc")
	dir := t.TempDir()
	source := filepath.Join(dir, "server.c")
	if err := os.WriteFile(source, []byte("#include <stdio.h>\nint main(void) { return puts(\"up\") < 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, flag := range map[string]string{"server": "-dynamic", "static": "-static"} {
		if out, err := exec.CommandContext(ctx, "musl-gcc", flag, "-o", filepath.Join(dir, name), source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	loaders, err := filepath.Glob("/lib/ld-musl-*.so.1")
	if err != nil || len(loaders) != 1 {
		t.Fatal(loaders, err)
	}
	loader, err := os.ReadFile(loaders[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "loader"), loader, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := "FROM scratch\nCOPY --from=" + image + " " + arenacap + " " + arenacap + "\nCOPY loader " + loaders[0] +
		"\nCOPY server static /\nUSER 65532:65532\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, status, err := podman.Do(ctx, "build", "--pull=never", "--layers=false", "--tag", "musl", dir); err != nil || status != 0 {
		t.Fatalf("podman build: status %d, %v\n%s", status, err, out)
	}
	refuse := policyFlag(write(t, "[launch]\non_unenforceable = \"refuse\"\n"))
	supervised := []string{"musl", arenacap, "run", "--supervise", "--", "/server"}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"told", supervised, 0, "arenacap: the cap cannot work, because \"/server\" uses musl, which has no arenas\nup"},
		{"refused", append([]string{refuse}, supervised...), 125, `uses musl, which has no arenas; on_unenforceable = "refuse" forbids the start`},
		// The headers of a static program do not name the libc. A launch reads only headers, so it cannot tell; plan
		// searches the whole file for glibc's malloc.
		{"plan of a static program", []string{"musl", arenacap, "plan", "/static"}, 0, `"/static" is static and does not contain glibc's malloc`},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A terminal keeps the order of stdout and stderr.
			out, status, err := podman.Do(ctx, append([]string{"run", "--rm", "--tty"}, c.args...)...)
			out = strings.ReplaceAll(out, "\r\n", "\n")
			if err != nil || status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, %v, %q; want %d and %q", status, err, out, c.status, c.says)
			}
		})
	}
}
