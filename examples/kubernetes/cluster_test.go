package kubernetes_test

// This file tests the manifests on a real Kubernetes. .ci/cluster starts the cluster, and runs this test on its node.

import (
	"context"
	"fmt"
	"io"
	"net/http"
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

// TestCluster applies the manifests, and variants of them.
func TestCluster(t *testing.T) {
	if os.Getenv("ARENACAP_CLUSTER") == "" {
		t.Skip("no cluster: .ci/cluster starts one")
	}
	testenv.Need(t, "kubectl", "ctr")
	loadImages(t)
	for _, c := range []struct {
		name string
		test func(context.Context, *testing.T)
	}{
		{"overlays", clusterOverlays},
		{"variable", clusterVariable},
		{"page", clusterPage},
		{"debug", clusterDebug},
		{"breach", clusterBreach},
		{"watch", clusterWatch},
		{"start", clusterStart},
		{"endings", clusterEndings},
		{"policy", clusterNewPolicy},
		{"admission", clusterAdmission},
		{"exporter", clusterExporter},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(lab.Within(t, 4*time.Minute), t) })
	}
}

// tagged is the name of arenacap's image for kubectl debug, which sets no imagePullPolicy. If the name had no tag, the
// kubelet would by default pull the image each time instead of using the imported one.
const tagged = "registry.example/arenacap:1"

// loadImages builds the images with podman, and imports them into containerd.
func loadImages(t *testing.T) {
	podman := buildImages(t)
	ctx := lab.Within(t, 2*time.Minute)
	// In each pod a container that only waits keeps the namespaces: the pause container. podman uses catatonit -P for this.
	importImage(ctx, t, podman, "pause", map[string]string{"catatonit": "/usr/bin/catatonit"}, `ENTRYPOINT ["/catatonit", "-P"]`)
	archive := filepath.Join(lab.Dir(t), "images.tar")
	save := []string{"save", "--quiet", "--multi-image-archive", "--output", archive}
	const library = "docker.io/library/" // a kubelet puts it before names without a registry
	for _, name := range [][2]string{{"arenacap", library + "arenacap"}, {"arenacap", tagged}, {"arenacap-exporter", library + "arenacap-exporter"},
		{"authserver", library + "authserver"}, {"pause", library + "pause"}} {
		if out, status, err := podman.Do(ctx, "tag", name[0], name[1]); status != 0 || err != nil {
			t.Fatalf("podman tag: %d, %v\n%s", status, err, out)
		}
		save = append(save, name[1])
	}
	if out, status, err := podman.Do(ctx, save...); status != 0 || err != nil {
		t.Fatalf("podman save: %d, %v\n%s", status, err, out)
	}
	if out, err := exec.CommandContext(ctx, "ctr", "--namespace", "k8s.io", "images", "import", archive).CombinedOutput(); err != nil {
		t.Fatalf("ctr images import: %v\n%s", err, out)
	}
}

// namespace is the name of a namespace in the cluster. It has one pod of the server, or of the exporter.
type namespace string

// deploy applies manifests (flags of kubectl apply) in a new namespace, and waits until the pod exists.
func deploy(ctx context.Context, t *testing.T, name string, manifests ...string) namespace {
	t.Helper()
	n := newNamespace(ctx, t, name)
	n.apply(ctx, t, manifests...)
	return n
}

func newNamespace(ctx context.Context, t *testing.T, name string) namespace {
	t.Helper()
	n := namespace(name)
	if out, err := kubectl(ctx, "create", "namespace", name); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { n.remove(t) })
	n.must(ctx, t, "wait", "--for=create", "--timeout=60s", "serviceaccount/default") // every pod needs it
	return n
}

func (n namespace) apply(ctx context.Context, t *testing.T, manifests ...string) {
	t.Helper()
	n.must(ctx, t, append([]string{"apply"}, manifests...)...)
	n.must(ctx, t, "wait", "--for=jsonpath={.status.replicas}=1", "--timeout=60s", "deployment/authserver")
}

