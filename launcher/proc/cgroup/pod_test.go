package cgroup

import "testing"

func TestPod(t *testing.T) {
	const uid = "8c0f1a52-7d1e-4b0c-9a55-0123456789ab"
	for text, want := range map[string]string{
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8c0f1a52_7d1e_4b0c_9a55_0123456789ab.slice/cri-containerd-1f.scope\n": uid,
		"0::/kubepods.slice/kubepods-pod8c0f1a52_7d1e_4b0c_9a55_0123456789ab.slice/crio-1f.scope\n":                                              uid,
		"0::/kubepods/besteffort/pod" + uid + "/1f\n":                                                                                            uid,
		"0::/../../pod" + uid + "/1f\n":                                   uid, // as a reader in another pod's cgroup namespace sees the path
		"4:memory:/\n1:name=systemd:/kubepods/pod" + uid + "/1f\n":        uid,
		"0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/1f\n": "0123456789abcdef0123456789abcdef",
		"0::/\n":                                           "",
		"0::/system.slice/podman.service\n":                "",
		"0::/user.slice/pod8c0f1a52.slice\n":               "",
		"0::/pod8c0f1a52-7d1e-4b0c-9a55-0123456789aX/1f\n": "",
		"0::/machine.slice/libpod-1f.scope\n":              "",
	} {
		list, err := ParseMemberships([]byte(text))
		if got := list.Pod(); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
