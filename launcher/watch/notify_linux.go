package watch

// This file finds the service manager that started the watch of a host, and sends messages to its watchdog.

import (
	"os"
	"strconv"
	"time"

	"arenacap/launcher/watch/manager"
)

// findManager finds the manager and its watchdog. The watchdog wants a message every WATCHDOG_USEC at the latest
// (sd_watchdog_enabled(3)) and gets one every half of that.
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

// petWatchdog is called in each round of the loop, so that the manager notices a loop that hangs.
func (h *host) petWatchdog(now time.Duration) {
	if now >= h.pet {
		h.manager.Tell("WATCHDOG=1")
		h.pet = now + h.petEvery
	}
}
