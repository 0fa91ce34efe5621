// Package testenv gives tests the same environment on every machine, and ends the tests for which a machine lacks
// something. Only tests, benchmarks and the helpers of tests (examples/internal/lab) import it.
package testenv

import (
	"flag"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Reset clears inherited state that programs started from here would inherit in turn: ignored signals (nohup, "&" in a
// script), umask, open descriptors, and variables of malloc and arenacap. The nice value stays, because an ordinary user
// cannot lower it.
func Reset() {
	defaultSignals()
	unix.Umask(0o022)
	// Between fork and exec, package syscall moves descriptors to higher numbers and may overwrite inherited ones there, so
	// that some programs would inherit them and others would not.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	// Some tests start the test binary as another user, but the linker created it under the inherited umask.
	if own, err := os.Executable(); err == nil {
		_ = os.Chmod(own, 0o755)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); steers(name) {
			_ = os.Unsetenv(name)
		}
	}
}

// defaultSignals makes children start with the default action for HUP and INT. If this process inherited these signals as
// ignored, Go keeps them ignored (os/signal, "Default behavior"), and children inherit that. So defaultSignals catches
// them, because exec resets a caught signal to its default action. In the test process the signals still have no effect,
// because nothing reads the channel of signal.Notify.
func defaultSignals() {
	for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// steers reports whether a variable changes what malloc or arenacap do.
func steers(name string) bool {
	switch name {
	case "GLIBC_TUNABLES", "ARENACAP_POLICY", "ARENACAP_SERVICE", "XDG_CONFIG_HOME":
		return true
	}
	return strings.HasPrefix(name, "MALLOC_")
}

// SideBySide lets n tests that call t.Parallel run at a time. The default of the flag -parallel, GOMAXPROCS, suits
// tests that compute, but leaves the CPUs idle while tests wait. TestMain calls SideBySide before the flags are parsed,
// so that -parallel on the command line takes precedence.
func SideBySide(n int) {
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}
