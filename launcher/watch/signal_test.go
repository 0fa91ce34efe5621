package watch

import (
	"testing"
)

func TestParseSignal(t *testing.T) {
	for name, want := range map[string]int{
		"SIGHUP": 1, "SIGUSR1": 10, "SIGTERM": 15, "SIGRTMIN": 34, "SIGRTMIN+3": 37, "SIGRTMIN+30": 64,
		"": 0, "USR1": 0, "SIGUSR3": 0, "sigusr1": 0, "10": 0, "SIGRTMIN+31": 0, "SIGRTMIN-1": 0, "SIGRTMAX": 0, "SIGRTMAX-1": 0, "SIGRTMIN+": 0, "SIGRTMIN+x": 0, "SIGRTMINX": 0,
	} {
		if got, err := parseSignal(name); int(got) != want || (err == nil) != (want != 0) {
			t.Errorf("%q is %d, %v; want %d", name, got, err, want)
		}
	}
}
