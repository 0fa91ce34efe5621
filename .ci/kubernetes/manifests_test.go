package admission

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	psa "k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const example = "../../examples/kubernetes"

// strict decodes Kubernetes' own types and those of the Prometheus operator; an unknown field is an error.
var strict = json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})

func init() { utilruntime.Must(monitoring.AddToScheme(scheme.Scheme)) }

// decode reads the objects of a manifest of the example. An unknown field or type is an error.
func decode(t *testing.T, file string) (objects []runtime.Object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(example, file))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		object, _, err := strict.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
	return objects
}

// TestKyverno: the spec of Kyverno's MutatingPolicy equals the spec of the policy that TestPolicy evaluates, with the
// selector from that policy's binding. The spec has one more field, autogen, which only Kyverno has (kyverno/kyverno,
// api/policies.kyverno.io/v1, MutatingPolicySpec).
func TestKyverno(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(example, "cluster/kyverno.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kyverno struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			admissionv1.MutatingAdmissionPolicySpec `json:",inline"`
			Autogen                                 struct {
				PodControllers struct {
					Controllers []string `json:"controllers"`
				} `json:"podControllers"`
			} `json:"autogen"`
		} `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(text, &kyverno); err != nil {
		t.Fatal(err)
	}
	if kyverno.APIVersion != "policies.kyverno.io/v1" || kyverno.Kind != "MutatingPolicy" || kyverno.Spec.Autogen.PodControllers.Controllers == nil {
		t.Errorf("%+v, %+v", kyverno.TypeMeta, kyverno.Spec.Autogen)
	}
	policy, binding := policy(t, labelled)
	want := policy.Spec
	want.MatchConstraints.ObjectSelector = binding.Spec.MatchResources.ObjectSelector
	if !reflect.DeepEqual(kyverno.Spec.MutatingAdmissionPolicySpec, want) {
		t.Errorf("%+v, want %+v", kyverno.Spec.MutatingAdmissionPolicySpec, want)
	}
}

// TestManifests decodes every manifest except Kyverno's, whose types are not Kubernetes' own. It decodes the manifests
// of the components as parts of rendered/*.yaml.
func TestManifests(t *testing.T) {
	files := []string{"../container/deployment.yaml", "base/deployment.yaml", "cluster/policy.yaml", "cluster/namespaces.yaml", "cluster/all.yaml"}
	rendered, err := filepath.Glob(filepath.Join(example, "rendered", "*.yaml"))
	if err != nil || len(rendered) == 0 {
		t.Fatal(rendered, err)
	}
	for _, path := range rendered {
		files = append(files, filepath.Join("rendered", filepath.Base(path)))
	}
	for _, file := range files {
		if len(decode(t, file)) == 0 {
			t.Errorf("%s has no object", file)
		}
	}
}

// TestSecurity: Pod Security admission accepts the pods of every overlay except monitor, whose pods are those of
// exporter: the server's pods on the strictest level, restricted, and the exporter's pods on the level of their namespace.
// The next stricter level, baseline, does not accept the exporter's pods.
func TestSecurity(t *testing.T) {
	checks, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	accepts := func(level psa.Level, pod v1.PodTemplateSpec) bool {
		results := checks.EvaluatePod(psa.LevelVersion{Level: level, Version: psa.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
		return !slices.ContainsFunc(results, func(r security.CheckResult) bool { return !r.Allowed })
	}
	for _, name := range []string{"variable", "variable-fixed", "prefix", "budget", "image-volume"} {
		objects := decode(t, "rendered/"+name+".yaml")
		if !accepts(psa.LevelRestricted, find[appsv1.Deployment](t, objects).Spec.Template) {
			t.Errorf("%s: not accepted as restricted", name)
		}
	}
	objects := decode(t, "rendered/exporter.yaml")
	level := find[v1.Namespace](t, objects).Labels[psa.EnforceLevelLabel]
	pod := find[appsv1.DaemonSet](t, objects).Spec.Template
	if !accepts(psa.Level(level), pod) || accepts(psa.LevelBaseline, pod) {
		t.Errorf("the exporter's namespace has the level %q", level)
	}
}

// find returns the first object of a type.
func find[T any](t *testing.T, objects []runtime.Object) *T {
	t.Helper()
	for _, object := range objects {
		if found, ok := any(object).(*T); ok {
			return found
		}
	}
	t.Fatalf("no %T", *new(T))
	return nil
}

// TestMonitor: the PodMonitor selects the exporter's pods and their port, and gives the pods' series the label
// job="arenacap", which the rules expect.
func TestMonitor(t *testing.T) {
	objects := decode(t, "rendered/monitor.yaml")
	daemons, monitor := find[appsv1.DaemonSet](t, objects), find[monitoring.PodMonitor](t, objects)
	pod := daemons.Spec.Template
	for _, selector := range []*metav1.LabelSelector{daemons.Spec.Selector, &monitor.Spec.Selector} {
		selects, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || selects.Empty() || !selects.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%v does not select %v: %v", selector, pod.Labels, err)
		}
	}
	port := *monitor.Spec.PodMetricsEndpoints[0].Port
	if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p v1.ContainerPort) bool { return p.Name == port }) {
		t.Errorf("no port %q", port)
	}
	if job := pod.Labels[monitor.Spec.JobLabel]; job != "arenacap" {
		t.Errorf("job %q", job)
	}
	for _, rule := range find[monitoring.PrometheusRule](t, objects).Spec.Groups[0].Rules {
		if rule.Alert == "ArenacapWatchGone" {
			t.Error("no watch runs on a node, so its alert would fire")
		}
	}
}

// TestRendered compares rendered/NAME.yaml with what Kustomize makes of overlays/NAME. UPDATE=1 writes these files.
func TestRendered(t *testing.T) {
	overlays, err := filepath.Glob(filepath.Join(example, "overlays", "*"))
	if err != nil || len(overlays) == 0 {
		t.Fatal(overlays, err)
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // as kubectl does
	for _, overlay := range overlays {
		resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), overlay)
		if err != nil {
			t.Fatal(err)
		}
		want, err := resources.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(example, "rendered", filepath.Base(overlay)+".yaml")
		if os.Getenv("UPDATE") == "1" {
			err = os.WriteFile(path, want, 0o644)
		}
		got, e := os.ReadFile(path)
		if err != nil || e != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what Kustomize makes of %s: %v, %v; UPDATE=1 go test writes it", path, overlay, err, e)
		}
	}
}
