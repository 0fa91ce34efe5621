package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Arenacap builds arenacap into file, with extra flags of go build and variables. It uses go run, which caches the linked
// program for the other test packages (go help run); go build does not. go run omits debugging information.
func Arenacap(file string, env []string, flags ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"run", "-exec", "cp"}, flags, []string{"arenacap/cmd/arenacap", file})...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return nil
}
