package testenv

import "testing"

func TestSession(t *testing.T) {
	list := Sessions("a\n\n   ```console\n   $ b c\n   1.9 GiB: 15 arenas (x.y)\n   …\n   end\n   $ d\n   ```\n```console\n$ e\n```\n")
	if len(list) != 3 || list[0].Command != "b c" || list[2].Command != "e" {
		t.Fatalf("%+v", list)
	}
	for output, want := range map[string][2]bool{
		"1.9 GiB: 15 arenas (x.y)\nend\n":       {true, true},
		"1.9 GiB: 15 arenas (x.y)\na\nb\nend\n": {true, true},
		"960 MiB: 3 arenas (x.y)\nend\n":        {false, true},
		"960 MiB: 3 arenas (xzy)\nend\n":        {false, false},
		"960 MiB: no arenas (x.y)\nend\n":       {false, false},
		"1.9 GiB: 15 arenas (x.y)\n":            {false, false},
	} {
		if got := [2]bool{list[0].Printed(output), list[0].Resembles(output)}; got != want {
			t.Errorf("%q: printed, resembles: %t, want %t", output, got, want)
		}
	}
}
