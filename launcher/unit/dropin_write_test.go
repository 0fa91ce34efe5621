package unit

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWrite(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077)) // the drop-in must be readable for all users despite this umask
	root := t.TempDir()
	d := DropIn{Place: filepath.Join(root, systemEtc, "a.service.d", "zz-arenacap.conf"), Text: ownBegin + "a.service\n"}
	for _, text := range []string{d.Text, ownBegin + "again\n"} {
		d.Text = text
		if _, err := d.Write(); err != nil {
			t.Fatal(err)
		}
		wantFile(t, d.Place, text)
	}
	for file, want := range map[string]os.FileMode{d.Place: 0o644, filepath.Dir(d.Place): 0o755, filepath.Join(root, "etc"): 0o755} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	old := filepath.Join(filepath.Dir(d.Place), ownFile)
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Older = []string{old}
	if _, err := d.Write(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Dir(d.Place))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the new drop-in alone, without the older one and temporary files", entries, err)
	}
}

// Write does not overwrite a file that arenacap did not make, unless the file is empty: "arenacap unit NAME >FILE" leaves
// an empty file behind if it prints nothing.
func TestWriteOver(t *testing.T) {
	const theirs = "[Service]\nNice=1\n"
	for name, c := range map[string]struct {
		there map[string]string
		want  string
	}{
		"theirs":    {map[string]string{"d/f.conf": theirs}, "was not made by arenacap"},
		"a link":    {map[string]string{"d/f.conf->": "/dev/null"}, "was not made by arenacap"},
		"a folder":  {map[string]string{"d/f.conf/x": ""}, "was not made by arenacap"},
		"no folder": {map[string]string{"d": ""}, "not a directory"},
		"empty":     {map[string]string{"d/f.conf": ""}, ""},
		"nothing":   {nil, ""},
	} {
		dir := t.TempDir()
		write(t, dir, c.there)
		d := DropIn{Place: filepath.Join(dir, "d/f.conf"), Text: ownBegin + "x\n"}
		_, err := d.Write()
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			wantFile(t, d.Place, d.Text)
		case name == "theirs":
			wantFile(t, d.Place, theirs)
		}
	}
}

func wantFile(t *testing.T, file, want string) {
	t.Helper()
	if text, err := os.ReadFile(file); err != nil || string(text) != want {
		t.Errorf("%s: %q, %v, want %q", file, text, err, want)
	}
}

// Root does not write a drop-in below a home directory that belongs to another user, and makes no directories there.
func TestWriteForAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can write for another user")
	}
	home := t.TempDir()
	d := DropIn{Place: filepath.Join(home, ".config/systemd/user/a.service.d", ownFile), Text: ownBegin + "a.service\n", user: true}
	if err := os.Chown(home, 54321, 54321); err != nil {
		t.Fatal(err)
	}
	if changed, err := d.Write(); changed || err == nil || !strings.Contains(err.Error(), `run this as the user "54321"`) {
		t.Errorf("the home directory of another user: %t, %v", changed, err)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) > 0 {
		t.Errorf("in the home directory of another user: %v, %v", entries, err)
	}
	if err := os.Chown(home, 0, 0); err != nil {
		t.Fatal(err)
	}
	if changed, err := d.Write(); !changed || err != nil {
		t.Errorf("root's home directory: %t, %v", changed, err)
	}
}
