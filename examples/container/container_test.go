// Package container_test makes the example's image from its Dockerfile, without docker and without a registry, and runs
// it as docker run and as the pod of its manifest would: as PID 1 of namespaces of its own, with the user, the
// capabilities, the mounts and the control groups that stand there.
//
// What stands for debian:bookworm-slim is the folder in $ARENACAP_DEBIAN, else this machine's own root.
package container_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

const (
	arenacap = "/usr/local/bin/arenacap"
	socket   = "/run/authserver/auth.sock"
)

// build makes the image. The build stage's golang image is this machine: it has Go and gcc.
func build(t *testing.T) (context.Context, *lab.Image) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a container")
	}
	testenv.Need(t, "go", "gcc", "tar")
	dir := lab.Dir(t)
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	image, err := lab.BuildImage(t.Context(), "Dockerfile", top, dir, map[string]string{
		"golang:1.26-bookworm": "/",
		"debian:bookworm-slim": cmp.Or(os.Getenv("ARENACAP_DEBIAN"), "/"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return lab.Within(t, 5*time.Minute), image
}

func TestContainer(t *testing.T) {
	ctx, image := build(t)
	for _, c := range []struct {
		name string
		test func(context.Context, *testing.T, *lab.Image)
	}{
		{"docker run", dockerRun},
		{"the pod of the manifest", thePod},
		{"statuses", statuses},
		{"orphans", orphans},
		{"a server that ignores SIGTERM", deafServer},
		{"cores", cores},
		{"breach", breach},
		{"memory by per cent", memoryPercent},
		{"the policy", refusals},
		{"musl", musl},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(ctx, t, image) })
	}
}

// dockerRun is the image as it is: docker run -d authserver, and docker stop.
func dockerRun(ctx context.Context, t *testing.T, image *lab.Image) {
	a := serve(ctx, t, lab.Container{Image: image})
	if status, err := a.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
	if _, err := a.AwaitEvent(ctx, "exited", ""); err != nil {
		t.Error(err)
	}
}

// serve starts a container of the server and connects to it.
func serve(ctx context.Context, t *testing.T, c lab.Container) *lab.AuthServer {
	t.Helper()
	p := start(ctx, t, c)
	a, err := lab.ConnectAuthServer(ctx, p, fmt.Sprintf("/proc/%d/root%s", p.Pid, socket))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func start(ctx context.Context, t *testing.T, c lab.Container) *lab.Process {
	t.Helper()
	p, err := c.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// serverOf is the PID of the server, as it is seen from outside: the only child of the container's PID 1.
func serverOf(t *testing.T, p *lab.Process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatalf("children of PID 1: %q: %v", text, err)
	}
	return pid
}

// thePod: under all that the manifest takes away the server runs, has the cap of the container's cores and keeps it;
// what looks at it from inside works too; and it is stopped as a kubelet stops it.
func thePod(ctx context.Context, t *testing.T, image *lab.Image) {
	testenv.Need(t, "nsenter")
	c := pod(ctx, t, image)
	a := serve(ctx, t, c)
	pid := serverOf(t, a.Process)
	status := fileOf(t, pid, "status")
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n",
		"NoNewPrivs:\t1\n"} {
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
	probe(ctx, t, a.Process)
	kubectlExec(ctx, t, a.Process, pid)
	if status, err := a.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
	if e, err := a.AwaitEvent(ctx, "exited", ""); err != nil || e.Service != "authserver" {
		t.Errorf("%+v, %v", e, err)
	}
}

func fileOf(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// enter runs a command in a container, with its user and its capabilities, as kubectl exec does.
func enter(ctx context.Context, p *lab.Process, line ...string) ([]byte, error) {
	args := []string{"--target", strconv.Itoa(p.Pid), "--all", "--root", "--wd", "--setgid", "65532", "--setuid", "65532", "--"}
	return exec.CommandContext(ctx, "nsenter", append(args, line...)...).CombinedOutput()
}

// probe is the manifest's readiness probe, and what cannot be written in the container.
func probe(ctx context.Context, t *testing.T, p *lab.Process) {
	t.Helper()
	_, deployment := manifest(ctx, t)
	if out, err := enter(ctx, p, deployment.Spec.Template.Spec.Containers[0].ReadinessProbe.Exec.Command...); err != nil {
		t.Errorf("the readiness probe: %v\n%s", err, out)
	}
	for _, path := range []string{"/file", "/etc/arenacap/policy.toml", "/proc/sys/kernel/hostname", "/sys/fs/cgroup/cpu/cgroup.procs"} {
		if out, err := enter(ctx, p, "/bin/sh", "-c", "echo 1 >>"+path); err == nil {
			t.Errorf("%s can be written in the container: %s", path, out)
		}
	}
}

// kubectlExec is kubectl exec POD -- arenacap inspect --json PID.
func kubectlExec(ctx context.Context, t *testing.T, p *lab.Process, pid int) {
	t.Helper()
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && string(scope) != "0\n" {
		t.Logf("kernel.yama.ptrace_scope is %s: only root may look into a process here", scope)
		return
	}
	// NSpid: the PID in each namespace from the outermost on (proc(5)).
	_, ns, _ := strings.Cut(fileOf(t, pid, "status"), "NSpid:")
	ns, _, _ = strings.Cut(ns, "\n")
	pids := strings.Fields(ns)
	out, err := enter(ctx, p, arenacap, "inspect", "--json", pids[len(pids)-1])
	var found []struct {
		Arenas, Cap int
		Kept        *bool
	}
	if err != nil || json.Unmarshal(out, &found) != nil || len(found) != 1 {
		t.Fatalf("inspect in the container: %v\n%s", err, out)
	}
	if got := found[0]; got.Arenas != got.Cap || got.Kept == nil || !*got.Kept {
		t.Errorf("after 64 logins on 64 threads: %s", out)
	}
}

// statuses are what docker run ends with, and kubectl describe pod shows as "Exit Code".
func statuses(ctx context.Context, t *testing.T, image *lab.Image) {
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
			out, status, err := lab.Container{Image: image, Args: c.args}.Run(ctx)
			if err != nil || status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, %v, %q; want %d", status, err, out, c.status)
			}
		})
	}
}

