package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// This file runs containers with Debian's podman and runc: configuration, base images, start and end.

// containersConf makes podman independent of this machine's systemd and of the locks in /dev/shm that other users share.
// runc supports hybrid control groups, crun does not. The limits are low enough for a machine that is itself a container
// (containers.conf(5)).
const containersConf = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
netns = "none"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
`

// These are the names of the base images. The images are not pulled from a registry, but made from debootstrap roots.
const (
	Debian = "debian:bookworm-slim"
	Golang = "golang:1.26-bookworm" // unlike the image in the registry, this one contains no Go; a build mounts the Go of this machine
)

// base is a root file system that .ci/systemd makes, with the configuration that the registry's image has.
type base struct {
	folder, command string   // where the root file system is, and the command that creates it
	changes         []string // the configuration, as instructions of a Dockerfile
}

var bases = map[string]base{
	Debian: {"base", ".ci/systemd root", nil},
	Golang: {"minbase+gcc+libc6-dev", ".ci/systemd root -m gcc libc6-dev", []string{"ENV GOPATH=/go", "ENV GOTOOLCHAIN=local",
		"ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
}

// Podman is podman with a test's own store. It reads the base images from an additional store.
type Podman struct {
	dir  string   // folder of its store and its state
	conf string   // path of its containers.conf
	args []string // flags before the subcommand
}

// NewPodman sets up podman with these base images, and removes its containers when the test ends. Without root, podman,
// runc, tar or the root file system of an image it skips or fails the test, as testenv.Lack does.
func NewPodman(t testing.TB, images ...string) *Podman {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.Need(t, "podman", "runc", "tar")
	dir := Dir(t)
	conf := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(conf, []byte(containersConf), 0o644); err != nil {
		t.Fatal(err)
	}
	roots := cmp.Or(os.Getenv("ARENACAP_ROOT"), "/var/tmp/arenacap-roots")
	cache := filepath.Join(roots, "images")
	imports := &Podman{cache, conf, storeArgs(cache)}
	for _, image := range images {
		if _, err := os.Stat(filepath.Join(roots, bases[image].folder)); err != nil {
			testenv.Lack(t, "no root of debootstrap for the image %s: make it with %s", image, bases[image].command)
		}
		if err := imports.importBase(t.Context(), roots, image); err != nil {
			t.Fatal(err)
		}
	}
	p := &Podman{dir, conf, append(storeArgs(dir), "--storage-opt", "additionalimagestore="+filepath.Join(cache, "store"))}
	t.Cleanup(func() {
		if err := p.removeAll(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// HostPIDs returns the same podman, but with containers in this machine's PID namespace. A test needs it because podman 4.3
// ignores hostPID in a manifest.
func (p *Podman) HostPIDs() (*Podman, error) {
	host := *p
	host.conf = filepath.Join(p.dir, "hostpid.conf")
	return &host, os.WriteFile(host.conf, []byte(strings.Replace(containersConf, "[containers]\n", "[containers]\npidns = \"host\"\n", 1)), 0o644)
}

// storeArgs are podman's flags for a store in a folder. They must not change, because the store's database contains the
// paths.
func storeArgs(dir string) []string {
	return []string{"--root", filepath.Join(dir, "store"), "--runroot", filepath.Join(dir, "run"), "--tmpdir", filepath.Join(dir, "tmp"),
		"--storage-driver", "overlay", "--storage-opt", "overlay.skip_mount_home=true"}
}

// importBase imports a base image unless the store has it. A lock ensures that only one test imports it.
func (p *Podman) importBase(ctx context.Context, roots, image string) error {
	lock, err := os.Create(filepath.Join(roots, "images.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("%s: %w", lock.Name(), err)
	}
	name := "docker.io/library/" + image
	out, status, err := p.Do(ctx, "image", "exists", name)
	if err != nil || status == 0 {
		return err
	}
	if status != 1 {
		return fmt.Errorf("podman image exists %s: status %d: %s", name, status, out)
	}
	args := []string{"import", "--quiet"}
	for _, change := range bases[image].changes {
		args = append(args, "--change", change)
	}
	tar := exec.CommandContext(ctx, "tar", "-C", filepath.Join(roots, bases[image].folder), "-c", ".")
	files, err := tar.StdoutPipe()
	if err != nil {
		return err
	}
	if err := tar.Start(); err != nil {
		return err
	}
	load := p.Command(ctx, append(args, "-", name)...)
	load.Stdin = files
	err = run(load)
	files.Close() // so that tar ends even if podman did not read everything
	return errors.Join(err, tar.Wait())
}

// Command returns a podman command that is not started. It runs in a temporary folder, because conmon, which podman starts
// for each container, creates the file "oom" in podman's working folder if the kernel kills the container for lack of memory.
// So the paths in args must be absolute.
func (p *Podman) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "podman", slices.Concat(p.args, args)...)
	cmd.Dir = filepath.Dir(p.conf)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+p.conf)
	return cmd
}

// Do runs a podman command to its end, and returns its output, including the container's, and its status. The status of
// podman run is the container's, 128+n for signal n.
func (p *Podman) Do(ctx context.Context, args ...string) (output string, status int, err error) {
	out, err := p.Command(ctx, args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return strings.TrimSpace(string(out)), exit.ExitCode(), nil
	}
	return strings.TrimSpace(string(out)), 0, err
}

// Build builds an image of this repository, for the test of an example, in whose folder it runs. The build has no network,
// and the image with the name golang is a Debian without Go, made on this machine. So the build mounts this machine's Go and
// modules.
func (p *Podman) Build(ctx context.Context, flags ...string) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	dirs := strings.Fields(string(out))
	if err != nil || len(dirs) != 3 {
		return fmt.Errorf("go env: %v, %q", err, out)
	}
	args := []string{"build", "--pull=never", "--layers=false", "--network", "none",
		"--volume", dirs[0] + ":/usr/local/go:ro", "--volume", dirs[1] + ":/go/pkg/mod:ro", "--volume", dirs[2] + ":/root/.cache/go-build"}
	build := p.Command(ctx, slices.Concat(args, flags, []string{"../.."})...)
	build.Dir = ""
	return run(build)
}

// Start starts podman run for a new container. The process is podman in the foreground; its output and status are the
// container's. Use Signal to send signals, because podman begins to forward its own only some time after the start.
func (p *Podman) Start(ctx context.Context, name string, args ...string) (*Process, error) {
	return Start(p.Command(ctx, slices.Concat([]string{"run", "--log-driver", "none", "--name", name}, args)...), nil)
}

// Signal sends a signal ("TERM") to a container's first process.
func (p *Podman) Signal(ctx context.Context, name, signal string) error {
	return run(p.Command(ctx, "kill", "--signal", signal, name))
}

// Pid returns the PID that a running container's first process has on this machine.
func (p *Podman) Pid(ctx context.Context, t testing.TB, name string) int {
	t.Helper()
	out, _, err := p.Do(ctx, "container", "inspect", "--format", "{{.State.Pid}}", name)
	pid, wrong := strconv.Atoi(out)
	if err != nil || wrong != nil || pid == 0 {
		t.Fatalf("no running container %q: %v, %s", name, err, out)
	}
	return pid
}

// Socket is the authserver's socket in a container.
const Socket = "/run/authserver/auth.sock"

// AuthServer waits until the server in a container prints that it is ready, and connects to the server. output is the
// process that prints the container's output.
func (p *Podman) AuthServer(ctx context.Context, t testing.TB, name string, output *Process) *AuthServer {
	t.Helper()
	if _, err := output.AwaitText(ctx, " threads, ready"); err != nil {
		t.Fatal(err)
	}
	return AuthServerIn(ctx, t, p.Pid(ctx, t, name), output)
}

// AuthServerIn connects to the server in the container whose first process has this PID on this machine.
func AuthServerIn(ctx context.Context, t testing.TB, pid int, output *Process) *AuthServer {
	t.Helper()
	a, err := connectAuthServer(ctx, output, fmt.Sprintf("/proc/%d/root%s", pid, Socket))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// PodmanTest is one of several tests with the same images.
type PodmanTest struct {
	Name string
	Test func(context.Context, *testing.T, *Podman)
}

// Run runs the tests in parallel. Without ARENACAP_FULL=1 it runs only the first tests, as many as the parameter
// "sample" says, because containers take seconds.
func (p *Podman) Run(ctx context.Context, t *testing.T, sample int, tests []PodmanTest) {
	if testenv.Full() {
		sample = len(tests)
	}
	for _, c := range tests[:sample] {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Test(ctx, t, p)
		})
	}
}

// removeAll removes all pods and containers, running or not, and waits until no process writes to the store.
func (p *Podman) removeAll() error {
	ctx := context.Background()
	pods, _, err := p.Do(ctx, "pod", "ps", "--quiet", "--no-trunc")
	if pods != "" {
		remove := []string{"pod", "rm", "--all", "--force", "--time", "0"}
		if run(p.Command(ctx, remove...)) != nil { // podman 4.3 fails if a container ends meanwhile
			err = errors.Join(err, run(p.Command(ctx, remove...)))
		}
	}
	err = errors.Join(err, run(p.Command(ctx, "rm", "--all", "--force", "--time", "0")), p.awaitMonitors())
	for _, pod := range strings.Fields(pods) {
		err = errors.Join(err, removeGroups(pod))
	}
	return err
}

// awaitMonitors waits for background processes of podman: each container has a conmon, which execs podman to clean up when
// the container has ended.
func (p *Podman) awaitMonitors() error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, e := os.ReadFile(file)
		if e != nil || !bytes.Contains(line, []byte("\x00"+p.dir+"/")) {
			continue
		}
		pid, e := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if e == nil {
			e = awaitEnd(pid)
		}
		err = errors.Join(err, e)
	}
	return err
}

// awaitEnd waits for the end of any process: its pidfd is then readable (pidfd_open(2)).
func awaitEnd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	const minute = 60_000 // one minute in milliseconds
	ready := 0
	for err = unix.EINTR; err == unix.EINTR; {
		ready, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, minute)
	}
	if err == nil && ready == 0 {
		return fmt.Errorf("process %d of podman still runs", pid)
	}
	return os.NewSyscallError("poll", err)
}

// removeGroups removes a pod's control groups, which podman 4.3 leaves behind in hierarchies without a controller.
func removeGroups(pod string) error {
	groups, err := filepath.Glob("/sys/fs/cgroup/*/libpod_parent/" + pod)
	for _, group := range groups {
		if e := syscall.Rmdir(group); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("%s: %w", group, e))
		}
	}
	return err
}
