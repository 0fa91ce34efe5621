// Package kubernetes_test plays the example's rendered manifests with podman kube play and runc, with images that have
// neither a shell nor a package manager. .ci/kubernetes checks the manifests themselves.
package kubernetes_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// images imports the two images of the manifests: the server with its libraries, test(1), tail(1) and printenv(1) but without
// a shell, and arenacap alone.
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
	printenv, err := exec.LookPath("printenv")
	if err != nil {
		t.Fatal(err)
	}
	importImage(ctx, t, podman, "authserver", map[string]string{"usr/local/bin/authserver": server, scraped: server,
		"usr/bin/test": busybox, "usr/bin/tail": busybox, "usr/bin/printenv": printenv})
	importImage(ctx, t, podman, "arenacap", map[string]string{"arenacap": own})
	return ctx, podman
}

// importImage makes an image of these files and the libraries of the programs; changes are instructions of a Dockerfile. In
// a cluster everybody may write to an emptyDir. podman 4.3 gives an emptyDir the mode of the folder in the image on which it
// is mounted, so importImage makes these folders with mode 0777.
func importImage(ctx context.Context, t *testing.T, podman *lab.Podman, name string, files map[string]string, changes ...string) {
	t.Helper()
	root := filepath.Join(lab.Dir(t), "root")
	for place, file := range files {
		install(t, file, filepath.Join(root, place))
		libraries, _ := exec.CommandContext(ctx, "ldd", file).Output() // ldd fails for a static program, which has no libraries
		for _, word := range strings.Fields(string(libraries)) {
			if strings.HasPrefix(word, "/") {
				install(t, word, filepath.Join(root, word))
			}
		}
	}
	for _, folder := range []string{"run/authserver", "volume"} {
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
	args := []string{"import", "--quiet"}
	for _, change := range append(changes, "ENV PATH=/usr/local/bin:/usr/bin") {
		args = append(args, "--change", change)
	}
	if out, status, err := podman.Do(ctx, append(args, archive, name)...); status != 0 || err != nil {
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
	edits = append([]string{"  name: authserver\nspec:", "  name: " + name + "\n" + keepInit + "spec:", grace, grace + never}, edits...)
	file, err := lab.Copy(filepath.Join("rendered", manifest), lab.Dir(t), edits...)
	if err != nil {
		t.Fatal(err)
	}
	return start(ctx, t, podman, name, name+"-pod-0-authserver", file)
}

// start starts the manifest in a file by "podman kube play". The names of its volumes begin with the argument "name"
// (see ownVolumes).
func start(ctx context.Context, t *testing.T, podman *lab.Podman, name, container, file string) pod {
	t.Helper()
	ownVolumes(ctx, t, podman, name, file)
	if out, status, err := podman.Do(ctx, "kube", "play", "--network", "none", file); status != 0 || err != nil {
		t.Fatalf("podman kube play: %d, %v\n%s", status, err, out)
	}
	p := pod{podman: podman, container: container}
	var err error
	if p.log, err = lab.Start(podman.Command(ctx, "logs", "--follow", p.container), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.log.Kill)
	return p
}

// With another restartPolicy than Never, podman 4.3 waits 20 s for the end of an init container, and restarts a server
// while a test waits for its end.
const (
	grace = "      terminationGracePeriodSeconds: 30\n"
	never = "      restartPolicy: Never\n"
)

// keepInit makes podman 4.3 keep the init container. Its removal sometimes fails, because podman does not know yet that
// it has ended.
const keepInit = "  annotations:\n    io.podman.annotations.init.container.type: always\n"

// ownVolumes gives the volumes of a manifest names of their own, because pods of podman 4.3 share volumes with the same
// name. It creates the volume of the ConfigMap with the mode that a kubelet gives it, 0777; podman would create one that
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

// TestPods plays the manifests, and variants of them. A pod takes seconds, so only the first test runs without
// ARENACAP_FULL=1, which .ci/container sets.
func TestPods(t *testing.T) {
	ctx, podman := images(t)
	podman.Run(ctx, t, 1, []lab.PodmanTest{
		{Name: "prefix", Test: prefix},
		{Name: "variable", Test: variable},
		{Name: "budget", Test: budget},
		{Name: "watch", Test: watch},
		{Name: "start", Test: starting},
		{Name: "endings", Test: endings},
		{Name: "exporter", Test: exporter},
	})
}

// TestPage follows README.md: it builds the images, plays the first manifest with them, and inspects the server from a
// container of arenacap's image. It runs only with ARENACAP_FULL=1, because it builds images.
func TestPage(t *testing.T) {
	if !testenv.Full() {
		return
	}
	podman := buildImages(t)
	ctx := lab.Within(t, 2*time.Minute)
	if out, status, err := podman.Do(ctx, "run", "--rm", "arenacap-exporter", "--version"); status != 0 || err != nil || !strings.HasPrefix(out, "arenacap-exporter ") {
		t.Errorf("the exporter's image: %d, %v, %s", status, err, out)
	}
	p := play(ctx, t, podman, "page", "variable.yaml")
	p.wantArenas(ctx, t, 2)
	if out, status, err := p.exec(ctx, "printenv MALLOC_ARENA_MAX"); out != "2" || status != 0 || err != nil {
		t.Errorf("%q, %d, %v", out, status, err)
	}
	p.debug(ctx, t)
	p.stop(ctx, t)
}

// buildImages builds the images of the manifests as README.md describes.
func buildImages(t *testing.T) *lab.Podman {
	t.Helper()
	podman := lab.NewPodman(t, lab.Debian, lab.Golang)
	testenv.Need(t, "go", "catatonit")
	for _, flags := range []string{"--tag arenacap --file Dockerfile", "--tag arenacap-exporter --target exporter --file Dockerfile", "--tag authserver --file ../container/Dockerfile"} {
		if err := podman.Build(t.Context(), strings.Fields(flags)...); err != nil {
			t.Fatal(err)
		}
	}
	return podman
}

// TestLists: README.md and the components have the env lists that arenacap prints, apart from comments, the indentation and
// the fields that a patch removes.
func TestLists(t *testing.T) {
	arenacap, err := lab.Arenacap(lab.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	apart := regexp.MustCompile(`(?m)^ *((#|\w+: null).*\n)?`)
	for file, flags := range map[string][]string{
		"README.md": nil, "components/variable/patch.yaml": nil, "components/variable-fixed/patch.yaml": {"--arenas", "4"},
	} {
		list, err := exec.Command(arenacap, append([]string{"env", "--shell", "kubernetes"}, flags...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(string(list), "env:\n")
		text, err := os.ReadFile(file)
		if err != nil || want == "" || !strings.Contains(apart.ReplaceAllString(string(text), ""), apart.ReplaceAllString(want, "")) {
			t.Errorf("%s does not have this list (%v):\n%s", file, err, list)
		}
	}
}

// These edits add a variable to the end of the env list. They replace the line "image:", which follows the list.
const (
	image    = "        image: authserver\n"
	tunables = "        - name: GLIBC_TUNABLES\n          value: glibc.malloc.arena_max=1\n"
)

// prefix checks that the init container copies arenacap into the pod, and that the server replaces arenacap as PID 1 and keeps
// the restrictions of the manifest (see wantRestricted).
func prefix(ctx context.Context, t *testing.T, podman *lab.Podman) {
	p := play(ctx, t, podman, "prefix", "prefix.yaml")
	p.wantArenas(ctx, t, 2)
	wantRestricted(t, p.pid(ctx, t), "authserver")
	for words, want := range map[string]int{"test -S " + lab.Socket: 0, "printenv MALLOC_ARENA_MAX": 1} { // the readiness probe succeeds; exec does not get the variables that the prefix sets
		if out, status, err := p.exec(ctx, words); status != want || err != nil {
			t.Errorf("%s: %d, %v, %s", words, status, err, out)
		}
	}
	if out, status, err := p.exec(ctx, "/arenacap/arenacap inspect 1"); status != 0 || err != nil || !strings.Contains(out, "cap     2 (environment): kept") {
		t.Errorf("inspect in the pod: %d, %v\n%s", status, err, out)
	}
	p.stop(ctx, t)
}

// variableCase is a manifest, and the number of arenas that it allows. The manifest sets the cap in the container's env list,
// or by the prefix "arenacap run --" in its command.
type variableCase struct {
	name, manifest string
	edits          []string
	arenas         int
}

// variables returns the cases of a node that offers this number of CPUs to a pod without a limit. GLIBC_TUNABLES has
// precedence over MALLOC_ARENA_MAX in the env list, but the prefix "arenacap run --" removes the cap from
// GLIBC_TUNABLES.
func variables(cpus int) []variableCase {
	return []variableCase{
		{"cpu1500m", "variable.yaml", nil, 2},
		{"cpu500m", "variable.yaml", []string{"cpu: 1500m", "cpu: 500m"}, 1},
		{"nolimit", "variable.yaml", []string{"            cpu: 1500m\n", ""}, cpus},
		{"fixed", "variable-fixed.yaml", nil, 4},
		{"tunables", "variable-fixed.yaml", []string{image, tunables + image}, 1},
		{"removed", "prefix.yaml", []string{image, "        env:\n" + tunables + image}, 2},
	}
}

// variable checks the number of arenas in each case of variables: limits.cpu is rounded up.
func variable(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for _, c := range variables(runtime.NumCPU()) {
		t.Run(c.name, func(t *testing.T) {
			p := play(ctx, t, podman, c.name, c.manifest, c.edits...)
			p.wantArenas(ctx, t, c.arenas)
			p.stop(ctx, t)
		})
	}
}

// breach is the edit of a manifest that lowers the budget from 1 GiB to 150 MiB, which three arenas besides the
// main one exceed, and shortens the watch's times.
var breach = []string{`arenas   = "1GiB"`, "arenas   = \"150MiB\"\n    settle   = \"10ms\"\n    interval = \"10ms\""}

// budget checks that arenacap is PID 1, forwards SIGTERM, and ends the container with 124 after a breach.
func budget(ctx context.Context, t *testing.T, podman *lab.Podman) {
	p := play(ctx, t, podman, "budget", "budget.yaml")
	p.wantArenas(ctx, t, 4)
	wantRestricted(t, p.pid(ctx, t), "arenacap")
	p.stop(ctx, t)

	p = play(ctx, t, podman, "breach", "budget.yaml", breach...)
	exceed(ctx, t, p.connect(ctx, t))
	p.wantEnd(ctx, t, 124)
}

// exceed makes the server use more arenas than the budget allows.
func exceed(ctx context.Context, t *testing.T, a *lab.AuthServer) {
	t.Helper()
	for range 2 { // arenas besides the main one, of 64 MiB each
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Login(); err != nil { // over the limit: the server may end before its answer
		t.Log(err)
	}
	if e, err := a.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 150<<20 {
		t.Errorf("%+v, %v", e, err)
	}
}

// shared is the edit of a manifest that adds a budget without an action, and lets the pod's containers share the PID
// namespace.
var shared = []string{"    cap = \"1/core\"\n", "    cap = \"1/core\"\n    [budget]\n    arenas = \"10MiB\"\n    settle = \"10ms\"\n    interval = \"10ms\"\n    [log]\n    format = \"json\"\n",
	grace, grace + "      shareProcessNamespace: true\n"}

// watch checks that in a pod whose containers share the PID namespace, so that the server is not PID 1, the watch
// beside the server reports a breach.
func watch(ctx context.Context, t *testing.T, podman *lab.Podman) {
	p := play(ctx, t, podman, "watch", "prefix.yaml", shared...)
	p.wantArenas(ctx, t, 2)
	wantRestricted(t, p.pid(ctx, t), "authserver")
	if e, err := p.log.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 10<<20 {
		t.Errorf("%+v, %v", e, err)
	}
	p.stop(ctx, t)
}

// replaceCommand returns the edit of a manifest that starts another command in place of the server.
func replaceCommand(words ...string) []string {
	return []string{"        - /usr/local/bin/authserver\n        image", "        - " + strings.Join(words, "\n        - ") + "\n        image",
		"      - args:\n        - -t\n        - \"64\"\n        - -s\n        - /run/authserver/auth.sock\n        command:", "      - command:"}
}

// unhandled returns the edit of a manifest that starts tail in place of the server. tail sets up no handler for SIGTERM;
// its output shows that it runs.
func unhandled() []string {
	return replaceCommand("/usr/bin/tail", "-n99", "-f", "/etc/arenacap/policy.toml")
}

// starting sends SIGTERM to a server that has not set up a handler yet; tail, which never sets one up, stands in for the
// server. SIGTERM ends a server behind run --supervise. SIGTERM does not end a server that is PID 1, but SIGKILL does after
// the grace period.
func starting(ctx context.Context, t *testing.T, podman *lab.Podman) {
	for _, c := range []struct {
		manifest, grace string
		status          int
	}{{"prefix.yaml", "1", 137}, {"budget.yaml", "60", 143}} {
		p := play(ctx, t, podman, fmt.Sprint("start", c.status), c.manifest, unhandled()...)
		if _, err := p.log.AwaitText(ctx, "cap = "); err != nil { // this line shows that tail runs
			t.Fatal(err)
		}
		if out, failed, err := podman.Do(ctx, "stop", "--time", c.grace, p.container); failed != 0 || err != nil {
			t.Errorf("podman stop: %d, %v, %s", failed, err, out)
		}
		p.wantEnd(ctx, t, c.status)
	}
}

// ending is a manifest whose container ends by itself.
type ending struct {
	name, manifest string
	edits          []string
	status         int
	last           string // a part of the last line of its log
}

// allEndings returns cases of README.md's table of statuses, and others. The functions "budget", "endings" and
// "clusterEndings" have the table's other cases.
func allEndings() []ending {
	// The cap is 8 for each core. The last line of "arenacap env" is MALLOC_ARENA_TEST; its value is the cap minus 1.
	env := append(replaceCommand("/arenacap/arenacap", "env"), `"1/core"`, `"8/core"`)
	eight := func(cores int) string { return fmt.Sprintf("MALLOC_ARENA_TEST='%d'", 8*cores-1) }
	return []ending{
		{"mistake", "prefix.yaml", []string{`cap = "1/core"`, `caps = "1/core"`}, 125,
			`/etc/arenacap/policy.toml:3:1: unknown key "caps" in [arenas]; did you mean "cap"?`},
		{"absent", "prefix.yaml", replaceCommand("/usr/local/bin/authsrever"), 127, `"/usr/local/bin/authsrever"`},
		{"own", "prefix.yaml", []string{`- "64"`, `- "0"`}, 2, "usage: authserver [-t THREADS] [-s SOCKET], 1 to"},
		{"rounded", "prefix.yaml", env, 0, eight(min(2, runtime.NumCPU()))},
		{"half", "prefix.yaml", slices.Concat(env, []string{"cpu: 1500m", "cpu: 500m"}), 0, eight(1)},
		{"unlimited", "prefix.yaml", slices.Concat(env, []string{"            cpu: 1500m\n", ""}), 0, eight(runtime.NumCPU())},
		{"root", "prefix.yaml", slices.Concat(env, []string{"runAsUser: 65532", "runAsUser: 0", "runAsNonRoot: true", "runAsNonRoot: false"}), 0, eight(min(2, runtime.NumCPU()))}, // as root, arenacap refuses a policy in a folder of mode 0777, except on a read-only mount as here
		{"go", "prefix.yaml", replaceCommand("/arenacap/arenacap", "version"), 0, "arenacap "},
		{"oom", "budget.yaml", append(replaceCommand("/usr/bin/tail", "/dev/zero"), `resident = "80%"`, `resident = "100%"`, "memory: 512Mi", "memory: 64Mi", "memory: 256Mi", "memory: 64Mi"), 137, ""},
	}
}

// endings checks that the container ends with the status of run, and an error message is the last line of its log.
func endings(ctx context.Context, t *testing.T, podman *lab.Podman) {
	out, status, err := podman.Do(ctx, "run", "--rm", "--network", "none", "authserver", "/arenacap/arenacap", "run", "--", "/usr/local/bin/authserver")
	if status != 127 || err != nil || !strings.Contains(out, "/arenacap/arenacap") {
		t.Errorf("without the volume: %d, %v, %s", status, err, out)
	}
	for _, c := range allEndings() {
		t.Run(c.name, func(t *testing.T) {
			p := play(ctx, t, podman, c.name, c.manifest, c.edits...)
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

// pid returns the PID that the container's PID 1 has outside of the container.
func (p pod) pid(ctx context.Context, t *testing.T) int {
	t.Helper()
	return p.podman.Pid(ctx, t, p.container)
}

// exec runs a command in the container, as kubectl exec does.
func (p pod) exec(ctx context.Context, command string) (output string, status int, err error) {
	return p.podman.Do(ctx, append([]string{"exec", p.container}, strings.Fields(command)...)...)
}

// debug looks into the server from another image, as kubectl debug --target does: as the pod's user, without capabilities.
func (p pod) debug(ctx context.Context, t *testing.T) {
	t.Helper()
	namespace := fmt.Sprintf("ns:/proc/%d/ns/pid", p.pid(ctx, t))
	out, status, err := p.podman.Do(ctx, "run", "--rm", "--pid", namespace, "--user", "65532:65532", "--cap-drop", "all",
		"--entrypoint", "/arenacap", "arenacap", "inspect", "1")
	if status != 0 || err != nil || !strings.Contains(out, ": kept") {
		t.Errorf("inspect from another container: %d, %v\n%s", status, err, out)
	}
}

// wantRestricted checks the first process of a container: its name, its user, and that it has no capabilities, no new
// privileges, a seccomp filter and a read-only root file system.
func wantRestricted(t *testing.T, pid int, name string) {
	t.Helper()
	status := lab.ProcFile(t, pid, "status")
	for _, want := range []string{"Name:\t" + name + "\n", "Uid:\t65532\t65532\t65532\t65532\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the status has no %q:\n%s", want, status)
		}
	}
	// mountinfo, fields 5 and 6: the mount point and its options (proc_pid_mountinfo(5))
	if mounts := lab.ProcFile(t, pid, "mountinfo"); !strings.Contains(mounts, " / ro,") {
		t.Errorf("the root file system is not read-only:\n%s", mounts)
	}
}

func (p pod) connect(ctx context.Context, t *testing.T) *lab.AuthServer {
	t.Helper()
	return p.podman.AuthServer(ctx, t, p.container, p.log)
}

func (p pod) wantArenas(ctx context.Context, t *testing.T, arenas int) {
	t.Helper()
	wantArenas(t, p.connect(ctx, t), arenas)
}

// wantArenas makes all threads of the server allocate, and asks malloc_info(3) for the number of arenas.
func wantArenas(t *testing.T, a *lab.AuthServer, arenas int) {
	t.Helper()
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
