// Package kubernetes_test plays the example's rendered manifests with podman kube play and runc, with images that have
// neither a shell nor a package manager. .ci/admission checks the manifests themselves.
package kubernetes_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// images imports the two images of the manifests: the server with its libraries and test(1) but without a shell, and
// arenacap alone.
func images(t *testing.T) (context.Context, *lab.Podman) {
	t.Helper()
	podman := lab.NewPodman(t)
	testenv.Need(t, "catatonit", "gcc", "ldd", "busybox")
	dir := lab.Dir(t)
	own, server := lab.Programs(t, dir)
	ctx := lab.Within(t, 5*time.Minute)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	importImage(ctx, t, podman, "authserver", map[string]string{"usr/local/bin/authserver": server, "usr/bin/test": busybox, "usr/bin/tail": busybox})
	importImage(ctx, t, podman, "arenacap", map[string]string{"usr/local/bin/arenacap": own})
	return ctx, podman
}

// importImage makes an image of these files and the libraries of the programs. In a cluster everybody may write to an
// emptyDir; podman 4.3 gives it the mode of the image's folder, so the image has the folders of the manifests.
func importImage(ctx context.Context, t *testing.T, podman *lab.Podman, name string, files map[string]string) {
	t.Helper()
	root := filepath.Join(lab.Dir(t), "root")
	for place, file := range files {
		install(t, file, filepath.Join(root, place))
		libraries, _ := exec.CommandContext(ctx, "ldd", file).Output() // fails for a static program, which has none
		for _, word := range strings.Fields(string(libraries)) {
			if strings.HasPrefix(word, "/") {
				install(t, word, filepath.Join(root, word))
			}
		}
	}
	for _, folder := range []string{"run/authserver", "arenacap"} {
		path := filepath.Join(root, folder)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	archive := root + ".tar"
	if out, err := exec.CommandContext(ctx, "tar", "-C", root, "-cf", archive, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	if out, status, err := podman.Do(ctx, "import", "--quiet", "--change", "ENV PATH=/usr/local/bin:/usr/bin", archive, name); status != 0 || err != nil {
		t.Fatalf("podman import: %d, %v\n%s", status, err, out)
	}
}

func install(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pod is a manifest that podman plays.
type pod struct {
	podman    *lab.Podman
	container string // podman's name for the server's container
	log       *lab.Process
}

// play plays a rendered manifest under another name, with texts replaced: edits alternates old and new ones.
func play(ctx context.Context, t *testing.T, podman *lab.Podman, name, manifest string, edits ...string) pod {
	t.Helper()
	edits = append([]string{"  name: authserver\nspec:", "  name: " + name + "\n" + keepInit + "spec:"}, edits...)
	file, err := lab.Copy(filepath.Join("rendered", manifest), lab.Dir(t), edits...)
	if err != nil {
		t.Fatal(err)
	}
	ownVolumes(ctx, t, podman, name, file)
	if out, status, err := podman.Do(ctx, "kube", "play", "--network", "none", file); status != 0 || err != nil {
		t.Fatalf("podman kube play: %d, %v\n%s", status, err, out)
	}
	p := pod{podman: podman, container: name + "-pod-0-authserver"}
	if p.log, err = lab.Start(podman.Command(ctx, "logs", "--follow", p.container), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.log.Kill)
	return p
}

// keepInit keeps podman 4.3 from removing the init container, which sometimes fails because its end is not known yet.
const keepInit = "  annotations:\n    io.podman.annotations.init.container.type: always\n"

// ownVolumes gives the volumes of a manifest names of their own, because podman 4.3 shares those with the same name between
// pods. It creates the volume of the ConfigMap with the mode that a kubelet gives it, 0777; podman would create one that
// only root may enter.
func ownVolumes(ctx context.Context, t *testing.T, podman *lab.Podman, name, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`name: (run|arenacap)\n`).ReplaceAllString(string(text), "name: "+name+"-$1\n")
	config := regexp.MustCompile(`arenacap-policy-\w+`)
	volume := name + "-policy"
	if err := os.WriteFile(file, []byte(config.ReplaceAllString(own, volume)), 0o644); err != nil {
		t.Fatal(err)
	}
	if !config.MatchString(own) {
		return
	}
	if out, status, err := podman.Do(ctx, "volume", "create", volume); status != 0 || err != nil {
		t.Fatalf("podman volume create: %d, %v\n%s", status, err, out)
	}
	folder, status, err := podman.Do(ctx, "volume", "inspect", "--format", "{{.Mountpoint}}", volume)
	if err == nil && status == 0 {
		err = os.Chmod(folder, 0o777)
	}
	if status != 0 || err != nil {
		t.Fatalf("%d, %v, %s", status, err, folder)
	}
}

// wantEnd waits for the end of the container.
func (p pod) wantEnd(ctx context.Context, t *testing.T, status int) {
	t.Helper()
	out, failed, err := p.podman.Do(ctx, "wait", p.container)
	if failed != 0 || err != nil || out != fmt.Sprint(status) {
		t.Errorf("the container ended with %s, %d, %v; want %d; its log: %q", out, failed, err, status, p.log.Lines())
	}
}

// TestPods plays the manifests, and variants of them that have to fail in a readable way.
func TestPods(t *testing.T) {
	ctx, podman := images(t)
	for _, c := range []struct {
		name string
		test func(context.Context, *testing.T, *lab.Podman)
	}{
		{"variable", variable},
		{"prefix", prefix},
		{"budget", budget},
		{"watch", watch},
		{"endings", endings},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(ctx, t, podman)
		})
	}
}

