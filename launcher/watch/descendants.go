package watch

// This file finds the descendants of the target in a listing of /proc.

// edge is a process and its parent in one listing of /proc.
type edge struct{ pid, parent int }

// classify divides new processes by their chain of parents into two lists: those whose chain reaches a member, and
// those whose chain reaches an outsider or PID 0. A process is in neither list if a parent was not in the listing of
// /proc; the next listing decides. The listing is sorted by PID, so parents usually come before their children. But
// PIDs wrap around, so the search is repeated until nothing changes.
func classify(fresh []edge, member, outsider func(pid int) bool) (in, out []int) {
	side := map[int]bool{}
	for {
		before := len(side)
		for _, e := range fresh {
			if _, done := side[e.pid]; done {
				continue
			}
			known, done := side[e.parent]
			switch {
			case done:
				side[e.pid] = known
			case member(e.parent):
				side[e.pid] = true
			case e.parent == 0 || outsider(e.parent):
				side[e.pid] = false
			}
		}
		if len(side) == before {
			break
		}
	}
	for _, e := range fresh {
		if isIn, done := side[e.pid]; isIn {
			in = append(in, e.pid)
		} else if done {
			out = append(out, e.pid)
		}
	}
	return in, out
}
