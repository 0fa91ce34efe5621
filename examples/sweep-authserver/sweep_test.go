// Package authserver_test runs a shortened example.
package authserver_test

import (
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

func TestSweep(t *testing.T) {
	testenv.Need(t, "go", "cc", "seq")
	t.Setenv("CHURN", "2000")
	// The 128 threads leave the sweep little CPU time: on a busy machine a run may end before its arenas are counted once.
	s := lab.RunSweep(t, "--rounds", "2", "--warmup", "0", "--caps", "off,1,4")
	own, one, four := s.Of(t, "off"), s.Of(t, "1"), s.Of(t, "4")
	if one.Arenas != 1 || four.Arenas != 4 || own.Arenas <= 4 {
		t.Errorf("%d, %d and %d arenas", one.Arenas, four.Arenas, own.Arenas)
	}
	// Each arena besides the main one is 64 MiB; threads that start and end change the peak by less than one arena.
	if got, want := int64(own.Virtual)-int64(one.Virtual), int64(own.Arenas-1)<<26; got < want-1<<26 || got > want+1<<26 {
		t.Errorf("a cap of 1 saves %d MiB with %d arenas", got>>20, own.Arenas)
	}
}