// never is the edit after which podman does not start the container again.
var never = []string{"      terminationGracePeriodSeconds: 30\n", "      terminationGracePeriodSeconds: 30\n      restartPolicy: Never\n"}

// variable: the variables alone cap the server, by limits.cpu rounded up or by a fixed number.
func variable(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for i, c := range []struct {
		name, manifest string
		edits          []string
		arenas         int
	}{
		{"cpu1500m", "variable.yaml", nil, 2},
		{"cpu500m", "variable.yaml", []string{"cpu: 1500m", "cpu: 500m"}, 1},
		{"nolimit", "variable.yaml", []string{"            cpu: 1500m\n", ""}, runtime.NumCPU()},
		{"fixed", "variable-fixed.yaml", nil, 4},
	} {
		if i > 0 && !testenv.Full() {
			return
		}
		t.Run(c.name, func(t *testing.T) {
			p := play(ctx, t, podman, c.name, c.manifest, c.edits...)
			p.wantArenas(ctx, t, c.arenas)
			p.stop(ctx, t)
		})
	}
}

// prefix: the init container brings arenacap, the server takes its place as PID 1 and keeps every restriction.
func prefix(ctx context.Context, t *testing.T, podman *lab.Podman) {
	p := play(ctx, t, podman, "prefix", "prefix.yaml")
	p.wantArenas(ctx, t, 2)
	pid := p.pid(ctx, t)
	status := fileOf(t, pid, "status")
	for _, want := range []string{"Name:\tauthserver\n", "Uid:\t65532\t65532\t65532\t65532\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the server's status has no %q:\n%s", want, status)
		}
	}
	if out, status, err := podman.Do(ctx, "exec", p.container, "test", "-S", socket); status != 0 || err != nil {
		t.Errorf("the readiness probe: %d, %v, %s", status, err, out)
	}
	// kubectl exec starts another process, which arenacap does not start, and which can look into the server.
	if out, status, err := podman.Do(ctx, "exec", p.container, "/arenacap/arenacap", "inspect", "1"); status != 0 || err != nil || !strings.Contains(out, "cap     2 (environment): kept") {
		t.Errorf("inspect in the pod: %d, %v\n%s", status, err, out)
	}
	p.stop(ctx, t)
}

