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
		for _, k := range fresh {
			if _, done := side[k.pid]; done {
				continue
			}
			known, done := side[k.parent]
			switch {
			case done:
				side[k.pid] = known
			case member(k.parent):
				side[k.pid] = true
			case k.parent == 0 || outsider(k.parent):
				side[k.pid] = false
			}
		}
		if len(side) == before {
			break
		}
	}
	for _, k := range fresh {
		if isIn, done := side[k.pid]; isIn {
			in = append(in, k.pid)
		} else if done {
			out = append(out, k.pid)
		}
	}
	return in, out
}
