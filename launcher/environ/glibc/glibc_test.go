package glibc

import (
	"strings"
	"testing"

	"arenacap/policy"
	"arenacap/policy/text"
)

func TestWorstCase(t *testing.T) {
	const heap = policy.ArenaHeap
	fixed := func(n int) policy.Cap { return policy.Cap{Mode: policy.Fixed, N: n} }
	off, own := policy.Cap{Mode: policy.Off}, policy.Cap{Mode: policy.Glibc}
	v := func(minor int) Version { return Version{Major: 2, Minor: minor} }
	for _, c := range []struct {
		name             string
		cap              policy.Cap
		online           int
		inherited        policy.Inherited
		glibc            Version
		capped, uncapped uint64
	}{
		{"4 on 8", fixed(4), 8, policy.Inherited{}, v(36), 3 * heap, 63 * heap},
		{"an unknown glibc is as most are", fixed(4), 8, policy.Inherited{}, Version{}, 3 * heap, 63 * heap},
		{"one core has 9", fixed(4), 1, policy.Inherited{}, v(43), 3 * heap, 8 * heap},
		{"2.44 allows a core one each", fixed(4), 16, policy.Inherited{}, v(44), 3 * heap, 15 * heap},
		{"2.44 on few cores has 8", fixed(4), 2, policy.Inherited{}, v(44), 3 * heap, 7 * heap},
		{"1 is the main arena alone", fixed(1), 8, policy.Inherited{}, v(36), 0, 63 * heap},
		{"1 is 2 before 2.16", fixed(1), 8, policy.Inherited{}, v(12), heap, 63 * heap},
		{"before 2.10 nothing caps", fixed(4), 8, policy.Inherited{}, v(5), 0, 0},
		{"32 bits", fixed(4), 8, policy.Inherited{}, Version{Major: 2, Minor: 36, Bits32: true}, 3 << 20, 15 << 20},
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
				t.Errorf("%s, %s; want %s, %s", text.Size(capped), text.Size(uncapped), text.Size(c.capped), text.Size(c.uncapped))
			}
		})
	}
}

// TestArenas: most numbers of arenas were measured with 64 threads, in programs with a whole release of glibc or in test
// programs that contain the arena functions of a release. The other numbers follow from glibc's source. 0: the variable
// is not set; -1: no limit.
func TestArenas(t *testing.T) {
	type set struct{ max, test, want int }
	early := []set{{1, 0, 9}, {4, 0, 9}, {9, 0, 9}, {12, 0, 12}, {1, 1, 2}, {2, 1, 2}, {3, 1, 3}, {4, 1, 4}, {4, 3, 4}, {4, 4, 5}, {4, 6, 7}, {0, 1, 32}, {0, 40, 41}}
	later := []set{{1, 0, 1}, {4, 0, 4}, {12, 0, 12}, {1, 1, 1}, {4, 6, 4}, {0, 0, 32}, {0, 40, 41}}
	for _, c := range []struct {
		versions string
		cpus     int
		sets     []set
	}{
		{"2.0 2.5 2.9", 4, []set{{0, 0, -1}, {4, 0, -1}, {4, 3, -1}}},
		{"2.10 2.12 2.14 2.14.1 2.15 2.15.0", 4, early},
		{"2.15.1 2.16 2.17 2.22 2.25 2.25.1 2.26 2.27 2.42 2.43", 4, later},
		{"2.25.0", 4, []set{{4, 0, 32}, {40, 39, 41}, {0, 0, 32}, {0, 40, 41}}},
		{"2.26.0", 4, []set{{4, 3, 32}, {40, 39, 32}, {0, 40, 32}}},
		{"2.44", 4, []set{{1, 0, 1}, {4, 0, 4}, {12, 0, 12}, {4, 6, 4}, {0, 0, 8}, {0, 1, 4}, {0, 3, 4}, {0, 40, 40}}},
		{"2.44", 2, []set{{0, 0, 8}, {0, 1, 2}, {0, 3, 3}, {0, 20, 20}}},
		{"2.44", 16, []set{{0, 0, 16}}},
		{"2.44", 1, []set{{0, 0, 8}}},
		{"2.10 2.36 2.43", 1, []set{{0, 0, 9}}},
		{"2.36 2.39", 2, []set{{0, 0, 16}, {0, 20, 21}, {17, 20, 17}}},
		{"2.12/32", 4, []set{{0, 0, 8}, {1, 0, 3}, {4, 0, 4}, {1, 1, 2}}},
		{"2.36/32", 1, []set{{0, 0, 3}, {1, 0, 1}}},
		{"2.36/32", 4, []set{{0, 0, 8}}},
		{"2.44/32", 1, []set{{0, 0, 2}}},
		{"2.44/32", 4, []set{{0, 0, 4}}},
	} {
		for version := range strings.FieldsSeq(c.versions) {
			number, bits32 := strings.CutSuffix(version, "/32")
			g, err := Parse(number)
			if err != nil {
				t.Fatal(err)
			}
			g.Bits32 = bits32
			for _, s := range c.sets {
				n, ok := g.Arenas(s.max, s.test, c.cpus)
				if !ok {
					n = -1
				}
				if n != s.want {
					t.Errorf("%s on %d CPUs with %d, %d: %d, want %d", version, c.cpus, s.max, s.test, n, s.want)
				}
			}
		}
	}
	if n, ok := (Version{}).DefaultArenas(4); n != 32 || !ok {
		t.Errorf("a glibc that is not known: %d, %v", n, ok)
	}
}

// TestIgnores checks which releases ignore the cap, which may ignore it, and which can exceed it in a race.
func TestIgnores(t *testing.T) {
	for s, want := range map[string]string{
		"2.9": "ignored", "2.10": "obeys racy", "2.12": "obeys racy", "2.14": "obeys racy", "2.15": "obeys", "2.25.0": "ignored", "2.25": "unknown", "2.25.1": "obeys",
		"2.26.0": "ignored", "2.26": "unknown", "2.26.1": "obeys", "2.27": "obeys", "2.44": "obeys",
	} {
		g, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		got := "obeys"
		if ignored, why := g.Ignores(); ignored {
			got = "ignored"
		} else if why != "" {
			got = "unknown"
		}
		if g.Racy() {
			got += " racy"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

func TestParseGlibc(t *testing.T) {
	for s, want := range map[string]Version{
		"2.36": {Major: 2, Minor: 36}, "2.4": {Major: 2, Minor: 4}, "2.26.0": {Major: 2, Minor: 26, Point: "0"},
	} {
		if got, err := Parse(s); err != nil || got != want || got.String() != s {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "2", "2.", ".36", "two", "2.999", "2.45", "3.0", "1.9", "2.036", "+2.36", "2.36 ", "2.36.", "2.36.x", "2.36.1.2", "2.-1", "glibc 2.36", "18446744073709551618.36"} {
		if got, err := Parse(s); err == nil {
			t.Errorf("%q was read as %+v", s, got)
		}
	}
}

// TestGlibc parses versions as a libc reports them.
func TestGlibc(t *testing.T) {
	for s, want := range map[string]Version{
		"2.36": {Major: 2, Minor: 36}, "2.36.9000": {Major: 2, Minor: 36, Point: "9000"}, "3.0": {Major: 3}, "": {}, "2": {}, "2.x": {},
	} {
		if got := Reported(s, 64); got != want {
			t.Errorf("%q: got %+v, want %+v", s, got, want)
		}
		if got := Reported(s, 32); !got.Bits32 {
			t.Errorf("%q: %+v is not 32-bit", s, got)
		}
	}
}
