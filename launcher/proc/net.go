// This file parses /proc/PID/net/tcp, tcp6 and unix.

package proc

import "bytes"

// Listening returns the listening sockets, named as the links of /proc/PID/fd name them (proc_pid_fd(5)): "socket:[23817]".
//
// /proc/PID/net/tcp and tcp6 (proc_pid_net(5)); 0A is TCP_LISTEN, column 10 is the inode:
//
//	sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
//	 0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0   0       23817 …
//
// /proc/PID/net/unix; 00010000 is __SO_ACCEPTCON:
//
//	Num       RefCount Protocol Flags    Type St Inode Path
//	ffff8880: 00000002 00000000 00010000 0001 01 23818 /run/x.sock
func Listening(tcp, unix []byte) map[string]bool {
	sockets := map[string]bool{}
	add := func(text []byte, state string, inode int) {
		for line := range bytes.Lines(text) {
			if f := bytes.Fields(line); len(f) > inode && string(f[3]) == state {
				sockets["socket:["+string(f[inode])+"]"] = true
			}
		}
	}
	add(tcp, "0A", 9)
	add(unix, "00010000", 6)
	return sockets
}