// leaveOrphans is a server that leaves fifty processes behind, which end at once. As soon as there is no zombie it says
// so, and SIGTERM ends it with status 7; one that it leaves then ends with the container.
const leaveOrphans = `trap 'exit 7' TERM
for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5; do /bin/true & done); done
while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do :; done
(sleep 1000 &)
echo no zombies
sleep 1000 & wait`

// orphans: PID 1 reaps them, with a budget and without one, and its end is the end of what is left.
func orphans(ctx context.Context, t *testing.T, image *lab.Image) {
	for name, command := range map[string][]string{
		"the image's entry point": nil,
		"without a budget":        {arenacap, "run", "--supervise", "--budget", "off", "--"},
		"auto with a budget":      {arenacap, "run", "--budget", "1TiB", "--"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(ctx, t, lab.Container{Image: image, Command: command, Args: []string{"/bin/sh", "-c", leaveOrphans}})
			if _, err := p.AwaitText(ctx, "no zombies"); err != nil {
				t.Fatal(err)
			}
			if status, err := p.Stop(ctx); status != 7 || err != nil {
				t.Errorf("SIGTERM ended it with %d, %v", status, err)
			}
			if err := p.AwaitEnd(ctx); err != nil {
				t.Errorf("what the server left lives on: %v", err)
			}
		})
	}
}

// deafServer: SIGTERM reaches a server that does not end by it; after the pod's grace comes SIGKILL, and nothing is left.
func deafServer(ctx context.Context, t *testing.T, image *lab.Image) {
	const deaf = `trap 'echo not yet' TERM; echo the trap is set; while :; do sleep 1000 & wait; done`
	p := start(ctx, t, lab.Container{Image: image, Args: []string{"/bin/sh", "-c", deaf}})
	if _, err := p.AwaitText(ctx, "the trap is set"); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := p.AwaitText(ctx, "not yet"); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(ctx); status != -int(syscall.SIGKILL) || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	if err := p.AwaitEnd(ctx); err != nil {
		t.Error(err)
	}
}

// cores: the cap follows the CPU limit, whether the container sees its group as the root of all (cgroup namespaces) or
// where it stands on the host. A fraction counts as a whole core, and never more than the machine has.
func cores(ctx context.Context, t *testing.T, image *lab.Image) {
	for _, c := range []struct {
		limit string
		used  int
	}{{"250m", 1}, {"1", 1}, {"1500m", 2}, {"64", 64}} {
		for _, host := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/host groups %v", c.limit, host), func(t *testing.T) {
				group := cpuLimit(t, c.limit)
				out, status, err := lab.Container{Image: image, Groups: []lab.Group{group}, HostGroups: host,
					Command: []string{arenacap, "plan", "--json"}}.Run(ctx)
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
				if quota := float64(scan(t, c.limit, cpuUnits)) / 1000; plan.Cores.Quota != quota || plan.Cores.Used != used || plan.ArenaMax != 2*used {
					t.Errorf("%+v, want quota %g, %d used, a cap of %d", plan, quota, used, 2*used)
				}
			})
		}
	}
}

// quick is the image's policy with another clock and with more behind a table's heading.
func quick(t *testing.T, pairs ...string) map[string]string {
	t.Helper()
	pairs = append(pairs, "[budget]\n", "[budget]\ninterval = \"10ms\"\nsettle = \"0s\"\n")
	file, err := lab.Copy("policy.toml", t.TempDir(), pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"/etc/arenacap/policy.toml": file}
}

