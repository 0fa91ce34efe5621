package lab

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Here the process is changed into a container, as runc does it: mounts, control groups, the root, the user.

// In the first process of a container nothing else of the test binary runs. An init is on the first thread, and the one
// that execs has to be that one: the parent-death signal and a no_new_privs are a thread's.
func init() {
	text, ok := os.LookupEnv(insideEnv)
	if !ok {
		return
	}
	runtime.LockOSThread()
	var task inside
	err := json.Unmarshal([]byte(text), &task)
	_ = os.Unsetenv(insideEnv)
	if err == nil {
		err = task.do()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: container:", err)
		os.Exit(99)
	}
	os.Exit(0)
}

func (task *inside) do() error {
	if err := errors.Join(task.enterGroups(), task.mountRoot(), task.mountSystem()); err != nil {
		return err
	}
	if task.Out != "" {
		return task.build()
	}
	if err := errors.Join(task.mountVolumes(), task.changeRoot(), task.dropPrivileges()); err != nil {
		return err
	}
	env := append([]string{"PATH=" + defaultPath, "HOME=/"}, task.Container.Env...)
	return fmt.Errorf("%s: %w", task.Line[0], syscall.Exec(task.Line[0], task.Line, env))
}

// defaultPath is docker's.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (task *inside) enterGroups() error {
	for _, g := range task.Container.Groups {
		if err := os.WriteFile(filepath.Join(g.Folder, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	if task.Container.HostGroups || len(task.Container.Groups) == 0 {
		return nil
	}
	return unix.Unshare(unix.CLONE_NEWCGROUP)
}

func (task *inside) root(path ...string) string {
	return filepath.Join(append([]string{task.Work, "root"}, path...)...)
}

func (task *inside) upper() string {
	if task.Base == "" {
		return task.root()
	}
	return filepath.Join(task.Work, "upper")
}

// mountRoot lays the layer over the base. The upper folder of an overlay is in memory, as it may not lie within the lower
// one, which can be this machine's root.
func (task *inside) mountRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := mount("tmpfs", task.Work, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	scratch := filepath.Join(task.Work, "scratch")
	for _, dir := range []string{task.root(), task.upper(), scratch} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if task.Layer != "" {
		if err := run(exec.Command("tar", "-C", task.upper(), "-xpf", task.Layer)); err != nil {
			return err
		}
	}
	if task.Base == "" {
		return bind(task.root(), task.root(), 0)
	}
	return mount("overlay", task.root(), "overlay", 0, "lowerdir="+task.Base+",upperdir="+task.upper()+",workdir="+scratch)
}

// mountSystem gives the root a /proc whose sys cannot be written, a /sys, the few devices that every container has, and
// the control groups that it is in.
func (task *inside) mountSystem() error {
	const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	err := errors.Join(
		mount("proc", task.root("proc"), "proc", quiet, ""),
		bind(task.root("proc/sys"), task.root("proc/sys"), unix.MS_RDONLY|quiet),
		mount("sysfs", task.root("sys"), "sysfs", quiet|unix.MS_RDONLY, ""),
		mount("tmpfs", task.root("dev"), "tmpfs", unix.MS_NOSUID, "mode=755"),
		mount("tmpfs", task.root("dev/shm"), "tmpfs", quiet, "mode=1777"))
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		err = errors.Join(err, bindFile("/dev/"+name, task.root("dev", name), 0))
	}
	err = errors.Join(err, os.Symlink("/proc/self/fd", task.root("dev/fd")))
	if len(task.Container.Groups) > 0 {
		err = errors.Join(err, mount("tmpfs", task.root("sys/fs/cgroup"), "tmpfs", quiet, "mode=755"))
	}
	for _, g := range task.Container.Groups {
		at := task.root("sys/fs/cgroup", g.Controller)
		if task.Container.HostGroups {
			err = errors.Join(err, bind(g.Folder, at, unix.MS_RDONLY|quiet))
		} else {
			err = errors.Join(err, mount("cgroup", at, "cgroup", unix.MS_RDONLY|quiet, g.Controller))
		}
	}
	return err
}

func (task *inside) mountVolumes() (err error) {
	for _, folder := range task.Container.Folders {
		err = errors.Join(err, mount("tmpfs", task.root(folder), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=777"))
	}
	for place, file := range task.Container.Files {
		err = errors.Join(err, bindFile(file, task.root(place), unix.MS_RDONLY))
	}
	return err
}

// changeRoot leaves nothing of the old root in sight. Both arguments of pivot_root(2) may be the same folder: the old
// root then lies over the new one and is taken off.
func (task *inside) changeRoot() error {
	err := errors.Join(os.Chdir(task.root()), unix.PivotRoot(".", "."), unix.Unmount(".", unix.MNT_DETACH), os.Chdir("/"),
		unix.Sethostname([]byte("container")))
	if task.Container.ReadOnly {
		err = errors.Join(err, unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	}
	return err
}

func (task *inside) dropPrivileges() error {
	c := task.Container
	if c.DropAll {
		for capability := uintptr(0); unix.Prctl(unix.PR_CAPBSET_READ, capability, 0, 0, 0) == nil; capability++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
				return err
			}
		}
	}
	if c.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	var uid, gid int
	if user := cmp.Or(c.User, c.Image.User); user != "" {
		if _, err := fmt.Sscanf(user, "%d:%d", &uid, &gid); err != nil {
			return fmt.Errorf("user %q: want UID:GID", user)
		}
	}
	// The kernel takes the parent-death signal away with the user (prctl(2)).
	return errors.Join(syscall.Setgroups(nil), syscall.Setresgid(gid, gid, gid), syscall.Setresuid(uid, uid, uid),
		unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0))
}

// build does the steps in the root and leaves what they added as a tar.
func (task *inside) build() error {
	if task.Base == "/" {
		if err := task.bindGo(); err != nil {
			return err
		}
	}
	dir := "/"
	for _, step := range task.Steps {
		var err error
		switch step.Word {
		case "WORKDIR":
			dir = filepath.Join("/", step.Args[0])
			err = os.MkdirAll(task.root(dir), 0o755)
		case "COPY":
			err = task.copy(step, dir)
		case "RUN":
			cmd := exec.Command("/bin/sh", "-c", step.Args[0])
			cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Chroot: task.root()}
			if task.Base != "/" {
				cmd.Env = []string{"PATH=" + defaultPath, "HOME=/root"}
			}
			err = run(cmd)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", step.Word, strings.Join(step.Args, " "), err)
		}
	}
	return run(exec.Command("tar", "-C", task.upper(), "-cf", task.Out, "."))
}

