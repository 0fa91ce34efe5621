package admission

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const example = "../../examples/kubernetes"

// decode reads the objects of a manifest of the example. An unknown field or type is an error.
func decode(t *testing.T, file string) (objects []runtime.Object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(example, file))
	if err != nil {
		t.Fatal(err)
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		object, _, err := strict.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
	return objects
}

// TestKyverno: Kyverno's MutatingPolicy has the spec of the policy that TestPolicy evaluates, and of its own fields only
// autogen (kyverno/kyverno, api/policies.kyverno.io/v1, MutatingPolicySpec).
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
	want := policy(t)[0].(*admissionv1.MutatingAdmissionPolicy).Spec
	if !reflect.DeepEqual(kyverno.Spec.MutatingAdmissionPolicySpec, want) {
		t.Errorf("%+v, want %+v", kyverno.Spec.MutatingAdmissionPolicySpec, want)
	}
}

// TestManifests decodes every manifest except Kyverno's, whose types are not Kubernetes' own.
func TestManifests(t *testing.T) {
	files := []string{"../container/deployment.yaml", "base/deployment.yaml", "cluster/policy.yaml"}
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
