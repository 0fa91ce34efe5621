package environ

import (
	"fmt"
	"testing"
)

// BenchmarkApply measures Apply with 60 variables, none of them an arena variable.
func BenchmarkApply(b *testing.B) { benchmarkApply(b, nil) }

// BenchmarkApplyTunables has two arena variables among the 60: one is replaced, and GLIBC_TUNABLES is changed.
func BenchmarkApplyTunables(b *testing.B) {
	benchmarkApply(b, []string{"MALLOC_ARENA_MAX=2", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=3"})
}

func BenchmarkInherited(b *testing.B) {
	env := variables(60)
	b.ReportAllocs()
	for b.Loop() {
		Inherited(env)
	}
}

func benchmarkApply(b *testing.B, more []string) {
	env := append(variables(60-len(more)), more...)
	b.ReportAllocs()
	for b.Loop() {
		Apply(env, capOf4)
	}
}

func variables(n int) []string {
	env := make([]string, n)
	for i := range env {
		env[i] = fmt.Sprintf("%cARIABLE_%d=/usr/local/bin:/usr/bin", 'A'+i%26, i)
	}
	return env
}
