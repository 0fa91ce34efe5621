package unit

// Judgement of Restart=: does the service start again after a breach.

import "cmp"

// judgeRestart says which Restart= starts the service again after a breach. systemd calls an end by SIGTERM clean
// (systemd.service(5), Restart=); a supervising arenacap ends with 124.
func (p *planner) judgeRestart() {
	restart := p.u.last("Restart")
	if p.watched() && !p.u.perConnection && p.w.Plan.Policy.Budget.Action == "terminate" {
		told := p.supervised() && p.notifying() == "" // the status 124
		ok := restart == "always" || restart == "on-success" && !told || restart == "on-failure" && told
		switch {
		case ok:
		case p.u.last("Type") == "oneshot" && !told:
			p.note("Type=oneshot: terminated over its budget, a program that ends in order at SIGTERM is not started again, whatever Restart= says; where it shall be, ask with --supervise and write Restart=on-failure")
		default:
			p.note(`with action = "terminate" the server ends by SIGTERM, which Restart=%s takes for a stop; where it shall start again, take the # from the Restart= below`, cmp.Or(restart, "no"))
			if restart = "always"; told {
				restart = "on-failure"
			}
			p.line("#Restart=%s", restart)
		}
	}
	if (restart == "always" || restart == "on-failure") && p.u.last("RestartPreventExitStatus") == "" {
		p.line("# 125: arenacap cannot obey; 126, 127: no such program. Another start would not help:")
		p.line("#RestartPreventExitStatus=125 126 127")
	}
}
