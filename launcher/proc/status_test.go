package proc

import (
	"os"
	"strings"
	"testing"
)

// TestParseStatus parses the real file of this process, then constructed texts.
func TestParseStatus(t *testing.T) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	s, err := ParseStatus(text)
	if err != nil || !s.HasMemory || s.Virtual == 0 || s.VirtualPeak < s.Virtual || s.ResidentPeak < s.Resident || s.Resident < 1<<20 {
		t.Errorf("%+v, %v", s, err)
	}
	if list, err := ParseCPUList(s.AllowedCPUs); err != nil || list.Count() == 0 {
		t.Errorf("%q: %v, %v", s.AllowedCPUs, list, err)
	}
	const memory = "VmPeak: 4 kB\nVmSize: 3 kB\nVmHWM: 2 kB\nVmRSS: 1 kB\n"
	for name, c := range map[string]struct {
		text string
		want Status
	}{
		"all":            {memory + "Cpus_allowed_list:\t0-3\n", Status{true, 4096, 3072, 2048, 1024, "0-3"}},
		"a zombie":       {"Name:\tx\nState:\tZ (zombie)\nCpus_allowed_list:\t1\n", Status{AllowedCPUs: "1"}},
		"one is missing": {"VmPeak: 1 kB\nVmSize: 1 kB\nVmHWM: 1 kB\n", Status{}},
		"swapped out":    {strings.Replace(memory, "VmRSS: 1", "VmRSS: 0", 1), Status{true, 4096, 3072, 2048, 0, ""}},
	} {
		if s, err := ParseStatus([]byte(c.text)); s != c.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", name, s, err, c.want)
		}
	}
	for name, bad := range map[string]string{"another unit": "VmPeak: 1 MB\n", "no number": "VmSize: x kB\n", "no unit": "VmRSS: 1\n", "over 64 bits": "VmHWM: 18014398509481984 kB\n"} {
		if s, err := ParseStatus([]byte(memory + bad)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestParseUsers(t *testing.T) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	if u, ok := ParseUsers(text); !ok || u != (Users{uint32(os.Getuid()), uint32(os.Geteuid())}) {
		t.Errorf("%+v, %t", u, ok)
	}
	for text, want := range map[string]bool{"Uid:\t1\t2\t3\t4\n": true, "Gid:\t1\t2\t3\t4\n": false, "Uid:\t1\t2\t3\n": false, "Uid:\t1\t-2\t3\t4\n": false} {
		if u, ok := ParseUsers([]byte(text)); ok != want || ok && u != (Users{1, 2}) {
			t.Errorf("%q: %+v, %t", text, u, ok)
		}
	}
}

func TestParseThreadGroup(t *testing.T) {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Skip(err)
	}
	if pid, ok := ParseThreadGroup(text); !ok || pid != os.Getpid() {
		t.Errorf("%d, %t", pid, ok)
	}
	for _, text := range []string{"", "Pid:\t7\n", "Tgid:\t-7\n"} {
		if pid, ok := ParseThreadGroup([]byte(text)); ok {
			t.Errorf("%q: %d", text, pid)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte("VmPeak:\t 2868 kB\nVmSize:\t 2868 kB\nVmHWM:\t 1536 kB\nVmRSS:\t 1536 kB\n"))
	f.Add([]byte("Name:\tx\nCpus_allowed_list:\t0-3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseStatus(text)
		if !s.HasMemory && s != (Status{AllowedCPUs: s.AllowedCPUs}) || s.Virtual%1024 != 0 || !strings.Contains(string(text), s.AllowedCPUs) {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
