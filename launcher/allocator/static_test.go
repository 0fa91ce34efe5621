package allocator

import "testing"

func TestStaticGlibc(t *testing.T) {
	const tunables = "glibc.malloc.arena_max\x00glibc.malloc.mxfast\x00"
	for _, c := range []struct{ name, constants, version, least string }{
		{"2.31", tunables + "stopped\x002.31\x00\x00", "2.31", "2.31"},
		{"2.36", tunables + "pd->stopped_start\x002.36\x00\x00", "2.36", "2.36"},
		{"2.17, without tunables", "x\x002.17\x00", "2.17", "2.17"},
		{"2.39", tunables + "glibc.mem.decorate_maps\x00y\x002.39\x00", "2.39", "2.39"},
		{"2.41", tunables + "glibc.mem.decorate_maps\x00glibc.rtld.enable_secure\x00y\x002.41\x00", "2.41", "2.41"},
		{"a development tree", tunables + "glibc.mem.decorate_maps\x00glibc.rtld.enable_secure\x00glibc.elf.thp\x00\x002.44.9000\x00", "2.44.9000", "2.44.9000"},
		{"another 2.x that its tunables exclude", tunables + "glibc.mem.decorate_maps\x00glibc.rtld.enable_secure\x00\x002.12\x00\x002.43\x00", "2.43", "2.43"},
		{"another 2.x that nothing excludes", tunables + "\x002.28\x00\x002.36\x00", "", "2.26"},
		{"no nptl", tunables + "glibc.mem.decorate_maps\x00glibc.rtld.enable_secure\x00", "", "2.40"},
		{"numbers that are no release", tunables + "\x002.0\x00\x002.361x\x00\x002.36.1\x00\x002.99999999\x00", "", "2.26"},
		{"nothing", "", "", ""},
	} {
		var g StaticGlibc
		b := []byte(c.constants)
		g.Add(b[:len(b)/2]) // a string that is cut at the end of a part is complete in the next
		g.Add(b)
		if version, least := g.Version(); version != c.version || least != c.least {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, version, least, c.version, c.least)
		}
	}
	var g StaticGlibc
	g.AtLeast(43) // a lower bound from another source: package arena takes it from the layout of malloc_state
	g.Add([]byte("glibc.rtld.enable_secure\x00"))
	if version, least := g.Version(); version != "" || least != "2.43" {
		t.Errorf("by the layout: %q, %q", version, least)
	}
}
