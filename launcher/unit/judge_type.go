package unit

// Judgement of how systemd follows the service's processes (systemd.service(5), Type=, PIDFile=, NotifyAccess=).

import (
	"strings"
)

// judgeType is about how systemd follows the service's processes (systemd.service(5), Type=, PIDFile=).
func (p *planner) judgeType() {
	switch why := p.notifying(); {
	case p.u.last("Type") == "forking":
		if p.watched() {
			p.judgeForking()
		}
	case why != "" && p.supervised():
		p.judgeNotify(why)
	}
}

// notifying is the setting for which the service has a NOTIFY_SOCKET, and arenacap, if it supervises, says there that
// the program is the main process; "" is none. Type=notify, WatchdogSec= and FileDescriptorStoreMax= imply
// NotifyAccess=main, also where "none" is written (v252: src/core/service.c, service_add_extras).
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

// judgeNotify: MAINPID= makes a child of arenacap the main process, whose end systemd can neither wait for nor ask of.
func (p *planner) judgeNotify(why string) {
	p.note("%s: a supervising arenacap makes the program the main process, which is no child of systemd's then: its status is lost unless NotifyAccess=all is written, and nothing but Restart=always starts it again; leave supervising out", why)
	if kill := p.u.last("KillMode"); kill == "mixed" || kill == "process" {
		p.note("%s: with KillMode=%s systemd sends SIGKILL right behind SIGTERM where the main process is no child of its own; leave supervising out, or write KillMode=control-group", why, kill)
	}
}

func (p *planner) judgeForking() {
	if p.supervised() {
		p.note(`Type=forking: the process that is started ends once the service runs, and a supervising arenacap with it; leave supervising out, and write scope = "cgroup" in the policy's [budget]`)
	} else if p.w.Plan.Policy.Budget.Scope == "process" {
		p.note(`Type=forking: the process that is started ends once the service runs, and with it its watch; write scope = "cgroup" in the policy's [budget]`)
	}
	if guess := p.u.last("GuessMainPID"); p.u.last("PIDFile") == "" && (guess == "" || p.u.yes("GuessMainPID")) {
		p.note("Type=forking without PIDFile=: systemd takes the only process that is left for the main one, but the watch is left too, so it will know none; write PIDFile= with the file that the program writes")
	}
}
