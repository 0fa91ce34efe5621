package container_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// object is one document of the manifest. Fields are spelt as in the Kubernetes API (v1, apps/v1); any other field is an
// error.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string
	Metadata   metadata
	Data       map[string]string
	Spec       struct {
		Replicas int
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		}
		Template struct {
			Metadata metadata
			Spec     podSpec
		}
	}
}

type metadata struct {
	Name   string
	Labels map[string]string
}

type podSpec struct {
	Grace    int             `json:"terminationGracePeriodSeconds"`
	Security securityContext `json:"securityContext"`

	Containers []struct {
		Name, Image    string
		PullPolicy     string `json:"imagePullPolicy"`
		Command, Args  []string
		Resources      struct{ Requests, Limits map[string]string }
		Security       securityContext `json:"securityContext"`
		ReadinessProbe struct {
			Exec struct{ Command []string }
		} `json:"readinessProbe"`
		VolumeMounts []struct {
			Name, SubPath, MountPath string
			ReadOnly                 bool
		} `json:"volumeMounts"`
	}
	Volumes []volume
}

type volume struct {
	Name      string
	ConfigMap *struct{ Name string }   `json:"configMap"`
	EmptyDir  *struct{ Medium string } `json:"emptyDir"`
}

type securityContext struct {
	RunAsNonRoot             bool                    `json:"runAsNonRoot"`
	RunAsUser                int                     `json:"runAsUser"`
	RunAsGroup               int                     `json:"runAsGroup"`
	SeccompProfile           struct{ Type string }   `json:"seccompProfile"`
	AllowPrivilegeEscalation *bool                   `json:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool                    `json:"readOnlyRootFilesystem"`
	Capabilities             struct{ Drop []string } `json:"capabilities"`
}

// manifest reads the two documents: the policy's ConfigMap and the Deployment.
func manifest(ctx context.Context, t *testing.T) (config, deployment object) {
	t.Helper()
	testenv.Need(t, "/usr/bin/python3")
	const read = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)"
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-c", read)
	text, err := os.ReadFile("deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(text)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if strings.Contains(errs.String(), "No module named 'yaml'") {
		testenv.Lack(t, "python3-yaml is not installed")
	}
	if err != nil {
		t.Fatalf("deployment.yaml: %v\n%s", err, errs.String())
	}
	var objects []object
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&objects); err != nil {
		t.Fatalf("deployment.yaml: %v", err)
	}
	if len(objects) != 2 || objects[0].Kind != "ConfigMap" || objects[1].Kind != "Deployment" {
		t.Fatalf("deployment.yaml: %+v", objects)
	}
	return objects[0], objects[1]
}

// write writes a policy that all users may read, in a new folder.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestManifest finds mistakes that would make a cluster refuse the manifest, or make the Deployment select no pod.
func TestManifest(t *testing.T) {
	config, deployment := manifest(t.Context(), t)
	if config.APIVersion != "v1" || deployment.APIVersion != "apps/v1" {
		t.Errorf("versions %q and %q", config.APIVersion, deployment.APIVersion)
	}
	spec := deployment.Spec
	for name, value := range spec.Selector.MatchLabels {
		if spec.Template.Metadata.Labels[name] != value {
			t.Errorf("the selector's %s=%s is no label of the pods", name, value)
		}
	}
	if len(spec.Selector.MatchLabels) == 0 {
		t.Error("no selector")
	}
	in := spec.Template.Spec.Containers[0]
	wantVolumes(t, config, spec.Template.Spec)
	for _, word := range []string{in.Name, in.Image, in.Resources.Requests["cpu"], in.Resources.Requests["memory"]} {
		if word == "" {
			t.Errorf("the container lacks a name, an image or a request: %+v", in)
		}
	}
	// The ConfigMap holds policy.toml without its comments.
	policy, err := os.ReadFile("policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := settings(config.Data["policy.toml"]), settings(string(policy)); got != want {
		t.Errorf("the ConfigMap has\n%s\nand policy.toml\n%s", got, want)
	}
	if grace := fmt.Sprintf("%d", spec.Template.Spec.Grace); grace != "30" || !strings.Contains(string(policy), `grace    = "20s"`) {
		t.Errorf("the policy's grace has to be shorter than the pod's %s s", grace)
	}
}

// wantVolumes checks that each mount has its volume, and that subPath is a key of the ConfigMap. podman does not
// support subPath, so podman would not detect a wrong key.
func wantVolumes(t *testing.T, config object, pod podSpec) {
	t.Helper()
	for _, mount := range pod.Containers[0].VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v volume) bool {
			return v.Name == mount.Name && (v.EmptyDir != nil ||
				v.ConfigMap != nil && v.ConfigMap.Name == config.Metadata.Name && config.Data[mount.SubPath] != "")
		}) {
			t.Errorf("a mount without its volume: %+v of %+v", mount, pod.Volumes)
		}
	}
}

// settings is a policy without comments and empty lines.
func settings(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
