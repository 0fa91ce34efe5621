// Package admission evaluates the admission policy of examples/kubernetes with the API server's own plugin, and checks the
// manifests. It is a module of its own, so that the product does not depend on Kubernetes.
package admission

import (
	"context"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/api/core/v1"
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
	for _, name := range []string{"default", "kube-system"} {
		objects = append(objects, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelMetadataName: name}}})
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

// policy reads the policy and its binding.
func policy(t *testing.T) []runtime.Object {
	t.Helper()
	objects := decode(t, "cluster/policy.yaml")
	if len(objects) != 2 {
		t.Fatalf("%d objects", len(objects))
	}
	_, isPolicy := objects[0].(*admissionv1.MutatingAdmissionPolicy)
	_, isBinding := objects[1].(*admissionv1.MutatingAdmissionPolicyBinding)
	if !isPolicy || !isBinding {
		t.Fatalf("%T, %T", objects[0], objects[1])
	}
	return objects
}

// newAdmit admits pods with the policy of the example.
func newAdmit(t *testing.T) admitFunc {
	t.Helper()
	p := plugin(t, policy(t)...)
	return func(ctx context.Context, pod *v1.Pod, old runtime.Object, operation admission.Operation, subresource string) ([][]v1.EnvVar, error) {
		attributes := admission.NewAttributesRecord(pod, old, v1.SchemeGroupVersion.WithKind("Pod"), pod.Namespace, pod.Name,
			v1.SchemeGroupVersion.WithResource("pods"), subresource, operation, nil, false, nil)
		err := p.Admit(ctx, attributes, admission.NewObjectInterfacesFromScheme(scheme.Scheme))
		return variables(pod), err
	}
}
