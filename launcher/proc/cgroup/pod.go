package cgroup

import "strings"

// Pod returns the UID of the Kubernetes pod that a process belongs to; "" for none. The kubelet names a pod's group
// "podUID", or for systemd "…-podUID.slice" with "_" for each "-" of the UID (kubernetes, pkg/kubelet/cm:
// pod_container_manager_linux.go, cgroup_manager_linux.go). Below it is the container's group. The path is relative to the
// reader's cgroup namespace, so a process of the reader's own pod has none.
func (ms Memberships) Pod() string {
	for _, m := range ms {
		for name := range strings.SplitSeq(m.Path, "/") {
			if slice, ok := strings.CutSuffix(name, ".slice"); ok {
				name = strings.ReplaceAll(slice[strings.LastIndexByte(slice, '-')+1:], "_", "-")
			}
			if uid, ok := strings.CutPrefix(name, "pod"); ok && isUID(uid) {
				return uid
			}
		}
	}
	return ""
}

// isUID accepts a UUID (RFC 9562, section 4: 8-4-4-4-12 hexadecimal digits), and the 32 digits that the kubelet gives a static
// pod.
func isUID(s string) bool {
	digits := s
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		digits = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	return len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}
