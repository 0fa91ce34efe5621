package policy

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the .want files from what is found now")

// TestCheckFiles holds every message an operator may see beside the file that brings it about:
// testdata/check/NAME.toml and NAME.want, one line a problem.
func TestCheckFiles(t *testing.T) {
	t.Chdir("testdata/check")
	files, _ := filepath.Glob("*.toml")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".toml"), func(t *testing.T) {
			got := render(Check(file))
			golden := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func render(found []error) string {
	var b strings.Builder
	for _, p := range found {
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}
