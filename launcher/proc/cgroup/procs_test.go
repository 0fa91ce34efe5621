package cgroup

import (
	"os"
	"slices"
	"testing"
)

func TestParseProcs(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []int
		ok         bool
	}{
		{"empty group", "", nil, true},
		{"several", "12\n7\n12\n", []int{12, 7, 12}, true},
		{"outside this PID namespace", "0\n7\n0\n", []int{7}, true},
		{"no number", "7\nx\n", nil, false},
		{"negative", "-1\n", nil, false},
		{"over a PID", "4294967296\n", nil, false},
		{"an empty line", "7\n\n", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseProcs([]byte(test.text))
			if (err == nil) != test.ok || test.ok && !slices.Equal(got, test.want) {
				t.Errorf("%q: %v, %v; want %v", test.text, got, err, test.want)
			}
		})
	}
}

func TestProcesses(t *testing.T) {
	group := t.TempDir()
	if err := os.MkdirAll(group+"/below/deep", 0o700); err != nil {
		t.Fatal(err)
	}
	// The folder /below has no cgroup.procs, as if its group was removed meanwhile.
	for file, text := range map[string]string{"/cgroup.procs": "2\n1\n", "/below/deep/cgroup.procs": "3\n"} {
		if err := os.WriteFile(group+file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Processes(group); !slices.Equal(got, []int{3, 2, 1}) && !slices.Equal(got, []int{2, 1, 3}) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Processes(group + "/none"); len(got) != 0 || err != nil {
		t.Errorf("a group that was removed: %v, %v", got, err)
	}
}

func FuzzParseProcs(f *testing.F) {
	f.Add([]byte("1\n0\n4194304\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		pids, err := parseProcs(text)
		if err == nil && slices.ContainsFunc(pids, func(pid int) bool { return pid <= 0 || pid > 1<<31-1 }) {
			t.Fatalf("%q: %v", text, pids)
		}
	})
}
