package unit

// This file checks whether Restart= starts the service again after a breach.

import "cmp"

// judgeRestart proposes a Restart= that starts the service again after a breach. For systemd a termination by SIGTERM is
// clean (systemd.service(5), Restart=); a supervising arenacap exits with 124, which is a failure.
func (p *planner) judgeRestart() {
	restart := p.u.last("Restart")
	if p.watched() && !p.u.perConnection && p.w.Plan.Policy.Budget.Action == "terminate" {
		told := p.supervised() && p.notifying() == "" // true if systemd sees the exit status 124 of arenacap
		ok := restart == "always" || restart == "on-success" && !told || restart == "on-failure" && told
		switch {
		case ok:
		case p.u.last("Type") == "oneshot" && !told:
			p.note("Type=oneshot: whatever Restart= says, systemd does not restart a program that exits with status 0 after the SIGTERM of a breach; if it has to restart, use --supervise and write Restart=on-failure")
		default:
			p.note(`action = "terminate" ends the server with SIGTERM, and Restart=%s does not restart it; if it has to restart, uncomment the Restart= below`, cmp.Or(restart, "no"))
			if restart = "always"; told {
				restart = "on-failure"
			}
			p.line("#Restart=%s", restart)
		}
	}
	if (restart == "always" || restart == "on-failure") && p.u.last("RestartPreventExitStatus") == "" {
		p.line("# 125: arenacap cannot obey its policy; 126, 127: it cannot execute or find the program. A restart would not help:")
		p.line("#RestartPreventExitStatus=125 126 127")
	}
}
