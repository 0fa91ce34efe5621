package environ

import (
	"testing"

	"arenacap/policy"
)

func TestWorstCase(t *testing.T) {
	const heap = policy.ArenaHeap
	fixed := func(n int) policy.Cap { return policy.Cap{Mode: policy.Fixed, N: n} }
	off, own := policy.Cap{Mode: policy.Off}, policy.Cap{Mode: policy.Glibc}
	v := func(minor int) GlibcVersion { return GlibcVersion{Major: 2, Minor: minor} }
	for _, c := range []struct {
		name             string
		cap              policy.Cap
		online           int
		inherited        policy.Inherited
		glibc            GlibcVersion
		capped, uncapped uint64
	}{
		{"4 on 8", fixed(4), 8, policy.Inherited{}, v(36), 3 * heap, 63 * heap},
		{"an unknown glibc is as most are", fixed(4), 8, policy.Inherited{}, GlibcVersion{}, 3 * heap, 63 * heap},
		{"one core has 9", fixed(4), 1, policy.Inherited{}, v(43), 3 * heap, 8 * heap},
		{"2.44 allows a core one each", fixed(4), 16, policy.Inherited{}, v(44), 3 * heap, 15 * heap},
		{"2.44 on few cores has 8", fixed(4), 2, policy.Inherited{}, v(44), 3 * heap, 7 * heap},
		{"1 is the main arena alone", fixed(1), 8, policy.Inherited{}, v(36), 0, 63 * heap},
		{"1 is 2 before 2.16", fixed(1), 8, policy.Inherited{}, v(12), heap, 63 * heap},
		{"before 2.10 nothing caps", fixed(4), 8, policy.Inherited{}, v(5), 0, 0},
		{"32 bits", fixed(4), 8, policy.Inherited{}, GlibcVersion{2, 36, true}, 3 << 20, 15 << 20},
		{"glibc's own", own, 8, policy.Inherited{}, v(36), 63 * heap, 63 * heap},
		{"off", off, 8, policy.Inherited{}, v(36), 63 * heap, 63 * heap},
		{"off leaves what was inherited", off, 8, policy.Inherited{Max: 3, MaxOK: true}, v(36), 2 * heap, 63 * heap},
		{"cores unknown", fixed(4), 0, policy.Inherited{}, v(36), 3 * heap, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := policy.Builtin()
			p.Arenas.Cap = c.cap
			plan, err := p.Resolve(policy.Machine{Online: policy.Reading[int]{N: c.online}, Inherited: c.inherited})
			if err != nil {
				t.Fatal(err)
			}
			if capped, uncapped := c.glibc.WorstCase(plan); capped != c.capped || uncapped != c.uncapped {
				t.Errorf("%s, %s; want %s, %s", policy.FormatSize(capped), policy.FormatSize(uncapped), policy.FormatSize(c.capped), policy.FormatSize(c.uncapped))
			}
		})
	}
}

// The table of the number of arenas that glibc 2.10 to 2.44 was seen to allow.
func TestDefaultArenas(t *testing.T) {
	for _, c := range []struct {
		glibc GlibcVersion
		cpus  int
		want  int
		ok    bool
	}{
		{GlibcVersion{Major: 2, Minor: 9}, 4, 0, false},
		{GlibcVersion{Major: 2, Minor: 10}, 4, 32, true},
		{GlibcVersion{Major: 2, Minor: 12}, 4, 32, true},
		{GlibcVersion{Major: 2, Minor: 43}, 1, 9, true},
		{GlibcVersion{Major: 2, Minor: 43}, 2, 16, true},
		{GlibcVersion{Major: 2, Minor: 44}, 1, 8, true},
		{GlibcVersion{Major: 2, Minor: 44}, 2, 8, true},
		{GlibcVersion{Major: 2, Minor: 44}, 16, 16, true},
		{GlibcVersion{Major: 2, Minor: 36, Bits32: true}, 1, 3, true},
		{GlibcVersion{Major: 2, Minor: 36, Bits32: true}, 4, 8, true},
		{GlibcVersion{Major: 2, Minor: 44, Bits32: true}, 1, 2, true},
		{GlibcVersion{}, 4, 32, true},
	} {
		if n, ok := c.glibc.DefaultArenas(c.cpus); n != c.want || ok != c.ok {
			t.Errorf("%+v on %d: %d, %v; want %d, %v", c.glibc, c.cpus, n, ok, c.want, c.ok)
		}
	}
}

func TestGlibcVersionString(t *testing.T) {
	if got := (GlibcVersion{Major: 2, Minor: 36}).String(); got != "2.36" {
		t.Error(got)
	}
}
