package statefile

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	t.Run("a second watch", func(t *testing.T) {
		path := t.TempDir() + "/new/watch.json"
		first, err := Open(path, nil)
		must(t, err)
		if _, err := Open(path, nil); err == nil || !strings.HasPrefix(err.Error(), "another watch writes state file ") {
			t.Errorf("%v", err)
		}
		must(t, first.Write(nil))
		info, err := os.Stat(path)
		if must(t, err); info.Mode().Perm() != 0o644 {
			t.Errorf("its mode is %v", info.Mode())
		}
		first.Close()
		second, err := Open(path, nil)
		must(t, err)
		second.Close()
	})
	for name, text := range map[string]string{"empty": "", "cut off": `{"version":1,"serv`, "another version": `{"version":2}`, "a null service": `{"version":1,"services":{"a":null}}`} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/watch.json"
			must(t, os.WriteFile(path, []byte(text), 0o644))
			said := ""
			s, err := Open(path, func(format string, args ...any) { said = fmt.Sprintf(format, args...) })
			must(t, err)
			defer s.Close()
			kept, err := os.ReadFile(path + ".damaged")
			if err != nil || string(kept) != text || !strings.Contains(said, "is damaged: ") {
				t.Errorf("%v, %q is kept, it says %q", err, kept, said)
			}
		})
	}
}
