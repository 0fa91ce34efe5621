package unit

// The tests in this file read two kinds of unit files: the files in testdata/units, each with one feature found in units of
// distributions, and the unit files of current packages that .ci/upstream unpacks.

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

const unitsDir = "testdata/units"

// wanted returns the drop-in (NAME.conf), without comments, that is expected for each unit and instance in testdata/units.
func wanted(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(unitsDir + "/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d drop-ins in %s: %v", len(files), unitsDir, err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimSuffix(filepath.Base(file), ".conf")+suffix] = string(text)
	}
	return texts
}

func TestUnitsInFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(unitsDir)); err != nil {
		t.Fatal(err)
	}
	for name, want := range wanted(t) {
		if got := withoutComments(install(t, dir, name).Text); got != want {
			t.Errorf("%s: the drop-in is\n%s\nwant\n%s", name, got, want)
		}
	}
}

// The second of two runs of 'arenacap unit --write' changes nothing, even if it has a flag such as -q that does not
// change the drop-in. This also holds after an operator added a line to the drop-in, and with a later drop-in that
// arenacap did not make.
func TestWriteTwice(t *testing.T) {
	root := t.TempDir()
	lib := filepath.Join(root, "usr/lib/systemd/system")
	if err := os.CopyFS(lib, os.DirFS(unitsDir)); err != nil {
		t.Fatal(err)
	}
	for name := range wanted(t) {
		settle := func() {
			t.Helper()
			for i, want := range []bool{true, false} {
				d := planBelow(t, root, name, "arenacap unit "+strings.Repeat("-q ", i)+name)
				if changed, err := d.Write(); err != nil || changed != want {
					t.Errorf("%s, request %d: changed is %t, %v", name, i+1, changed, err)
				}
			}
		}
		settle()
		file, err := os.OpenFile(planBelow(t, root, name, "").Place, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteString("[Unit]\nDescription=by a person\n[Service]\nNice=3\n")
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		settle()
		write(t, root, map[string]string{"etc/systemd/system/" + name + ".d/override.conf": "[Service]\nExecStart=\nExecStart=/bin/other\n"})
		settle()
		text, err := os.ReadFile(planBelow(t, root, name, "").Place)
		if err != nil || !strings.Contains(string(text), "\nNice=3\n") || !strings.Contains(string(text), "\nDescription=by a person\n") {
			t.Errorf("%s: the person's lines are lost: %v\n%s", name, err, text)
		}
	}
}

func planBelow(t *testing.T, root, name, command string) DropIn {
	t.Helper()
	u, err := Load(root, name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Plan(u, Wish{Root: root, Command: command, Plan: anyPlan()}, Found{own: ownAt(ownPath, 64)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func withoutComments(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestSystemdReadsTheSameOfFiles(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(unitsDir)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range wanted(t) {
		names = append(names, name)
	}
	sameCommands(t, dir, names...)
}

// TestUnitsOfPackages checks that systemd starts the same commands with a drop-in as without, for each unit in
// $ARENACAP_UNITS for which Plan makes one.
func TestUnitsOfPackages(t *testing.T) {
	from := os.Getenv("ARENACAP_UNITS")
	if from == "" {
		t.Skip("no units in $ARENACAP_UNITS; .ci/upstream has those of today's packages")
	}
	testenv.Need(t, "systemd-analyze")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*" + suffix)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		name := strings.Replace(filepath.Base(file), "@.", "@one.", 1)
		u, err := finder{dirs: []string{dir}}.load(name)
		if err == nil {
			_, err = Plan(u, Wish{Plan: anyPlan()}, Found{own: ownAt(ownPath, 64)})
		}
		if err != nil {
			t.Log(err) // no commands, an alias that leads elsewhere, or a drop-in that would not work
		} else if !slices.Contains(names, u.Name) {
			names = append(names, u.Name)
		}
	}
	t.Logf("%d units of %d files", len(names), len(files))
	sameCommands(t, dir, names...)
}
