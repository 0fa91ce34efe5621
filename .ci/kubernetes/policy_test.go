package admission

// These tests run with the API server's plugin and with Kyverno's engine, and expect the same results from both. The
// module .ci/kyverno has a symbolic link to this file. The modules .ci/kubernetes and .ci/kyverno each define their own
// newAdmit.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
)

// selection is which pods the policy caps. No selection includes pods of kube-system or Windows pods.
type selection int

const (
	labelled   selection = iota // the pods that have the label arenacap/cap
	namespaces                  // all pods of each namespace that has the label arenacap/cap
	all                         // all pods
)

// namespaceOf is a namespace as the API server has it. Only the namespace "capped" has the label arenacap/cap.
func namespaceOf(name string) *v1.Namespace {
	labels := map[string]string{v1.LabelMetadataName: name}
	if name == "capped" {
		labels["arenacap/cap"] = "4"
	}
	return &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// admitFunc passes a pod to the admission policy, which may change the pod or reject it with an error. It returns the
// variables of the pod's containers.
type admitFunc func(ctx context.Context, pod *v1.Pod, old runtime.Object, operation admission.Operation, subresource string) ([][]v1.EnvVar, error)

// variables returns the environment variables of each container of a pod, the init containers first.
func variables(pod *v1.Pod) (all [][]v1.EnvVar) {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		all = append(all, c.Env)
	}
	return all
}

// podOf is a pod with an init container and two containers: "plain" without variables, and "server" with the variables
// env. The pod's label arenacap/cap has the value in the parameter "label"; with "" the pod has no label.
func podOf(label string, env ...v1.EnvVar) *v1.Pod {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: "default"},
		Spec: v1.PodSpec{
			InitContainers: []v1.Container{{Name: "setup", Image: "setup"}},
			Containers:     []v1.Container{{Name: "plain", Image: "plain"}, {Name: "server", Image: "server", Env: env}},
		},
	}
	if label != "" {
		pod.Labels = map[string]string{"arenacap/cap": label}
	}
	return pod
}

func value(name, text string) v1.EnvVar { return v1.EnvVar{Name: name, Value: text} }

// capped are the variables that the policy sets.
func capped(max, test string) []v1.EnvVar {
	return []v1.EnvVar{value("MALLOC_ARENA_MAX", max), value("MALLOC_ARENA_TEST", test)}
}

func perCore() []v1.EnvVar {
	from := &v1.EnvVarSource{ResourceFieldRef: &v1.ResourceFieldSelector{Resource: "limits.cpu"}}
	return []v1.EnvVar{{Name: "MALLOC_ARENA_MAX", ValueFrom: from}, value("MALLOC_ARENA_TEST", "1")}
}

