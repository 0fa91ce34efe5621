package watch

// Finding the descendants of the target in a listing of /proc.

// edge is a process and its parent in one listing of /proc.
type edge struct{ pid, parent int }

// classify divides new processes by their chain of parents: in if it reaches a member, out if it reaches an outsider. For
// the rest a parent was not in the listing yet; the next listing decides. The listing is sorted by PID, so parents usually
// come first, but PIDs wrap around, so it repeats until nothing changes.
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
