// Package protocol has what a launch and the watch process that it starts agree on.
package protocol

// ProcessName begins the name of a separate watch process; the target's PID follows. The name contains no word of the
// target's command line, so that a pkill for the target does not hit the watch.
const ProcessName = Comm + " "

// Comm is what /proc/PID/comm shows of ProcessName, of which the kernel keeps 15 bytes (proc_pid_comm(5)). With --supervise
// the thread of the supervisor that watches has this name.
const Comm = "arenacap: watch"

// The descriptors of a separate watch process. At its start 0 and 1 are /dev/null, 2 is the target's stderr.
const (
	// ConfigFD is the read end of a pipe. It carries the length of the configuration as four bytes, big-endian, and the
	// configuration. Then comes the result of the target's exec: end of file if it succeeded (the write end is
	// close-on-exec), any byte if it failed.
	ConfigFD = 3
	// TargetFD is a pidfd of the target or, if pidfd_open(2) fails, a descriptor of its /proc folder, opened before the
	// target could end.
	TargetFD = 4
	// ReadyFD is the write end of a pipe if the launch waits for the watch, else /dev/null. The watch writes "ready\n"
	// to the pipe when it has opened the target's statm and its own log. If the watch fails, it writes the reason in
	// one line and ends.
	ReadyFD = 5
)
