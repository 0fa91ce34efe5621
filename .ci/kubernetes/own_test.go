package admission

// These tests apply the components to a Deployment that is not the example's.

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// own is a Deployment that already has everything that the components change: variables, an init container, volumes and
// containers. The server is the second of two containers. The volume "policy" has the name of a volume of the components.
const own = `apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      initContainers:
        - {name: migrate, image: migrate, env: [{name: DB, value: shop}], volumeMounts: [{name: policy, mountPath: /policy}]}
      containers:
        - {name: proxy, image: proxy, command: [/proxy], env: [{name: PORT, value: "80"}]}
        - name: server
          image: server
          command: [/srv/shop]
          args: [--all]
          env:
            - {name: LANG, value: C.UTF-8}
            - {name: MALLOC_ARENA_MAX, value: "64"}
          volumeMounts: [{name: policy, mountPath: /etc/shop}, {name: data, mountPath: /data}]
      volumes:
        - {name: data, emptyDir: {}}
        - {name: policy, configMap: {name: shop}}
`

// TestOwnDeployment does what README.md of the example describes: with its commands and its kustomization.yaml, it
// applies components to the Deployment in the constant "own", and to a StatefulSet. The result still has the variables
// (except the cap), the mounts, the volumes and the other containers of "own".
func TestOwnDeployment(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(example, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := block(t, string(page), "```sh\ncp -r arenacap/examples/kubernetes/components/")
	kustomization := block(t, string(page), "```yaml\nresources:\n  - deployment.yaml")
	_, toStatefulSet, _ := strings.Cut(string(page), "- **A StatefulSet or DaemonSet**: `")
	toStatefulSet, _, _ = strings.Cut(toStatefulSet, "`")
	run := []string{"/arenacap/arenacap", "run", "--policy", "/etc/arenacap/policy.toml", "--", "/srv/shop"}
	for _, c := range []struct {
		components string
		edit       string // one more command
		kind       string
		command    []string
		value      string   // value of MALLOC_ARENA_MAX in the server's env; "" if env has valueFrom instead
		added      []string // names of the added init containers
	}{
		{"variable", "", "Deployment", []string{"/srv/shop"}, "", nil},
		{"variable-fixed", "", "Deployment", []string{"/srv/shop"}, "4", nil},
		{"prefix", "", "Deployment", run, "64", []string{"arenacap"}},
		{"prefix budget", "", "Deployment", run, "64", []string{"arenacap"}},
		{"prefix image-volume", "", "Deployment", run, "64", nil},
		{"prefix budget", toStatefulSet, "StatefulSet", run, "64", []string{"arenacap"}},
		{"prefix image-volume", toStatefulSet, "StatefulSet", run, "64", nil},
	} {
		t.Run(c.components+" "+c.kind, func(t *testing.T) {
			dir := t.TempDir()
			names := strings.Fields(c.components)
			// The commands of README.md are for the components "prefix" and "budget". Replace these names by the
			// components of this case.
			script := strings.NewReplacer("{prefix,budget}", "{"+strings.Join(append(names, names[0]), ",")+"}", "prefix/", names[0]+"/",
				"CONTAINER", "server", "SERVER", "/srv/shop").Replace(commands) + "\n" + c.edit
			own := strings.Replace(own, "kind: Deployment", "kind: "+c.kind, 1)
			list := strings.Replace(kustomization, "  - prefix\n  - budget\n", "  - "+strings.Join(names, "\n  - ")+"\n", 1)
			shell := exec.Command("bash", "-ec", `ln -s "$1" arenacap; eval "$2"; echo "$3" >kustomization.yaml; echo "$4" >deployment.yaml`,
				"bash", absolute(t, "../.."), script, list, own)
			shell.Dir = dir
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			before, after := template(t, []byte(own)), built(t, dir, c.kind)
			wantKept(t, before, after)
			server := after.Containers[slices.IndexFunc(after.Containers, func(c v1.Container) bool { return c.Name == "server" })]
			if !slices.Equal(server.Command, c.command) || !slices.Equal(server.Args, []string{"--all"}) {
				t.Errorf("%q, %q", server.Command, server.Args)
			}
			limit := server.Env[slices.IndexFunc(server.Env, func(e v1.EnvVar) bool { return e.Name == "MALLOC_ARENA_MAX" })]
			if limit.Value != c.value || (limit.ValueFrom == nil) != (c.value != "") {
				t.Errorf("%+v", limit)
			}
			var added []string
			for _, init := range after.InitContainers {
				if init.Name != "migrate" {
					added = append(added, init.Name)
					if init.Image != "REGISTRY/arenacap:TAG" {
						t.Error(init.Image)
					}
				}
			}
			if !slices.Equal(added, c.added) {
				t.Errorf("init containers %q, want %q", added, c.added)
			}
			for _, volume := range after.Volumes {
				if volume.Image != nil && (volume.Image.Reference != "REGISTRY/arenacap:TAG" || volume.EmptyDir != nil) {
					t.Errorf("%+v", volume)
				}
			}
		})
	}
}

// wantKept: every container keeps its variables and mounts, except the cap; a container other than the server is unchanged;
// only init containers are added; every volume is kept.
func wantKept(t *testing.T, before, after v1.PodSpec) {
	t.Helper()
	if len(after.Containers) != len(before.Containers) {
		t.Errorf("%d containers", len(after.Containers))
	}
	for _, had := range slices.Concat(before.InitContainers, before.Containers) {
		all := slices.Concat(after.InitContainers, after.Containers)
		i := slices.IndexFunc(all, func(c v1.Container) bool { return c.Name == had.Name })
		switch {
		case i < 0:
			t.Errorf("no container %q", had.Name)
		case had.Name != "server" && !equality.Semantic.DeepEqual(all[i], had):
			t.Errorf("%+v, want %+v", all[i], had)
		default:
			wantAll(t, all[i].Env, slices.DeleteFunc(had.Env, func(e v1.EnvVar) bool { return e.Name == "MALLOC_ARENA_MAX" }))
			wantAll(t, all[i].VolumeMounts, had.VolumeMounts)
		}
	}
	wantAll(t, after.Volumes, before.Volumes)
}

func wantAll[T any](t *testing.T, got, want []T) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g T) bool { return equality.Semantic.DeepEqual(g, w) }) {
			t.Errorf("no %+v in %+v", w, got)
		}
	}
}

// block finds the code block of a Markdown page that begins with the given text, a fence included, and returns the
// lines between the fences.
func block(t *testing.T, page, begin string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, begin)
	text, _, _ := strings.Cut(rest, "\n```")
	if !found {
		t.Fatalf("the page has no block that begins with %q", begin)
	}
	_, first, _ := strings.Cut(begin, "\n")
	return first + text
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// built is the pod of the first Deployment or StatefulSet, as the parameter "kind" says, that Kustomize makes of a
// folder.
func built(t *testing.T, dir, kind string) v1.PodSpec {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources.Resources() {
		if r.GetKind() == kind {
			return template(t, []byte(r.MustYaml()))
		}
	}
	t.Fatal("no ", kind)
	return v1.PodSpec{}
}

// template is the pod of a Deployment or StatefulSet.
func template(t *testing.T, text []byte) v1.PodSpec {
	t.Helper()
	object, err := runtime.Decode(strict, text)
	if err != nil {
		t.Fatal(err)
	}
	if set, ok := object.(*appsv1.StatefulSet); ok {
		return set.Spec.Template.Spec
	}
	return object.(*appsv1.Deployment).Spec.Template.Spec
}