// budget: arenacap is PID 1, forwards SIGTERM, and ends the container with 124 after a breach.
func budget(ctx context.Context, t *testing.T, podman *lab.Podman) {
	p := play(ctx, t, podman, "budget", "budget.yaml")
	p.wantArenas(ctx, t, 4)
	if name := fileOf(t, p.pid(ctx, t), "comm"); name != "arenacap\n" {
		t.Errorf("PID 1 is %q", name)
	}
	p.stop(ctx, t)

	quick := []string{`arenas   = "1GiB"`, "arenas   = \"150MiB\"\n    settle   = \"10ms\"\n    interval = \"10ms\""}
	p = play(ctx, t, podman, "breach", "budget.yaml", append(quick, never...)...)
	a := p.connect(ctx, t)
	for range 2 { // arenas besides the main one, of 64 MiB each
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Login(); err != nil { // over the limit: the server may end before its answer
		t.Log(err)
	}
	if e, err := p.log.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 150<<20 {
		t.Errorf("%+v, %v", e, err)
	}
	p.wantEnd(ctx, t, 124)
}

// watch: in a pod whose containers share the PID namespace, the server is not PID 1, and its watch is beside it.
func watch(ctx context.Context, t *testing.T, podman *lab.Podman) {
	if !testenv.Full() {
		return
	}
	const policy = "    cap = \"1/core\"\n    [budget]\n    arenas = \"10MiB\"\n    settle = \"10ms\"\n    interval = \"10ms\"\n    [log]\n    format = \"json\"\n"
	p := play(ctx, t, podman, "watch", "prefix.yaml", "    cap = \"1/core\"\n", policy,
		"      terminationGracePeriodSeconds: 30\n", "      terminationGracePeriodSeconds: 30\n      shareProcessNamespace: true\n")
	p.wantArenas(ctx, t, 2)
	if name := fileOf(t, p.pid(ctx, t), "comm"); name != "authserver\n" {
		t.Errorf("the container's process is %q", name)
	}
	if e, err := p.log.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 10<<20 {
		t.Errorf("%+v, %v", e, err)
	}
	p.stop(ctx, t)
}

// endings: the status reaches the outside, and a mistake is the last line of the log.
func endings(ctx context.Context, t *testing.T, podman *lab.Podman) {
	out, status, err := podman.Do(ctx, "run", "--rm", "--network", "none", "authserver", "/arenacap/arenacap", "run", "--", "/usr/local/bin/authserver")
	if status != 127 || err != nil || !strings.Contains(out, "/arenacap/arenacap") {
		t.Errorf("without the volume: %d, %v, %s", status, err, out)
	}
	const command = "        - /usr/local/bin/authserver\n        image"
	instead := func(words ...string) []string {
		return []string{command, "        - " + strings.Join(words, "\n        - ") + "\n        image",
			"      - args:\n        - -t\n        - \"64\"\n        - -s\n        - /run/authserver/auth.sock\n        command:", "      - command:"}
	}
	for i, c := range []struct {
		name, manifest string
		edits          []string
		status         int
		last           string
	}{
		{"mistake", "prefix.yaml", []string{`cap = "1/core"`, `caps = "1/core"`}, 125,
			`/etc/arenacap/policy.toml:3:1: unknown key "caps" in [arenas]; did you mean "cap"?`},
		{"absent", "prefix.yaml", instead("/usr/local/bin/authsrever"), 127, `"/usr/local/bin/authsrever"`},
		{"own", "prefix.yaml", []string{`- "64"`, `- "0"`}, 2, "usage: authserver [-t THREADS] [-s SOCKET], 1 to"},
		{"root", "prefix.yaml", append(instead("/arenacap/arenacap", "env"), "runAsUser: 65532", "runAsUser: 0"), 0, "MALLOC_ARENA_TEST"}, // the folder of the policy has mode 0777
		{"go", "prefix.yaml", instead("/arenacap/arenacap", "version"), 0, "arenacap "},
		{"oom", "budget.yaml", append(instead("/usr/bin/tail", "/dev/zero"), `resident = "80%"`, `resident = "100%"`, "memory: 512Mi", "memory: 64Mi"), 137, ""},
	} {
		if i > 0 && !testenv.Full() {
			return
		}
		t.Run(c.name, func(t *testing.T) {
			p := play(ctx, t, podman, c.name, c.manifest, append(c.edits, never...)...)
			p.wantEnd(ctx, t, c.status)
			if err := p.log.AwaitEnd(ctx); err != nil {
				t.Fatal(err)
			}
			if lines := p.log.Lines(); c.last != "" && (len(lines) == 0 || !strings.Contains(lines[len(lines)-1], c.last)) {
				t.Errorf("the log is %q, want %q in its last line", lines, c.last)
			}
		})
	}
}

const socket = "/run/authserver/auth.sock"

// pid is the PID, outside, of the container's PID 1.
func (p pod) pid(ctx context.Context, t *testing.T) int {
	t.Helper()
	pid, err := p.podman.Pid(ctx, p.container)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (p pod) connect(ctx context.Context, t *testing.T) *lab.AuthServer {
	t.Helper()
	if _, err := p.log.AwaitText(ctx, " threads, ready"); err != nil {
		t.Fatal(err)
	}
	a, err := lab.ConnectAuthServer(ctx, p.log, fmt.Sprintf("/proc/%d/root%s", p.pid(ctx, t), socket))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantArenas makes all threads of the server allocate, and asks malloc_info(3) for the number of arenas.
func (p pod) wantArenas(ctx context.Context, t *testing.T, arenas int) {
	t.Helper()
	a := p.connect(ctx, t)
	for range 64 {
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := a.Report(); err != nil || r.Arenas != arenas {
		t.Errorf("%+v, %v; want %d arenas", r, err, arenas)
	}
}

// stop ends the pod as a kubelet does. The server ends by SIGTERM with status 0; after SIGKILL it would be 137.
func (p pod) stop(ctx context.Context, t *testing.T) {
	t.Helper()
	if out, status, err := p.podman.Do(ctx, "stop", "--time", "60", p.container); status != 0 || err != nil {
		t.Errorf("podman stop: %d, %v, %s", status, err, out)
	}
	p.wantEnd(ctx, t, 0)
}

func fileOf(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
