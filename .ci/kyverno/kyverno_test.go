// Package admission evaluates Kyverno's policy of examples/kubernetes with Kyverno's own engine, on the pods of
// ../kubernetes. It is a module of its own, because Kyverno needs another version of Kubernetes, and takes long to compile.
package admission

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	kyverno "github.com/kyverno/api/api/policies.kyverno.io/v1"
	"github.com/kyverno/api/api/policies.kyverno.io/v1beta1"
	"github.com/kyverno/kyverno/pkg/cel/engine"
	"github.com/kyverno/kyverno/pkg/cel/libs"
	"github.com/kyverno/kyverno/pkg/cel/matching"
	"github.com/kyverno/kyverno/pkg/cel/policies/mpol/compiler"
	mpol "github.com/kyverno/kyverno/pkg/cel/policies/mpol/engine"
	kyvernoapi "github.com/kyverno/kyverno/pkg/engine/api"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/openapi/openapitest"
	"sigs.k8s.io/yaml"
)

// newAdmit returns a function that admits pods as Kyverno does under the policy in kyverno.yaml. newAdmit decodes this file
// strictly. For pods that are selected in another way than by their label, it changes the selectors as a comment in the file
// describes.
func newAdmit(t *testing.T, which selection) admitFunc {
	t.Helper()
	text, err := os.ReadFile("../../examples/kubernetes/cluster/kyverno.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var policy kyverno.MutatingPolicy
	if err := yaml.UnmarshalStrict(text, &policy); err != nil {
		t.Fatal(err)
	}
	if match := policy.Spec.MatchConstraints; which != labelled {
		if which == namespaces {
			match.NamespaceSelector.MatchExpressions = append(match.NamespaceSelector.MatchExpressions, match.ObjectSelector.MatchExpressions...)
		}
		match.ObjectSelector = nil
	}
	known := libs.NewFakeContextProvider()
	policies := []v1beta1.MutatingPolicyLike{&v1beta1.MutatingPolicy{ObjectMeta: policy.ObjectMeta, Spec: policy.Spec}} // the spec of both versions is one type
	provider, err := mpol.NewProvider(compiler.NewCompiler(), policies, nil, known)
	if err != nil {
		t.Fatal(err)
	}
	types := compiler.NewStaticTypeConverterManager(openapitest.NewEmbeddedFileClient())
	kyverno := mpol.NewEngine(provider, namespaceOf, matching.NewMatcher(), types, known)
	return func(ctx context.Context, pod *v1.Pod, old runtime.Object, operation admission.Operation, subresource string) ([][]v1.EnvVar, error) {
		request, err := requestFor(known, pod, old, operation, subresource)
		if err != nil {
			return nil, err
		}
		response, err := kyverno.Handle(ctx, request, nil)
		if err == nil {
			err = failures(response)
		}
		if err == nil && response.PatchedResource != nil {
			*pod = v1.Pod{}
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(response.PatchedResource.Object, pod)
		}
		return variables(pod), err
	}
}

// requestFor is the request that the API server sends to Kyverno's webhook.
func requestFor(known libs.Context, pod *v1.Pod, old runtime.Object, operation admission.Operation, subresource string) (engine.EngineRequest, error) {
	raw := func(object runtime.Object) (runtime.Object, error) {
		if object == nil {
			return nil, nil
		}
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{Object: fields}
		u.SetGroupVersionKind(v1.SchemeGroupVersion.WithKind("Pod"))
		return u, nil
	}
	fields, err := raw(pod)
	if err != nil {
		return engine.EngineRequest{}, err
	}
	before, err := raw(old)
	return engine.Request(known, v1.SchemeGroupVersion.WithKind("Pod"), v1.SchemeGroupVersion.WithResource("pods"), subresource,
		pod.Name, pod.Namespace, admissionv1.Operation(operation), authenticationv1.UserInfo{}, fields, before, false, nil), err
}

// failures joins the errors of rules: with failurePolicy Fail the webhook refuses the pod and names the policy.
func failures(response mpol.EngineResponse) (err error) {
	for _, policy := range response.Policies {
		for _, rule := range policy.Rules {
			if rule.Status() == kyvernoapi.RuleStatusError {
				err = errors.Join(err, fmt.Errorf("%s: %s", policy.Policy.GetName(), rule.Message()))
			}
		}
	}
	return err
}
