package watch

import (
	"testing"

	"arenacap/launcher/arena"
)

func TestCensusDue(t *testing.T) {
	const MiB = 1 << 20
	for _, test := range []struct {
		name  string
		sizes []uint64 // VmSize of each sample after a first census at 100 MiB
		want  []bool
	}{
		{"the same size", []uint64{100 * MiB, 100 * MiB}, []bool{false, false}},
		{"a heap more", []uint64{164 * MiB, 164 * MiB}, []bool{true, false}},
		{"a heap less", []uint64{36 * MiB}, []bool{true}},
		{"less than the smallest heap", []uint64{101*MiB - 1}, []bool{false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c census
			if !c.due(100 * MiB) {
				t.Fatal("the first census is not due")
			}
			c.take(100*MiB, arena.Census{Arenas: 1}, nil)
			for i, size := range test.sizes {
				if got := c.due(size); got != test.want[i] {
					t.Errorf("sample %d: due is %t, want %t", i, got, test.want[i])
				} else if got {
					c.take(size, arena.Census{Arenas: 1}, nil)
				}
			}
		})
	}
	c := census{virtual: 100 * MiB, taken: true}
	samples := 1
	for ; !c.due(100*MiB + 4096); samples++ {
	}
	if samples != censusAge {
		t.Errorf("a small change was counted after %d samples, want %d", samples, censusAge)
	}
}
