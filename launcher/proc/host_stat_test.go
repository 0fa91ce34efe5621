package proc

import (
	"bytes"
	"testing"
)

func TestOnlineCPUs(t *testing.T) {
	for text, want := range map[string]int{
		"cpu  1 2\ncpu0 1 2\ncpu2 1 2\nintr 3\n": 2, "cpu  1\ncpu0 1": 1, "cpu 1\nintr 3\n": 0, "cpu": 0, "cpu\n": 0, "cpufreq\n": 0, "": 0,
	} {
		if n, err := OnlineCPUs([]byte(text)); n != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d CPUs, %v; want %d", text, n, err, want)
		}
	}
}

func FuzzHostStat(f *testing.F) {
	f.Add([]byte("cpu  1\ncpu0 1\ncpu1 1\nintr 3\n"))
	f.Add([]byte("cpu"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := OnlineCPUs(text); err == nil && (n < 1 || n > bytes.Count(text, []byte("cpu"))) {
			t.Errorf("%q: %d CPUs", text, n)
		}
	})
}
