package proc

import (
	"os"
	"testing"
)

func TestParseLoadavg(t *testing.T) {
	if last, ok := ParseLoadavg([]byte("0.20 0.18 0.12 1/80 11206\n")); last != 11206 || !ok {
		t.Errorf("%d, %t", last, ok)
	}
	for _, text := range []string{"", "0.20 0.18 0.12 1/80\n", "0.20 0.18 0.12 1/80 -1\n", "0.20 0.18 0.12 1/80 4294967296\n"} {
		if _, ok := ParseLoadavg([]byte(text)); ok {
			t.Errorf("%q is read", text)
		}
	}
	text, err := Here.Read("/proc/loadavg")
	if err != nil {
		t.Skip(err)
	}
	if last, ok := ParseLoadavg(text); !ok || last <= 0 {
		t.Errorf("%d, %t of %q, in process %d", last, ok, text, os.Getpid())
	}
}