// deployFile deploys a manifest with texts replaced: edits alternates old and new ones.
func deployFile(ctx context.Context, t *testing.T, name, manifest string, edits ...string) namespace {
	t.Helper()
	file, err := lab.Copy(manifest, lab.Dir(t), edits...)
	if err != nil {
		t.Fatal(err)
	}
	return deploy(ctx, t, name, "--filename", file)
}

// remove removes the pods, so that the node has room for others. After a failure it first prints what the cluster knows.
func (n namespace) remove(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // t.Context() is cancelled before a cleanup runs
	defer cancel()
	if t.Failed() {
		for _, words := range []string{"describe pods", "logs --tail=20 --all-containers --prefix --selector=app=authserver"} {
			out, err := n.kubectl(ctx, strings.Fields(words)...)
			t.Logf("kubectl %s: %v\n%s", words, err, out)
		}
	}
	for _, words := range []string{"delete deployments,daemonsets --all", "delete pods --all --grace-period=1"} {
		if out, err := n.kubectl(ctx, strings.Fields(words)...); err != nil {
			t.Errorf("kubectl %s: %v\n%s", words, err, out)
		}
	}
}

// kubectl runs kubectl to its end.
func kubectl(ctx context.Context, args ...string) (output string, err error) {
	out, err := exec.CommandContext(ctx, "kubectl", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (n namespace) kubectl(ctx context.Context, args ...string) (output string, err error) {
	return kubectl(ctx, append([]string{"--namespace", string(n)}, args...)...)
}

// must runs a command of kubectl that has to succeed, and returns its output.
func (n namespace) must(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out, err := n.kubectl(ctx, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// get returns a field of the first of the pods with a label ("app=authserver"), by kubectl's JSONPath.
func (n namespace) get(ctx context.Context, t *testing.T, label, field string) string {
	t.Helper()
	return n.must(ctx, t, "get", "pods", "--selector", label, "--output", "jsonpath={.items[0]"+field+"}")
}

// pid returns the PID that the first process of the pod's container has on the node.
func (n namespace) pid(ctx context.Context, t *testing.T, label string) (pid int) {
	t.Helper()
	id := strings.TrimPrefix(n.get(ctx, t, label, ".status.containerStatuses[0].containerID"), "containerd://")
	out, err := exec.CommandContext(ctx, "ctr", "--namespace", "k8s.io", "tasks", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) { // "TASK PID STATUS"
		if after, ok := strings.CutPrefix(line, id); ok && id != "" {
			if _, err := fmt.Sscan(after, &pid); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return pid
		}
	}
	t.Fatalf("no task %q in:\n%s", id, out)
	return 0
}

// ready waits until the pod is ready, which the kubelet's probe decides.
func (n namespace) ready(ctx context.Context, t *testing.T) {
	t.Helper()
	n.must(ctx, t, "rollout", "status", "--timeout=90s", "deployment/authserver")
}

// replaced runs an action that makes the controller start another pod, and waits until the old pod is deleted and the
// new one is ready.
func (n namespace) replaced(ctx context.Context, t *testing.T, controller, label string, act func()) {
	t.Helper()
	old := n.get(ctx, t, label, ".metadata.name")
	act()
	n.must(ctx, t, "wait", "--for=delete", "--timeout=90s", "pod/"+old)
	n.must(ctx, t, "rollout", "status", "--timeout=90s", controller)
}

const server = "app=authserver" // the label of the server's pod

// follow returns a process that prints the log of the server's container.
func (n namespace) follow(ctx context.Context, t *testing.T) *lab.Process {
	t.Helper()
	log, err := lab.Start(exec.CommandContext(ctx, "kubectl", "--namespace", string(n), "logs", "--follow", "deployment/authserver"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Kill)
	return log
}

// connect waits until the server is ready, and connects to its socket.
func (n namespace) connect(ctx context.Context, t *testing.T) *lab.AuthServer {
	t.Helper()
	n.ready(ctx, t)
	return lab.AuthServerIn(ctx, t, n.pid(ctx, t, server), n.follow(ctx, t))
}

// stop removes the server's pod, and checks the status of its container. SIGTERM ends the server with 0; SIGKILL, after the
// grace period of 30 s, would end it with 137.
func (n namespace) stop(ctx context.Context, t *testing.T, status int) {
	t.Helper()
	watch, err := lab.Start(exec.CommandContext(ctx, "kubectl", "--namespace", string(n), "get", "pods", "--selector", server, "--watch",
		"--output", `jsonpath={.status.containerStatuses[0].state.terminated.exitCode}{"\n"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watch.Kill)
	if line, err := watch.AwaitText(ctx, ""); line != "" || err != nil { // an empty line: kubectl watches
		t.Fatalf("%q, %v", line, err)
	}
	n.must(ctx, t, "scale", "--replicas=0", "deployment/authserver")
	line, err := watch.Await(ctx, "an exit status", func(line string) bool { return line != "" })
	if line != fmt.Sprint(status) || err != nil {
		t.Errorf("status %q, %v; want %d", line, err, status)
	}
}

// awaitEnd waits until the server's container has ended at least once, and checks its status. The kubelet starts it
// again.
func (n namespace) awaitEnd(ctx context.Context, t *testing.T, status int) {
	t.Helper()
	out, err := n.kubectl(ctx, "wait", "pods", "--selector", server, "--timeout=60s", "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}")
	got := n.get(ctx, t, server, ".status.containerStatuses[0].lastState.terminated.exitCode")
	if got != fmt.Sprint(status) || err != nil {
		t.Errorf("status %q, %v, %s; want %d", got, err, out, status)
	}
}

// clusterOverlays applies each overlay for the server, and the manifest of examples/container, unchanged.
func clusterOverlays(ctx context.Context, t *testing.T) {
	for _, c := range []struct {
		name, manifest string
		arenas         int
		process        string // PID 1
		shown          string // the cap in the variables of the manifest, which kubectl exec shows
	}{
		{"variable", "--kustomize=overlays/variable", 2, "authserver", "2"},
		{"variable-fixed", "--kustomize=overlays/variable-fixed", 4, "authserver", "4"},
		{"prefix", "--kustomize=overlays/prefix", 2, "authserver", ""},
		{"budget", "--kustomize=overlays/budget", 4, "arenacap", ""},
		{"image-volume", "--kustomize=overlays/image-volume", 2, "authserver", ""},
		{"image", "--filename=../container/deployment.yaml", 4, "arenacap", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNamespace(ctx, t, c.name)
			n.must(ctx, t, "label", "namespace", c.name, "pod-security.kubernetes.io/enforce=restricted")
			n.apply(ctx, t, c.manifest)
			wantArenas(t, n.connect(ctx, t), c.arenas)
			wantRestricted(t, n.pid(ctx, t, server), c.process)
			out, err := n.kubectl(ctx, "exec", "deployment/authserver", "--", "printenv", "MALLOC_ARENA_MAX")
			if !strings.HasPrefix(out, c.shown) || (err == nil) != (c.shown != "") {
				t.Errorf("printenv: %v, %q", err, out)
			}
			n.stop(ctx, t, 0)
		})
	}
}

// clusterVariable checks the cap by limits.cpu, the cap by the node's allocatable CPU if the pod has no limits.cpu, and that a
// variable of env has precedence over one of envFrom. .ci/cluster reserves one core of the node.
func clusterVariable(ctx context.Context, t *testing.T) {
	allocatable, err := kubectl(ctx, "get", "node/node", "--output", "jsonpath={.status.allocatable.cpu}")
	if want := fmt.Sprint(runtime.NumCPU() - 1); err != nil || allocatable != want {
		t.Fatalf("the allocatable CPU is %q, %v; want %s", allocatable, err, want)
	}
	const own = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\ndata:\n  MALLOC_ARENA_MAX: \"9\"\n---\napiVersion: apps/v1"
	for _, c := range append(variables(runtime.NumCPU()-1), variableCase{
		"envfrom", "variable-fixed.yaml", []string{"apiVersion: apps/v1", own, image, "        envFrom:\n        - configMapRef:\n            name: own\n" + image}, 4,
	}) {
		t.Run(c.name, func(t *testing.T) {
			n := deployFile(ctx, t, c.name, filepath.Join("rendered", c.manifest), c.edits...)
			wantArenas(t, n.connect(ctx, t), c.arenas)
		})
	}
}

// clusterPage runs the commands of README.md that set the cap, show it, inspect the server, and remove the cap.
func clusterPage(ctx context.Context, t *testing.T) {
	n := deploy(ctx, t, "page", "--filename", "base/deployment.yaml")
	n.ready(ctx, t)
	n.replaced(ctx, t, "deployment/authserver", server, func() { n.page(ctx, t, "set env", "env updated") })
	n.page(ctx, t, "rollout", "successfully rolled out")
	wantArenas(t, n.connect(ctx, t), 4)
	n.page(ctx, t, "exec", "4")
	n.look(ctx, t, "look1", "cap     4 (environment): kept")
	n.replaced(ctx, t, "deployment/authserver", server, func() {
		n.page(ctx, t, "set env", "env updated", "MALLOC_ARENA_MAX=4 MALLOC_ARENA_TEST=3", "MALLOC_ARENA_MAX- MALLOC_ARENA_TEST-")
	})
	uncapped, err := lab.GlibcLimit(ctx, 64)
	if err != nil {
		t.Fatal(err)
	}
	wantArenas(t, n.connect(ctx, t), uncapped)
}

// clusterDebug checks README.md's table of pods for which the command kubectl debug has to be changed.
func clusterDebug(ctx context.Context, t *testing.T) {
	for _, c := range []struct {
		name, manifest string // a manifest in which the server is not PID 1
		edits          []string
		arenas         int
	}{
		{"shared", "variable.yaml", []string{grace, grace + "      shareProcessNamespace: true\n"}, 2},
		{"supervised", "budget.yaml", nil, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := deployFile(ctx, t, c.name, filepath.Join("rendered", c.manifest), c.edits...)
			wantArenas(t, n.connect(ctx, t), c.arenas)
			listed := n.look(ctx, t, "look1", "authserver", "inspect 1", "ps")
			row := regexp.MustCompile(`(?m)^ *(\d+) .* authserver$`).FindStringSubmatch(listed)
			if row == nil || row[1] == "1" {
				t.Fatalf("ps shows the server as %q:\n%s", row, listed)
			}
			n.look(ctx, t, "look2", fmt.Sprintf("cap     %d (environment): kept", c.arenas), "inspect 1", "inspect "+row[1])
		})
	}
	for _, c := range []struct{ uid, nonRoot, profile string }{{"1000", "true", "restricted"}, {"0", "false", "general"}} {
		t.Run("user"+c.uid, func(t *testing.T) {
			n := deployFile(ctx, t, "user"+c.uid, "rendered/variable.yaml", "        runAsGroup: 65532\n", "", "        runAsUser: 65532\n", "", "runAsNonRoot: true", "runAsNonRoot: "+c.nonRoot,
				"          readOnlyRootFilesystem: true\n", "          readOnlyRootFilesystem: true\n          runAsUser: "+c.uid+"\n")
			wantArenas(t, n.connect(ctx, t), 2)
			n.page(ctx, t, "get pod", "authserver "+c.uid+"\n")
			custom := filepath.Join(lab.Dir(t), "user.yaml")
			if err := os.WriteFile(custom, []byte("securityContext: {runAsUser: "+c.uid+"}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			n.look(ctx, t, "look1", "cap     2 (environment): kept", "--profile=restricted", "--profile="+c.profile+" --custom="+custom)
		})
	}
}

// look runs the command kubectl debug of README.md, with a debug container of this name. It awaits the end of the container and
// returns its log, which must contain the text want.
func (n namespace) look(ctx context.Context, t *testing.T, name, want string, edits ...string) (output string) {
	t.Helper()
	edits = append([]string{"look1", name}, edits...)
	n.page(ctx, t, "debug", "", edits...)
	n.must(ctx, t, "wait", "pods", "--selector", server, "--timeout=60s",
		"--for=jsonpath={.status.ephemeralContainerStatuses[?(@.name==\""+name+"\")].state.terminated.exitCode}")
	return n.page(ctx, t, "logs", want, edits...)
}

// page runs the first line of README.md that starts with "kubectl COMMAND", for this server, with texts replaced: edits
// alternates old and new ones. The output must contain the text want.
func (n namespace) page(ctx context.Context, t *testing.T, command, want string, edits ...string) (output string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^kubectl ` + command + ` .*?( +#.*)?$`).FindString(string(text))
	if line == "" {
		t.Fatalf("the page has no line \"kubectl %s\"", command)
	}
	edits = append([]string{"kubectl ", "kubectl --namespace " + string(n) + " ", "deployment/NAME", "deployment/authserver", "CONTAINER", "authserver",
		"REGISTRY/arenacap:TAG", tagged, "POD", n.get(ctx, t, server, ".metadata.name")}, edits...)
	line = strings.NewReplacer(edits...).Replace(line)
	out, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
	output = string(out)
	if err != nil || !strings.Contains(output, want) {
		t.Errorf("%s: %v\n%s", line, err, output)
	}
	return output
}

// clusterBreach checks that the kubelet restarts the container after a breach, and that kubectl shows the exit status
// and, at the end of the log, the event.
func clusterBreach(ctx context.Context, t *testing.T) {
	n := deployFile(ctx, t, "breach", "rendered/budget.yaml", breach...)
	exceed(ctx, t, n.connect(ctx, t))
	n.awaitEnd(ctx, t, 124)
	n.ready(ctx, t)
	if out := n.must(ctx, t, "get", "pods"); !regexp.MustCompile(`1/1 +Running +1 `).MatchString(out) {
		t.Errorf("after a restart:\n%s", out)
	}
	if out := n.must(ctx, t, "describe", "pods"); !regexp.MustCompile(`Exit Code: +124\n`).MatchString(out) {
		t.Errorf("kubectl describe does not show the status:\n%s", out)
	}
	if out := n.must(ctx, t, "logs", "--previous", "deployment/authserver"); !strings.Contains(out[strings.LastIndex(out, "\n")+1:], `"exited"`) {
		t.Errorf("the last line of the log is not the event exited:\n%s", out)
	}
}

// clusterWatch checks that with a shared PID namespace, whose PID 1 is the pause container, the watch logs the breach.
func clusterWatch(ctx context.Context, t *testing.T) {
	n := deployFile(ctx, t, "watch", "rendered/prefix.yaml", shared...)
	a := n.connect(ctx, t)
	wantArenas(t, a, 2)
	wantRestricted(t, n.pid(ctx, t, server), "authserver")
	if e, err := a.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Limit != 10<<20 {
		t.Errorf("%+v, %v", e, err)
	}
	n.stop(ctx, t, 0)
}

// clusterStart deletes pods whose server has no handler for SIGTERM. As PID 1 the server ignores it, and gets SIGKILL after the
// grace period; behind run --supervise it ends at once.
func clusterStart(ctx context.Context, t *testing.T) {
	for manifest, status := range map[string]int{"prefix.yaml": 137, "budget.yaml": 143} {
		n := deployFile(ctx, t, fmt.Sprint("start", status), filepath.Join("rendered", manifest),
			append(unhandled(), grace, strings.Replace(grace, "30", "2", 1))...)
		n.must(ctx, t, "wait", "pods", "--selector", server, "--timeout=60s", "--for=jsonpath={.status.containerStatuses[0].started}=true")
		if _, err := n.follow(ctx, t).AwaitText(ctx, "cap = "); err != nil { // tail runs
			t.Fatal(err)
		}
		n.stop(ctx, t, status)
	}
}

// clusterEndings checks the status of containers that end by themselves, and the last line of their log.
func clusterEndings(ctx context.Context, t *testing.T) {
	const started = "/arenacap/arenacap\n        - run\n"
	for _, c := range append(allEndings(),
		ending{"volume", "prefix.yaml", []string{started, "/nowhere/arenacap\n        - run\n"}, 128, ""}) {
		t.Run(c.name, func(t *testing.T) {
			n := deployFile(ctx, t, c.name, filepath.Join("rendered", c.manifest), c.edits...)
			n.awaitEnd(ctx, t, c.status)
			if out := n.must(ctx, t, "describe", "pods"); c.name == "volume" && !strings.Contains(out, "/nowhere/arenacap: no such file") || c.name == "oom" && !strings.Contains(out, "OOMKilled") {
				t.Errorf("kubectl describe does not say it:\n%s", out)
			}
			if c.last == "" {
				return
			}
			out := n.must(ctx, t, "logs", "deployment/authserver")
			if last := out[strings.LastIndex(out, "\n")+1:]; !strings.Contains(last, c.last) {
				t.Errorf("the log is\n%s\nwant %q in its last line", out, c.last)
			}
		})
	}
}

// clusterNewPolicy checks that kubectl apply with another policy replaces the pod.
func clusterNewPolicy(ctx context.Context, t *testing.T) {
	dir := lab.Dir(t)
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	overlay, policy := filepath.Join(dir, "overlays/prefix"), filepath.Join(dir, "components/prefix/policy.toml")
	n := deploy(ctx, t, "policy", "--kustomize", overlay)
	wantArenas(t, n.connect(ctx, t), 2)
	if err := os.WriteFile(policy, []byte("[arenas]\ncap = 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.replaced(ctx, t, "deployment/authserver", server, func() { n.must(ctx, t, "apply", "--kustomize", overlay) })
	wantArenas(t, n.connect(ctx, t), 3)
}

// clusterAdmission checks which pods get which cap by the files of the folder "cluster", except kyverno.yaml, one
// applied after the other.
func clusterAdmission(ctx context.Context, t *testing.T) {
	uncapped, err := lab.GlibcLimit(ctx, 64)
	if err != nil {
		t.Fatal(err)
	}
	label := func(value string) []string {
		return []string{"    metadata:\n      labels:\n", "    metadata:\n      labels:\n        arenacap/cap: \"" + value + "\"\n"}
	}
	for _, c := range []struct {
		file   string
		name   string // name of the namespace
		labels string // labels of the namespace
		edits  []string
		arenas int
	}{
		{"policy.yaml", "percore", "", label("per-core"), 2},
		{"", "number", "", label("4"), 4},
		{"", "allocatable", "", append(label("per-core"), "              cpu: 1500m\n", ""), runtime.NumCPU() - 1},
		{"", "unlabelled", "arenacap/cap=3", nil, uncapped},
		{"namespaces.yaml", "namespace", "arenacap/cap=3", nil, 3},
		{"all.yaml", "all", "team=other", nil, 2},
	} {
		n := newNamespace(ctx, t, c.name)
		if c.labels != "" {
			n.must(ctx, t, "label", "namespace", c.name, c.labels)
		}
		if c.file != "" {
			path := filepath.Join("cluster", c.file)
			n.must(ctx, t, "apply", "--filename", path)
			t.Cleanup(func() {
				if out, err := kubectl(context.Background(), "delete", "--filename", path); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
			n.awaitCap(ctx, t, len(c.edits) > 0)
		}
		t.Run(c.name, func(t *testing.T) {
			file, err := lab.Copy("base/deployment.yaml", lab.Dir(t), c.edits...)
			if err != nil {
				t.Fatal(err)
			}
			n.apply(ctx, t, "--filename", file)
			wantArenas(t, n.connect(ctx, t), c.arenas)
		})
		n.remove(t)
	}
	t.Run("wrong label", func(t *testing.T) { wrongLabel(ctx, t) })
}

// wrongLabel checks that the binding of namespaces.yaml refuses pods with a wrong label, and those of a namespace with one: the
// Deployment has no pod then, and kubectl shows why, until the label is corrected as README.md says.
func wrongLabel(ctx context.Context, t *testing.T) {
	const want = `no such key: arenacap/cap is "4x", want "per-core" or a number from 1 to 65535`
	out, err := kubectl(ctx, "run", "wrong", "--dry-run=server", "--image=authserver", "--labels=arenacap/cap=4x")
	if err == nil || !strings.Contains(out, "policy 'arenacap' with binding 'arenacap' denied request") || !strings.HasSuffix(out, want) {
		t.Errorf("a pod with a wrong label: %v, %s", err, out)
	}

	n := newNamespace(ctx, t, "wrong")
	n.must(ctx, t, "label", "namespace", string(n), "arenacap/cap=4x")
	n.must(ctx, t, "apply", "--filename", "base/deployment.yaml")
	n.must(ctx, t, "wait", "--for=condition=ReplicaFailure", "--timeout=60s", "deployment/authserver")
	if out := n.must(ctx, t, "describe", "replicasets"); !strings.Contains(out, want) {
		t.Errorf("kubectl describe does not show why the namespace has no pod:\n%s", out)
	}
	old := n.must(ctx, t, "get", "replicasets", "--output", "jsonpath={.items[0].metadata.labels.pod-template-hash}")
	n.must(ctx, t, "label", "--overwrite", "namespace", string(n), "arenacap/cap=3")
	n.must(ctx, t, "rollout", "restart", "deployment/authserver")
	n.ready(ctx, t)
	// The old ReplicaSet may have made a pod once the label was right.
	n.must(ctx, t, "wait", "--for=delete", "--timeout=90s", "pods", "--selector=pod-template-hash="+old)
	wantArenas(t, n.connect(ctx, t), 3)
}

// awaitCap waits until the API server uses the policy, which takes some time after kubectl apply: a pod, with or
// without the label, then gets the variables.
func (n namespace) awaitCap(ctx context.Context, t *testing.T, labelled bool) {
	t.Helper()
	probe := []string{"run", "probe", "--dry-run=server", "--image=authserver", "--output=jsonpath={.spec.containers[0].env[*].name}"}
	if labelled {
		probe = append(probe, "--labels=arenacap/cap=4")
	}
	for n.must(ctx, t, probe...) != "MALLOC_ARENA_MAX MALLOC_ARENA_TEST" {
	}
}

// clusterExporter checks that the DaemonSet's pod sees a server in another pod, and that it needs to be root for that.
func clusterExporter(ctx context.Context, t *testing.T) {
	auth := deploy(ctx, t, "exporter", "--kustomize", "overlays/variable")
	wantArenas(t, auth.connect(ctx, t), 2)
	const n, label, controller = namespace("arenacap"), "app=arenacap", "daemonset/arenacap-exporter"
	t.Cleanup(func() { n.remove(t) })
	n.must(ctx, t, "apply", "--kustomize", "overlays/exporter")
	n.must(ctx, t, "rollout", "status", "--timeout=90s", controller)
	wantSeries(t, n.scrape(ctx, t, label), `arenacap_processes{group="auth"} 1`, `arenacap_arenas{group="auth"} 2`, `arenacap_cap{group="auth"} 2`)
	n.wantStatus(ctx, t, label, "Uid:\t0\t0\t0\t0\n", "CapEff:\t0000000000080004\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n")
	pid := fmt.Sprint(auth.pid(ctx, t, server)) // .ci/cluster starts the cluster in the PID namespace of this test
	if out := n.must(ctx, t, "exec", controller, "--", "/arenacap", "inspect", pid); !strings.Contains(out, "cap     2 (environment): kept") ||
		!strings.HasSuffix(out, "\npod     "+auth.get(ctx, t, server, ".metadata.uid")) {
		t.Errorf("inspect beside the exporter:\n%s", out)
	}

	file, err := lab.Copy("rendered/exporter.yaml", lab.Dir(t), "runAsUser: 0", "runAsUser: 65532")
	if err != nil {
		t.Fatal(err)
	}
	n.replaced(ctx, t, controller, label, func() { n.must(ctx, t, "apply", "--filename", file) })
	if series := n.scrape(ctx, t, label); strings.Contains(series, `group="auth"`) || strings.Contains(series, "\narenacap_unreadable_processes 0\n") {
		t.Errorf("without root:\n%s", series)
	}
	n.wantStatus(ctx, t, label, "Uid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n")
}

// wantStatus checks lines of /proc/PID/status of the first process in the pod's container.
func (n namespace) wantStatus(ctx context.Context, t *testing.T, label string, lines ...string) {
	t.Helper()
	status := lab.ProcFile(t, n.pid(ctx, t, label), "status")
	for _, want := range lines {
		if !strings.Contains(status, want) {
			t.Errorf("the status has no %q:\n%s", want, status)
		}
	}
}

// scrape returns the answer of the exporter's pod.
func (n namespace) scrape(ctx context.Context, t *testing.T, label string) string {
	t.Helper()
	url := "http://" + n.get(ctx, t, label, ".status.podIP") + ":10664/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", answer.Status, err)
	}
	return string(text)
}
