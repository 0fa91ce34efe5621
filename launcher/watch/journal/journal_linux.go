// Package journal finds out whether stderr goes to systemd's journal, and formats the priority of a line for it.
package journal

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Priority is a level of syslog(3).
type Priority int

const (
	Err     Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Info    Priority = 6
)

// Prefix is the prefix of a line that sets its priority. The journal removes it (sd-daemon(3), SyslogLevelPrefix= in
// systemd.exec(5)).
func (p Priority) Prefix() string { return fmt.Sprintf("<%d>", int(p)) }

// HasStderr reports whether stderr goes to the journal. stream is $JOURNAL_STREAM: device and inode, in decimal
// ("8:12345"), of the socket that systemd gave the service (systemd.exec(5)). The variable alone proves nothing, because a
// child process may inherit it and have another stderr.
func HasStderr(stream string) bool {
	var st unix.Stat_t
	return stream != "" && unix.Fstat(2, &st) == nil && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
