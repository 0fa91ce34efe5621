package watch

// What the watch of a host tells the service manager that started it.

import (
	"os"
	"strconv"
	"time"

	"arenacap/launcher/watch/manager"
)

// findManager finds the manager and its watchdog, which wants a word at least each WATCHDOG_USEC (sd_watchdog_enabled(3)):
// it gets one each half of that.
func (h *host) findManager() {
	var env []string
	variable := func(name string) string {
		value, ok := h.Lookup(name)
		if ok {
			env = append(env, name+"="+value)
		}
		return value
	}
	variable("SYSTEMD_EXEC_PID")
	variable("NOTIFY_SOCKET")
	h.manager = manager.Find(env)
	usec, err := strconv.ParseInt(variable("WATCHDOG_USEC"), 10, 64)
	if of := variable("WATCHDOG_PID"); err == nil && usec > 0 && h.manager != "" && (of == "" || of == strconv.Itoa(os.Getpid())) {
		h.petEvery = time.Duration(usec) * time.Microsecond / 2
		h.pet = h.clock()
	}
}

// petWatchdog is called at each turn of the loop, so that a loop that hangs is noticed.
func (h *host) petWatchdog(now time.Duration) {
	if now >= h.pet {
		h.manager.Tell("WATCHDOG=1")
		h.pet = now + h.petEvery
	}
}
