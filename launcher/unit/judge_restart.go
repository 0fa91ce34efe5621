package unit

// This file checks whether Restart= starts the service again after a breach, and whether a restart now would do harm.

import (
	"cmp"
	"slices"
)

// sessionUnits are system units whose restart ends sessions of users, or cuts services off from each other.
var sessionUnits = []string{"dbus.service", "dbus-broker.service", "systemd-logind.service", "user@.service"}

func restartsSessions(name string) bool { return slices.Contains(sessionUnits, template(name)) }

// judgeSessions notes why Next does not restart the unit.
func (p *planner) judgeSessions() {
	if p.u.Home == "" && restartsSessions(p.u.Name) {
		p.note("a restart of %s would end sessions of users or disturb other services; the drop-in is in force from the next boot", p.u.Name)
	}
}

// judgeRestart proposes a Restart= that starts the service again after a breach. For systemd a termination by SIGTERM is
// clean (systemd.service(5), Restart=); a supervising arenacap exits with 124, which is a failure.
func (p *planner) judgeRestart() {
	restart := p.u.last("Restart")
	if p.watched() && !p.u.perConnection && p.w.Plan.Policy.Budget.Action == "terminate" {
		told := p.supervised() && p.notifying() == "" // true if systemd sees the exit status 124 of arenacap
		ok := restart == "always" || restart == "on-success" && !told || restart == "on-failure" && told
		wanted := "always"
		if told {
			wanted = "on-failure"
		}
		switch {
		case ok:
		case p.u.last("Type") == "oneshot" && !told:
			p.note("Type=oneshot: whatever Restart= says, systemd does not restart a program that exits with status 0 after the SIGTERM of a breach; if it has to restart, use --supervise and write Restart=on-failure")
		default:
			p.note(`action = "terminate" ends the server with SIGTERM, and Restart=%s does not restart it; if it has to restart, uncomment the line #Restart=%s in the drop-in`, cmp.Or(restart, "no"), wanted)
			restart = wanted
			p.line("#Restart=%s", restart)
		}
	}
	if (restart == "always" || restart == "on-failure") && p.u.last("RestartPreventExitStatus") == "" {
		p.line("# 125: arenacap cannot obey its policy; 126, 127: it cannot execute or find the program. A restart would not help:")
		p.line("#RestartPreventExitStatus=125 126 127")
	}
}
