// Package container_test makes the example's image from its Dockerfile, without docker and without a registry, and runs
// it as docker run and as the pod of its manifest would: as PID 1 of namespaces of its own, with the user, the
// capabilities, the mounts and the control groups that stand there.
//
// What stands for debian:bookworm-slim is the folder in $ARENACAP_DEBIAN, else this machine's own root.
package container_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
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
	lab.Need(t, "go", "gcc", "tar")
	ctx, dir := lab.Dir(t, 5*time.Minute)
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	image, err := lab.BuildImage(ctx, "Dockerfile", top, dir, map[string]string{
		"golang:1.26-bookworm": "/",
		"debian:bookworm-slim": cmp.Or(os.Getenv("ARENACAP_DEBIAN"), "/"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, image
}

func TestContainer(t *testing.T) {
	ctx, image := build(t)
	for _, c := range []struct {
		name string
		test func(context.Context, *testing.T, *lab.Image)
	}{
		{"docker run", dockerRun},
		{"statuses", statuses},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(ctx, t, image) })
	}
}

// dockerRun is the image as it is: docker run -d authserver, and docker stop.
func dockerRun(ctx context.Context, t *testing.T, image *lab.Image) {
	p, err := lab.Container{Image: image}.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	a, err := lab.ConnectAuthServer(ctx, p, inRoot(p, socket))
	if err != nil {
		t.Fatal(err)
	}
	if status, err := a.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
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

// inRoot is a file of a container as it is reached from outside.
func inRoot(p *lab.Process, path string) string {
	return fmt.Sprintf("/proc/%d/root%s", p.Pid, path)
}
