package unit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Readers names a service only if the service starts arenacap with this policy file and its user has no access to the file.
func TestReaders(t *testing.T) {
	const drop = "service.d/arenacap.conf"
	dir := t.TempDir()
	policy, folder := filepath.Join(dir, "etc", "policy.toml"), filepath.Join(dir, "etc")
	own := func(flags string) string {
		return ownBegin + "x\n[Service]\nExecStart=\nExecStart=/opt/cap run " + flags + "--service x -- /bin/true\n"
	}
	unreadable := func(name, who, mode, command string) string {
		return fmt.Sprintf("%s.service starts arenacap with %s, and that user cannot read the file (%s); type %s", name, who, mode, command)
	}
	units := t.TempDir() // .ci/conditions runs the tests as nobody, so the services have another user
	t.Setenv("SYSTEMD_UNIT_PATH", units)
	write(t, units, map[string]string{
		"default.service":              "[Service]\nUser=daemon\nExecStart=/bin/true\n",
		"default." + drop:              own(""),
		"named.service":                "[Service]\nDynamicUser=yes\nExecStart=/usr/bin/arenacap run --policy=" + policy + " -- /bin/true\n",
		"variable.service":             "[Service]\nUser=daemon\nEnvironment=ARENACAP_POLICY=" + policy + "\nExecStart=arenacap run -- /bin/true --policy /other.toml\n",
		"root.service":                 "[Service]\nExecStart=/bin/true\n",
		"root." + drop:                 own(""),
		"another.service":              "[Service]\nUser=daemon\nExecStart=/bin/true\n",
		"another." + drop:              own("--policy /other.toml "),
		"without.service":              "[Service]\nUser=daemon\nExecStart=/bin/true\n",
		"outside.service":              "[Service]\nUser=daemon\nExecStart=+/usr/bin/arenacap run -- /bin/true\n",
		"removed.service":              "[Service]\nUser=daemon\nExecStart=/bin/true\n",
		"removed." + drop + ".removed": own(""),
	})
	write(t, dir, map[string]string{"etc/policy.toml": "arenas.cap = 4\n"})
	for _, above := range []string{filepath.Dir(dir), dir} { // other users may not enter the folders that t.TempDir makes
		mustChmod(t, above, 0o755)
	}
	readers := func(file, folderMode os.FileMode) string {
		t.Helper()
		mustChmod(t, folder, 0o755)
		mustChmod(t, policy, file)
		mustChmod(t, folder, folderMode)
		return strings.Join(Readers(policy, policy), "\n")
	}
	all := func(mode, command string) string {
		return strings.Join([]string{unreadable("default", "User=daemon", mode, command), unreadable("named", "DynamicUser=yes", mode, command),
			unreadable("variable", "User=daemon", mode, command)}, "\n")
	}
	for _, test := range []struct {
		file, folder os.FileMode
		want         string
	}{
		{0o644, 0o755, ""},
		{0o640, 0o755, all("mode 0640", "chmod o+r "+policy)},
		{0o644, 0o750, all(fmt.Sprintf("the folder %q has mode 0750", folder), "chmod o+x "+folder)},
	} {
		if got := readers(test.file, test.folder); got != test.want {
			t.Errorf("mode %o in a folder of mode %o:\n%s\nwant\n%s", test.file, test.folder, got, test.want)
		}
	}
}

func mustChmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
