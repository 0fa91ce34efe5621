package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Image is what a Dockerfile makes on top of another image: a container's files, and how it starts.
type Image struct {
	Stage
	base  string // a folder; "" is the empty image, "scratch"
	layer string // a tar of what the stage added; "" is nothing
	dir   string // where containers get a folder to work in
}

// BuildImage does what a Dockerfile says, without a registry: bases has a folder for each image that it names after FROM,
// and "/" there is this machine. Each stage has its files on an overlay in memory, and its RUN lines run in it as root.
// The last stage is the image; its layer is left in dir.
func BuildImage(ctx context.Context, dockerfile, contextDir, dir string, bases map[string]string) (*Image, error) {
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		return nil, err
	}
	stages, err := ParseDockerfile(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dockerfile, err)
	}
	var image *Image
	layers := map[string]string{}
	for i, stage := range stages {
		base, ok := bases[stage.From]
		if !ok {
			return nil, fmt.Errorf("%s: no folder stands for the image %q", dockerfile, stage.From)
		}
		image = &Image{stage, base, filepath.Join(dir, fmt.Sprintf("layer%d.tar", i)), dir}
		cmd, err := contained(ctx, dir, inside{Base: base, Steps: stage.Steps, Context: contextDir, Layers: layers, Out: image.layer})
		if err != nil {
			return nil, err
		}
		if err := run(cmd); err != nil {
			return nil, fmt.Errorf("stage %s: %w", stage.Name, err)
		}
		layers[stage.Name] = image.layer
	}
	return image, nil
}

// Scratch is an image of a few files, each given by its place in the image and its path here.
func Scratch(dir string, files map[string]string) (*Image, error) {
	root := filepath.Join(dir, "scratch")
	for place, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		place = filepath.Join(root, place)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(place, data, 0o755); err != nil {
			return nil, err
		}
	}
	image := &Image{layer: root + ".tar", dir: dir}
	return image, run(exec.Command("tar", "-C", root, "-cf", image.layer, "."))
}

// Extract copies a file that the last stage added out of the image, and returns its path in dir.
func (i *Image) Extract(place, dir string) (string, error) {
	return filepath.Join(dir, place), run(exec.Command("tar", "-C", dir, "-xpf", i.layer, "."+place))
}

// Host is this machine's own files as an image; what a container writes to them stays its own. dir is for its work.
func Host(dir string) *Image { return &Image{base: "/", dir: dir} }

// Container is a command in a container of an image, in the words of a pod's manifest.
type Container struct {
	Image   *Image
	Command []string // in place of the image's ENTRYPOINT and CMD
	Args    []string // in place of the image's CMD
	Env     []string
	User    string // "UID:GID"; the image's by default

	ReadOnly        bool // readOnlyRootFilesystem: true
	NoNewPrivileges bool // allowPrivilegeEscalation: false
	DropAll         bool // capabilities: drop: [ALL]

	Folders    []string          // an emptyDir each
	Files      map[string]string // a file of this machine at a place in the container, read-only
	Groups     []Group           // the control groups that it is in
	HostGroups bool              // it sees where they stand on the host (docker's --cgroupns=host)
}

// Start starts the container. The process is its PID 1: its signals and its end are the container's.
func (c Container) Start(ctx context.Context) (*Process, error) {
	line := slices.Concat(c.Command, c.Args)
	if c.Command == nil {
		line = slices.Concat(c.Image.Entrypoint, c.Args)
		if c.Args == nil {
			line = slices.Concat(c.Image.Entrypoint, c.Image.Cmd)
		}
	}
	cmd, err := contained(ctx, c.Image.dir, inside{Base: c.Image.base, Layer: c.Image.layer, Line: line, Container: c})
	if err != nil {
		return nil, err
	}
	return Start(cmd, nil)
}

// Run runs the container to its end, and gives what it printed and how it ended as docker run tells it: its status, or
// 128+n for signal n.
func (c Container) Run(ctx context.Context) (output string, status int, err error) {
	p, err := c.Start(ctx)
	if err != nil {
		return "", 0, err
	}
	status, err = p.Wait(ctx)
	if status < 0 {
		status = 128 - status
	}
	p.Kill()
	_ = p.AwaitEnd(ctx)
	return strings.Join(p.Lines(), "\n"), status, err
}

// Group is a control group of a test's own.
type Group struct {
	Controller string // of cgroup v1: "cpu", "memory"
	Folder     string
}

// NewGroup makes a group below this process's own in a v1 hierarchy, writes the values to its files in the order given
// ("FILE=VALUE"), and takes it away when the test ends. A machine where there is no such hierarchy skips the test.
func NewGroup(t testing.TB, controller string, values ...string) Group {
	t.Helper()
	own, err := ownGroup(controller)
	if err != nil {
		t.Skipf("cgroup v1 has no controller %q on this machine: %v", controller, err)
	}
	folder, err := os.MkdirTemp(filepath.Join("/sys/fs/cgroup", controller, own), "arenacap-test-")
	if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() {
		// The kernel takes a moment to let go of a group whose last process has been waited for (EBUSY).
		for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
			if err := syscall.Rmdir(folder); err != syscall.EBUSY || time.Now().After(deadline) {
				if err != nil {
					t.Errorf("%s: %v", folder, err)
				}
				return
			}
		}
	})
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, value := range values {
		file, value, _ := strings.Cut(value, "=")
		if err := os.WriteFile(filepath.Join(folder, file), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	return Group{controller, folder}
}

// ownGroup is the path of this process's group. A line of /proc/self/cgroup is "ID:CONTROLLER[,CONTROLLER…]:PATH"
// (cgroups(7)).
func ownGroup(controller string) (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 && f[1] == controller {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("/proc/self/cgroup: %q", text)
}

// insideEnv holds what the test binary shall do in place of testing: it is then the first process of a container.
const insideEnv = "ARENACAP_LAB_INSIDE"

// inside is that task: a container's command line, or the steps that make an image.
type inside struct {
	Base, Layer string
	Work        string // an empty folder, for mounts that nobody else sees

	Line      []string
	Container Container

	Steps   []Step
	Context string            // COPY copies from here
	Layers  map[string]string // or from a stage before
	Out     string            // the layer
}

// contained is this test binary in namespaces of its own with that task, with a folder in dir to work in. It ends with
// this process.
func contained(ctx context.Context, dir string, task inside) (cmd *exec.Cmd, err error) {
	if task.Work, err = os.MkdirTemp(dir, "work"); err != nil {
		return nil, err
	}
	text, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	cmd = exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), insideEnv+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd, nil
}
