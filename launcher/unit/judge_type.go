package unit

// This file checks whether systemd can track the service's processes with arenacap in front (systemd.service(5),
// Type=, PIDFile=, NotifyAccess=).

import (
	"strings"
)

// judgeType refuses or notes what does not work with the service's Type=.
func (p *planner) judgeType() {
	if n := len(p.u.commands); n > 1 && p.u.last("Type") != "oneshot" {
		p.refuse("the unit has %d commands in ExecStart=, which systemd starts only with Type=oneshot; keep only one of them, or write Type=oneshot", n)
	}
	switch why := p.notifying(); {
	case p.u.last("Type") == "forking":
		if p.watched() {
			p.judgeForking()
		}
	case why != "" && p.supervised():
		p.judgeNotify(why)
	}
}

// notifying returns the setting that gives the service a NOTIFY_SOCKET, or "". Through that socket a supervising arenacap
// declares the program the main process. Type=notify, WatchdogSec= and FileDescriptorStoreMax= imply NotifyAccess=main,
// even if the unit says "none" (v252: src/core/service.c, service_add_extras).
func (p *planner) notifying() string {
	if t := p.u.last("Type"); t == "notify" || t == "notify-reload" {
		return "Type=" + t
	}
	for _, key := range []string{"WatchdogSec", "FileDescriptorStoreMax"} {
		if v := p.u.last(key); v == "infinity" || strings.ContainsAny(v, "123456789") {
			return key + "=" + v
		}
	}
	if access := p.u.last("NotifyAccess"); access != "" && access != "none" {
		return "NotifyAccess=" + access
	}
	return ""
}

// judgeNotify notes the cost of MAINPID=: the main process is then a child of arenacap, so systemd cannot wait for it
// and gets its exit status only with NotifyAccess=all, from arenacap.
func (p *planner) judgeNotify(why string) {
	p.note("%s: a supervising arenacap makes the program the main process, which is not systemd's child: its exit status is lost unless the unit has NotifyAccess=all, and only Restart=always restarts it; use mode = \"exec\" without --supervise", why)
	if kill := p.u.last("KillMode"); kill == "mixed" || kill == "process" {
		p.note("%s: with KillMode=%s systemd sends SIGKILL right after SIGTERM if the main process is not its child; use mode = \"exec\" without --supervise, or write KillMode=control-group", why, kill)
	}
}

func (p *planner) judgeForking() {
	if p.supervised() {
		p.note(`Type=forking: the started process exits once the service runs, and a supervising arenacap exits with it; use mode = "exec" without --supervise, and write scope = "cgroup" in the policy's [budget]`)
	} else if p.w.Plan.Policy.Budget.Scope == "process" {
		p.note(`Type=forking: the started process exits once the service runs, and its watch exits with it; write scope = "cgroup" in the policy's [budget]`)
	}
	if guess := p.u.last("GuessMainPID"); p.u.last("PIDFile") == "" && (guess == "" || p.u.yes("GuessMainPID")) {
		p.note("Type=forking without PIDFile=: systemd takes the only remaining process as the main one, but the watch remains too, so systemd finds none; write PIDFile= with the file that the program writes")
	}
}