func TestPolicy(t *testing.T) {
	admit := newAdmit(t, labelled)
	own := value("OWN", "1")
	tunables := value("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=3")
	for _, c := range []struct {
		name string
		pod  *v1.Pod
		want [3][]v1.EnvVar // the variables of three containers: "setup", "plain" and "server"
	}{
		{"per core", podOf("per-core"), [3][]v1.EnvVar{perCore(), perCore(), perCore()}},
		{"a number", podOf("4"), [3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), capped("4", "3")}},
		{"the least", podOf("1"), [3][]v1.EnvVar{capped("1", "1"), capped("1", "1"), capped("1", "1")}},
		{"the largest", podOf("65535"), [3][]v1.EnvVar{capped("65535", "65534"), capped("65535", "65534"), capped("65535", "65534")}},
		{"1 and 2 have the least test", podOf("2"), [3][]v1.EnvVar{capped("2", "1"), capped("2", "1"), capped("2", "1")}},
		{"other variables stay", podOf("4", own), [3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), append(capped("4", "3"), own)}},
		{"one that is there stays", podOf("4", own, value("MALLOC_ARENA_MAX", "9")), [3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), {own, value("MALLOC_ARENA_MAX", "9")}}},
		{"a cap in GLIBC_TUNABLES stays", podOf("4", tunables), [3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), {tunables}}},
		{"other tunables", podOf("4", value("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")),
			[3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), append(capped("4", "3"), value("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0"))}},
		{"tunables from elsewhere", podOf("4", v1.EnvVar{Name: "GLIBC_TUNABLES", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.name"}}}),
			[3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), append(capped("4", "3"), v1.EnvVar{Name: "GLIBC_TUNABLES", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.name"}}})}},
		{"a test of its own is the last, which counts", podOf("4", value("MALLOC_ARENA_TEST", "2")),
			[3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), append(capped("4", "3"), value("MALLOC_ARENA_TEST", "2"))}},
		{"no label", podOf(""), [3][]v1.EnvVar{}},
		{"a Windows pod", windows(podOf("4")), [3][]v1.EnvVar{}},
		{"a Linux pod", linux(podOf("4")), [3][]v1.EnvVar{capped("4", "3"), capped("4", "3"), capped("4", "3")}},
		{"a namespace that is left out", within(podOf("4"), "kube-system"), [3][]v1.EnvVar{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, when := range []string{"once", "again"} {
				got, err := admit(t.Context(), c.pod, nil, admission.Create, "")
				if err != nil || !equality.Semantic.DeepEqual(got, c.want[:]) {
					t.Errorf("%s: %v\n got %v\nwant %v", when, err, got, c.want)
				}
			}
		})
	}
}

func windows(pod *v1.Pod) *v1.Pod { pod.Spec.OS = &v1.PodOS{Name: v1.Windows}; return pod }
func linux(pod *v1.Pod) *v1.Pod   { pod.Spec.OS = &v1.PodOS{Name: v1.Linux}; return pod }

func within(pod *v1.Pod, namespace string) *v1.Pod { pod.Namespace = namespace; return pod }

// TestPolicySelections checks which pods each selection caps. A pod's label wins over that of its namespace.
func TestPolicySelections(t *testing.T) {
	for _, c := range []struct {
		name  string
		which selection
		pod   *v1.Pod
		want  []v1.EnvVar // variables of each container
	}{
		{"labelled: the namespace's label does not select", labelled, within(podOf(""), "capped"), nil},
		{"namespaces: without a label of its own", namespaces, within(podOf(""), "capped"), capped("4", "3")},
		{"namespaces: the pod's label wins", namespaces, within(podOf("per-core"), "capped"), perCore()},
		{"namespaces: another namespace", namespaces, podOf("2"), nil},
		{"all: without a label", all, podOf(""), perCore()},
		{"all: the namespace's label", all, within(podOf(""), "capped"), capped("4", "3")},
		{"all: the pod's label", all, within(podOf("2"), "capped"), capped("2", "1")},
		{"all: a namespace that is left out", all, within(podOf("2"), "kube-system"), nil},
		{"all: a Windows pod", all, windows(podOf("")), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := newAdmit(t, c.which)(t.Context(), c.pod, nil, admission.Create, "")
			if err != nil || !equality.Semantic.DeepEqual(got, [][]v1.EnvVar{c.want, c.want, c.want}) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestPolicyWithoutInitContainers(t *testing.T) {
	pod := podOf("3")
	pod.Spec.InitContainers = nil
	got, err := newAdmit(t, labelled)(t.Context(), pod, nil, admission.Create, "")
	if err != nil || !equality.Semantic.DeepEqual(got, [][]v1.EnvVar{capped("3", "2"), capped("3", "2")}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestPolicyRefuses checks that the policy rejects a pod whose label is not a valid cap. The message names the policy,
// the label, its value and the values that are valid.
func TestPolicyRefuses(t *testing.T) {
	admit := newAdmit(t, labelled)
	for _, label := range []string{"percore", "4x", "-1", "1.5", "0", "00", "04", "65536", "99999999999", "99999999999999999999"} {
		_, err := admit(t.Context(), podOf(label), nil, admission.Create, "")
		want := fmt.Sprintf(`arenacap/cap is "%s", want "per-core" or a number from 1 to 65535`, label)
		if err == nil || !strings.Contains(strings.Replace(err.Error(), want, "", 1), "arenacap") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", label, err)
		}
	}
}

// TestPolicyLeavesUpdates: the policy changes pods only when they are created, because the API server refuses an update
// that changes the environment of a container.
func TestPolicyLeavesUpdates(t *testing.T) {
	admit := newAdmit(t, labelled)
	for _, subresource := range []string{"", "status", "ephemeralcontainers", "resize"} {
		got, err := admit(t.Context(), podOf("4"), podOf("4"), admission.Update, subresource)
		if err != nil || !equality.Semantic.DeepEqual(got, [][]v1.EnvVar{nil, nil, nil}) {
			t.Errorf("%q: %v, %v", subresource, got, err)
		}
	}
}