// breach: over its budget the server is ended and the container's status is 124; with "report" it goes on and is told.
func breach(ctx context.Context, t *testing.T, image *lab.Image) {
	for _, c := range []struct {
		action string
		status int
	}{{"terminate", 124}, {"report", 0}} {
		t.Run(c.action, func(t *testing.T) {
			files := quick(t, `"1GiB"`, `"150MiB"`, `"2/core"`, `8`, `"terminate"`, `"`+c.action+`"`)
			a := serve(ctx, t, lab.Container{Image: image, ReadOnly: true, Folders: []string{"/run/authserver"}, Files: files})
			for range 3 { // 192 MiB beside the main arena
				if err := a.Login(); err != nil {
					t.Fatal(err)
				}
			}
			if e, err := a.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 150<<20 || e.Value != 192<<20 {
				t.Errorf("%+v, %v", e, err)
			}
			end := a.Wait
			if c.action == "report" {
				end = a.Stop
			}
			if status, err := end(ctx); status != c.status || err != nil {
				t.Errorf("status %d, %v, want %d", status, err, c.status)
			}
		})
	}
}

// memoryPercent: a percentage is of the container's memory limit and not of the node's memory.
func memoryPercent(ctx context.Context, t *testing.T, image *lab.Image) {
	const grow = `$held = "x" x (60 << 20); sleep 1000` // 60 MiB, and as much again for a moment
	p := start(ctx, t, lab.Container{Image: image, Args: []string{"/usr/bin/perl", "-e", grow}, Files: quick(t, `"80%"`, `"20%"`),
		Groups: []lab.Group{memoryLimit(t, "256Mi")}})
	const limit = 256 << 20 / 5
	if e, err := p.AwaitEvent(ctx, "breach", "resident"); err != nil || e.Limit != limit || e.Value <= limit {
		t.Errorf("%+v, %v, want a limit of %d", e, err, limit)
	}
	if status, err := p.Wait(ctx); status != 124 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}

// refusals: a policy that is not obeyed is told on one line, and the server is not started.
func refusals(ctx context.Context, t *testing.T, image *lab.Image) {
	mistake := map[string]string{"/etc/arenacap/policy.toml": write(t, "[arenas]\ncaps = 2\n")}
	mounted := map[string]string{"/etc/arenacap/policy.toml": write(t, "[arenas]\ncap = 2\n")}
	for _, c := range []struct {
		name, user string
		folders    []string
		files      map[string]string
		status     int
		says       string
	}{
		{"a mistake", "", nil, mistake, 125, `policy.toml:2:1: unknown key "caps" in [arenas]; did you mean "cap"?`},
		{"one file of a ConfigMap, root", "0:0", nil, mounted, 0, "2"},
		{"the folder of a ConfigMap, root", "0:0", []string{"/etc/arenacap"}, mounted, 125, `"/etc/arenacap" can be written by group or others`},
		{"the folder of a ConfigMap, another user", "", []string{"/etc/arenacap"}, mounted, 0, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, status, err := lab.Container{Image: image, User: c.user, Folders: c.folders, Files: c.files,
				Args: []string{"/bin/sh", "-c", "echo $MALLOC_ARENA_MAX"}}.Run(ctx)
			if err != nil || status != c.status || !strings.Contains(out, c.says) || strings.Contains(out, "\n") {
				t.Errorf("status %d, %v, %q; want %d and %q", status, err, out, c.status, c.says)
			}
		})
	}
}

// musl: in an image like Alpine's, with musl and without glibc, arenacap runs, and says that nothing can be capped.
func musl(ctx context.Context, t *testing.T, image *lab.Image) {
	testenv.Need(t, "musl-gcc")
	dir := t.TempDir()
	arenacapFile, err := image.Extract(arenacap, dir)
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "server.c")
	if err := os.WriteFile(source, []byte("#include <stdio.h>\nint main(void) { return puts(\"up\") < 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{arenacap: arenacapFile, "/server": filepath.Join(dir, "server"), "/static": filepath.Join(dir, "static")}
	for name, flag := range map[string]string{"server": "-dynamic", "static": "-static"} {
		if out, err := exec.CommandContext(ctx, "musl-gcc", flag, "-o", filepath.Join(dir, name), source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	loaders, err := filepath.Glob("/lib/ld-musl-*.so.1")
	if err != nil || len(loaders) != 1 {
		t.Fatal(loaders, err)
	}
	files[loaders[0]] = loaders[0]
	alpine, err := lab.Scratch(dir, files)
	if err != nil {
		t.Fatal(err)
	}
	refuse := map[string]string{"/etc/arenacap/policy.toml": write(t, "[launch]\non_unenforceable = \"refuse\"\n")}
	supervised := []string{arenacap, "run", "--supervise", "--", "/server"}
	for _, c := range []struct {
		name    string
		command []string
		files   map[string]string
		status  int
		says    string
	}{
		{"told", supervised, nil, 0, "arenacap: the cap cannot work, because \"/server\" uses musl, which has no arenas\nup"},
		{"refused", supervised, refuse, 125, `uses musl, which has no arenas; on_unenforceable = "refuse" forbids the start`},
		// A launch reads a few headers and no more, and a static program has none that tell.
		{"plan of a static program", []string{arenacap, "plan", "/static"}, nil, 0, `"/static" is static, and glibc's malloc is not in it`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, status, err := lab.Container{Image: alpine, User: "65532:65532", Files: c.files, Command: c.command}.Run(ctx)
			if err != nil || status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, %v, %q; want %d and %q", status, err, out, c.status, c.says)
			}
		})
	}
}
