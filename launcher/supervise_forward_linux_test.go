package launcher

import (
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/relay"
)

func TestForwards(t *testing.T) {
	const own, other, kernel = 100, 7, relay.FromKernel
	user := func(n unix.Signal, pid int32) relay.Signal { return relay.Signal{Number: n, PID: pid} }
	from := func(n unix.Signal, code int32) relay.Signal { return relay.Signal{Number: n, Code: code} }
	apart, together, leader := place{pid: own}, place{pid: own, sameGroup: true}, place{pid: own, sameGroup: true, leader: true}
	for _, c := range []struct {
		name string
		at   place
		s    relay.Signal
		want bool
	}{
		{"sent", together, user(unix.SIGTERM, other), true},
		{"sent from another PID namespace", together, user(unix.SIGTERM, 0), true},
		{"sent by this PID before its exec of arenacap", together, user(unix.SIGUSR1, own), true},
		{"queued", together, relay.Signal{Number: 40, Code: -1, PID: other}, true},
		{"sent to a thread", together, relay.Signal{Number: unix.SIGUSR1, Code: -6, PID: other}, true},
		{"a timer set before exec", together, from(unix.SIGALRM, kernel), true},
		{"PWR from the kernel", together, from(unix.SIGPWR, kernel), true},
		{"PIPE from a process", together, user(unix.SIGPIPE, other), true},
		{"PIPE by a write of arenacap", together, user(unix.SIGPIPE, own), false},
		{"URG from a process", together, user(unix.SIGURG, other), true},
		{"URG of an inherited socket", together, from(unix.SIGURG, kernel), true},
		{"CHLD from a process", together, user(unix.SIGCHLD, other), true},
		{"CHLD of a child", together, relay.Signal{Number: unix.SIGCHLD, Code: 1, PID: other}, false},
		{"XCPU: the CPU time of this process", apart, from(unix.SIGXCPU, kernel), false},
		{"XFSZ from a process", together, user(unix.SIGXFSZ, other), true},
		{"XFSZ by a write of arenacap", apart, user(unix.SIGXFSZ, own), false},
		{"INT from a process", together, user(unix.SIGINT, other), true},
		{"the terminal key for INT, in the group", together, from(unix.SIGINT, kernel), false},
		{"the terminal key for INT, in another group", apart, from(unix.SIGINT, kernel), true},
		{"the terminal key for TSTP, in the group", together, from(unix.SIGTSTP, kernel), false},
		{"WINCH, in the group", together, from(unix.SIGWINCH, kernel), false},
		{"WINCH, in another group", apart, from(unix.SIGWINCH, kernel), true},
		{"TTIN for a read of arenacap", apart, from(unix.SIGTTIN, kernel), false},
		{"TTOU for a write of arenacap", apart, from(unix.SIGTTOU, kernel), false},
		{"a hang-up, in the group", together, from(unix.SIGHUP, kernel), false},
		{"a hang-up, in another group", apart, from(unix.SIGHUP, kernel), true},
		{"a hang-up, as session leader", leader, from(unix.SIGHUP, kernel), true},
	} {
		if got := c.at.forwards(c.s); got != c.want {
			t.Errorf("%s: forwarded %v, want %v", c.name, got, c.want)
		}
	}
}

func TestMirrors(t *testing.T) {
	for _, c := range []struct {
		stop     unix.Signal
		ownGroup bool
		want     bool
	}{
		{unix.SIGTSTP, true, true}, {unix.SIGSTOP, true, true}, {unix.SIGTTIN, false, true}, {unix.SIGTTOU, false, true},
		{unix.SIGTSTP, false, true}, {unix.SIGSTOP, false, false},
	} {
		if got := mirrors(c.stop, c.ownGroup); got != c.want {
			t.Errorf("%d, own group %v: %v, want %v", c.stop, c.ownGroup, got, c.want)
		}
	}
}
