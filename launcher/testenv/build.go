package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Arenacap builds the program into the file, with more of go build's flags and variables. go run links each kind once and
// keeps it in the build cache for the other packages of the run (go help run); it leaves out debugging information.
func Arenacap(file string, env []string, flags ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"run", "-exec", "cp"}, flags, []string{"arenacap/cmd/arenacap", file})...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return nil
}
