package proc

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	root, buffer := Root(t.TempDir()), []byte(nil)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 100_000, 1} {
		want := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(string(root)+"/file", want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := root.Read("/file"); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
		if got, err := root.ReadInto(&buffer, "/file"); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d bytes of %d into a buffer, %v", len(got), size, err)
		}
	}
	if err := os.Truncate(string(root)+"/file", maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Read("/file"); !errors.Is(err, unix.EFBIG) {
		t.Errorf("a file of more than maxFile bytes: %v", err)
	}
	if _, err := root.Read("/none"); !errors.Is(err, fs.ErrNotExist) || err.Error() != "open /none: no such file or directory" {
		t.Error(err)
	}
	if !root.Exists("/file") || root.Exists("/none") {
		t.Error("Exists is wrong for an existing or a missing file")
	}
}

func TestNumbers(t *testing.T) {
	root := Root(t.TempDir())
	for _, name := range []string{"7", "self", "42", "4x"} {
		if err := os.Mkdir(string(root)+"/"+name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got, err := root.Numbers("/")
	slices.Sort(got)
	if !slices.Equal(got, []int{7, 42}) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := root.Numbers("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
