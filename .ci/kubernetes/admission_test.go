// Package admission evaluates the admission policy of examples/kubernetes with the API server's own plugin, and checks
// the manifests. It is a module of its own, so that the product does not depend on Kubernetes. The go.mod also lists,
// as tools, the programs that .ci/cluster runs: in one module, these programs and this test share most compiled
// packages.
package admission

import (
	"cmp"
	"context"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/discovery"
	dynamic "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
)

// cluster is a client whose server publishes the schemas of Kubernetes.
type cluster struct{ kubernetes.Interface }

func (c cluster) Discovery() discovery.DiscoveryInterfaces { return schemas{c.Interface.Discovery()} }

type schemas struct{ discovery.DiscoveryInterfaces }

func (schemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

// plugin is the plugin MutatingAdmissionPolicy of a cluster that has these objects.
func plugin(t *testing.T, objects ...runtime.Object) *mutating.Plugin {
	t.Helper()
	for _, name := range []string{"default", "capped", "kube-system"} {
		objects = append(objects, namespaceOf(name))
	}
	p, err := mutating.NewPlugin(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	p.SetEnabled(true)
	p.SetExternalKubeClientSet(cluster{client})
	p.SetExternalKubeInformerFactory(factory)
	p.SetDynamicClient(dynamic.NewSimpleDynamicClient(scheme.Scheme))
	p.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	p.SetUnconditionalAuthorizer(authorizerfactory.NewAlwaysAllowAuthorizer())
	p.SetDrainedNotification(t.Context().Done())
	if err := p.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	return p
}

// bindings names the file of each binding. The file of the policy also contains the binding for the labelled pods.
var bindings = map[selection]string{labelled: "cluster/policy.yaml", namespaces: "cluster/namespaces.yaml", all: "cluster/all.yaml"}

// policy reads the policy and the binding for the selection that the argument names. Where a selector is missing, it adds an
// empty one, which matches everything, as the API server does.
func policy(t *testing.T, which selection) (*admissionv1.MutatingAdmissionPolicy, *admissionv1.MutatingAdmissionPolicyBinding) {
	t.Helper()
	policy := find[admissionv1.MutatingAdmissionPolicy](t, decode(t, "cluster/policy.yaml"))
	binding := find[admissionv1.MutatingAdmissionPolicyBinding](t, decode(t, bindings[which]))
	selected := cmp.Or(binding.Spec.MatchResources, &admissionv1.MatchResources{}) // absent for all pods
	for _, selector := range []**metav1.LabelSelector{&policy.Spec.MatchConstraints.NamespaceSelector, &policy.Spec.MatchConstraints.ObjectSelector,
		&selected.NamespaceSelector, &selected.ObjectSelector} {
		if *selector == nil {
			*selector = &metav1.LabelSelector{}
		}
	}
	return policy, binding
}

// newAdmit returns a function that admits pods with the policy of the example and the binding for this selection.
func newAdmit(t *testing.T, which selection) admitFunc {
	t.Helper()
	policy, binding := policy(t, which)
	return admitWith(plugin(t, policy, binding))
}

// TestBindingsTogether: a pod that several bindings select is changed once.
func TestBindingsTogether(t *testing.T) {
	labels, one := policy(t, labelled)
	_, two := policy(t, namespaces)
	_, three := policy(t, all)
	got, err := admitWith(plugin(t, labels, one, two, three))(t.Context(), within(podOf("2"), "capped"), nil, admission.Create, "")
	if err != nil || !equality.Semantic.DeepEqual(got, [][]v1.EnvVar{capped("2", "1"), capped("2", "1"), capped("2", "1")}) {
		t.Errorf("%v, %v", got, err)
	}
}

func admitWith(p *mutating.Plugin) admitFunc {
	return func(ctx context.Context, pod *v1.Pod, old runtime.Object, operation admission.Operation, subresource string) ([][]v1.EnvVar, error) {
		attributes := admission.NewAttributesRecord(pod, old, v1.SchemeGroupVersion.WithKind("Pod"), pod.Namespace, pod.Name,
			v1.SchemeGroupVersion.WithResource("pods"), subresource, operation, nil, false, nil)
		err := p.Admit(ctx, attributes, admission.NewObjectInterfacesFromScheme(scheme.Scheme))
		return variables(pod), err
	}
}
