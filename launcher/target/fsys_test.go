package target

import "testing"

// TestPathInAnotherRoot checks that path resolves symbolic links below another root directory as the kernel does for a
// program that has this root directory.
func TestPathInAnotherRoot(t *testing.T) {
	root := publicDir(t)
	tree(t, root, [][3]string{{"usr/bin/srv", "755", ""}, {"bin", "", "-> usr/bin"}, {"opt/srv", "", "-> /usr/bin/srv"}, {"up", "", "-> ../../../usr"}, {"loop", "", "-> loop"}})
	for path, want := range map[string]string{
		"/usr/bin/srv": "/usr/bin/srv", "/bin/srv": "/usr/bin/srv", "/opt/srv": "/usr/bin/srv", "/up/bin/../bin//srv": "/usr/bin/srv", "/../..": "", "/gone/x": "/gone/x", "/loop": "/loop",
	} {
		if got := (fsys{root}).path(path); got != root+want {
			t.Errorf("%s: %s, want %s", path, got, root+want)
		}
	}
	if got := (fsys{root}).path("relative"); got != "relative" {
		t.Error(got)
	}
}
