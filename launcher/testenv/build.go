package testenv

// This file builds the program under test.

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Arenacap builds arenacap into file, with extra flags of go build and variables. It uses go run, which since Go 1.24
// caches the linked program for the other test packages; go build does not. go run omits debugging information (go help
// run). It is an error if this machine has a system policy, because tests without a policy of their own expect the
// built-in policy.
func Arenacap(file string, env []string, flags ...string) error {
	if _, err := os.Lstat(systemPolicy); err == nil {
		return fmt.Errorf("this machine has %s, which the tested arenacap would read; move it away while the tests run", systemPolicy)
	}
	cmd := exec.Command("go", slices.Concat([]string{"run", "-exec", "cp"}, flags, []string{"arenacap/cmd/arenacap", file})...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return nil
}

// systemPolicy is the path of the system's policy (package policy, Load).
const systemPolicy = "/etc/arenacap/policy.toml"
