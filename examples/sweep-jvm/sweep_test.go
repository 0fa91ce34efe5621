// Package jvm_test runs a shortened example.
package jvm_test

import (
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

func TestSweep(t *testing.T) {
	testenv.Need(t, "go", "java", "javac")
	t.Setenv("ROUNDS", "15")
	s := lab.RunSweep(t, "--rounds", "1", "--warmup", "0", "--caps", "off,1")
	own, one := s.Of(t, "off"), s.Of(t, "1")
	if one.Arenas != 1 || own.Arenas <= 1 {
		t.Errorf("%d and %d arenas", one.Arenas, own.Arenas)
	}
	if one.Virtual >= own.Virtual {
		t.Errorf("a cap of 1 has %d MiB virtual, glibc's own limit %d", one.Virtual>>20, own.Virtual>>20)
	}
}