// bindGo shows Go and its modules, which an overlay of "/" lacks where they are on another file system.
func (task *inside) bindGo() error {
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
	for dir := range strings.Lines(string(out)) {
		dir = strings.TrimSpace(dir)
		err = errors.Join(err, bind(dir, task.root(dir), 0))
	}
	return err
}

// copy is COPY: of a folder its contents are copied, and a place that ends in "/" is a folder. What comes from another
// stage has to be what that stage added.
func (task *inside) copy(step Step, dir string) error {
	from := task.Context
	if step.From != "" {
		layer, ok := task.Layers[step.From]
		if !ok {
			return fmt.Errorf("no stage %q", step.From)
		}
		from = filepath.Join(task.Work, "from")
		if err := errors.Join(os.RemoveAll(from), os.Mkdir(from, 0o755), run(exec.Command("tar", "-C", from, "-xpf", layer))); err != nil {
			return err
		}
	}
	sources, place := step.Args[:len(step.Args)-1], step.Args[len(step.Args)-1]
	folder := strings.HasSuffix(place, "/") || place == "."
	if !filepath.IsAbs(place) {
		place = filepath.Join(dir, place)
	}
	place = task.root(place)
	if folder {
		place += "/"
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	for _, source := range sources {
		source = filepath.Join(from, source)
		if info, err := os.Stat(source); err == nil && info.IsDir() {
			source += "/."
		}
		if err := run(exec.Command("cp", "-R", "--preserve=mode,timestamps,links", source, place)); err != nil {
			return err
		}
	}
	return nil
}

// mount mounts at a folder, which it makes where it is missing.
func mount(source, at, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, at, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", kind, at, err)
	}
	return nil
}

// bind shows a folder at another place too. The flags of a bind mount count only when it is mounted again.
func bind(source, at string, flags uintptr) error {
	if err := mount(source, at, "", unix.MS_BIND, ""); err != nil || flags == 0 {
		return err
	}
	return mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}

// bindFile is bind for a file.
func bindFile(source, at string, flags uintptr) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	f.Close()
	if err := unix.Mount(source, at, "", unix.MS_BIND, ""); err != nil || flags == 0 {
		return err
	}
	return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}
