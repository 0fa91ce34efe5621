package watch

// Which processes of a listing of /proc descend from the target.

// edge is a process and its parent, as one listing of /proc showed them.
type edge struct{ pid, parent int }

// classify divides processes that were not known before: those whose line of parents reaches a member, and
// those of which it is certain that it does not, because it reaches an outsider. Of the rest the parent was
// not in the listing yet; they are looked at again the next time. Listings go up by PID, so parents mostly
// come first, but PIDs wrap: hence the rounds.
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
