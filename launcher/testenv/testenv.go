// Package testenv gives the programs that tests start the same surroundings on every machine, and ends the tests for which
// a machine lacks something. Only tests, and the benchmarks that share their servers, import it.
package testenv

import (
	"math"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// Reset takes from this process what its starter may have given it and every program started from here would inherit:
// ignored signals (nohup, "&" in a script), a closed umask, open descriptors, and what steers malloc or arenacap. A
// priority stays: an ordinary user cannot raise it again.
func Reset() {
	defaultSignals()
	unix.Umask(0o022)
	// Between fork and exec package syscall moves descriptors to free places above its own, so that an inherited one
	// would be lost to some programs and not to others.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	// Some tests start their own program as another user, and the linker made it under the umask there was.
	if own, err := os.Executable(); err == nil {
		_ = os.Chmod(own, 0o755)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); steers(name) {
			_ = os.Unsetenv(name)
		}
	}
}

// defaultSignals gives children the default action of the signals that Go leaves ignored where they were (os/signal,
// "Default behavior"). Nobody reads the channel, so this process goes on ignoring them.
func defaultSignals() {
	for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

func steers(name string) bool {
	switch name {
	case "GLIBC_TUNABLES", "ARENACAP_POLICY", "ARENACAP_SERVICE", "XDG_CONFIG_HOME":
		return true
	}
	return strings.HasPrefix(name, "MALLOC_")
}
