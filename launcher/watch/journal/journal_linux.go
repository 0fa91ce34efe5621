// Package journal is what a program that writes on stderr needs to know of systemd's journal: whether its words arrive
// there, and how it marks a line with its priority.
package journal

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Priority is one of syslog(3).
type Priority int

const (
	Err     Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Info    Priority = 6
)

// Prefix is what a line begins with for the journal to know its priority. The journal removes it (sd-daemon(3),
// SyslogLevelPrefix= in systemd.exec(5)).
func (p Priority) Prefix() string { return fmt.Sprintf("<%d>", int(p)) }

// HasStderr reports whether what is written on stderr goes to the journal. stream is $JOURNAL_STREAM: the device and the
// inode, in decimal, "8:12345", of the socket that systemd gave the service (systemd.exec(5)). A process further down
// may have the variable and another stderr.
func HasStderr(stream string) bool {
	var st unix.Stat_t
	return stream != "" && unix.Fstat(2, &st) == nil && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
