// Package ruby_test runs a shortened example.
package ruby_test

import (
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

func TestSweep(t *testing.T) {
	testenv.Need(t, "go", "ruby")
	t.Setenv("ROUNDS", "30")
	s := lab.RunSweep(t, "--rounds", "1", "--warmup", "0", "--caps", "off,2")
	own, two := s.Of(t, "off"), s.Of(t, "2")
	if two.Arenas != 2 || own.Arenas <= 2 {
		t.Errorf("%d and %d arenas", two.Arenas, own.Arenas)
	}
	if two.Virtual >= own.Virtual || two.Resident >= own.Resident {
		t.Errorf("a cap of 2 has %d MiB virtual and %d MiB resident, glibc's own limit %d and %d",
			two.Virtual>>20, two.Resident>>20, own.Virtual>>20, own.Resident>>20)
	}
}
