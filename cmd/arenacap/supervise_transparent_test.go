package main

// These tests check that --supervise changes nothing in the target except what follows from being a child of arenacap.

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// childOfOurs are the differences that a supervised target sees because it is a child of arenacap and not the started
// process.
var childOfOurs = []string{"pid: as started → ", "ppid: as started → "}

// otherwise has the differences that occur in one situation only, by the name of the situation: properties of the started
// process that a child does not inherit (fork(2)). If such a property, for example a timer, makes the kernel signal arenacap,
// arenacap forwards the signal.
var otherwise = map[string][]string{
	"process group":            {"process group: self → "},
	"session":                  {"process group: self → ", "session: self → ", "autogroup: absent → "}, // the probe shows no autogroup if it is a session leader
	"autogroup":                {"process group: self → ", "session: self → ", "autogroup: absent → "},
	"fifo with reset on fork":  {"scheduling: policy 1 flags 1 "}, // SCHED_RESET_ON_FORK (flag 1) resets the policy of a child
	"descriptor with locks":    {"fdinfo 4[4]: lock POSIX ", "fdinfo 5[4]: lock FLOCK ADVISORY WRITE self"},
	"descriptor with an owner": {"fd 5: "},
	"timer slack":              {"default timer slack: "}, // a child's default is the parent's current value (prctl(2), PR_SET_TIMERSLACK)
	"interval timers":          {"interval timer 0: armed", "interval timer 1: armed", "interval timer 2: armed"},
}

// superviseWrappers are the wrappers with arenacap as the parent.
func superviseWrappers(t *testing.T, arenacap string) (all []wrapper) {
	t.Helper()
	for _, w := range wrappers(t, arenacap) {
		w.args = slices.Insert(slices.Clone(w.args), 2, "--supervise")
		w.name += ", supervised"
		w.known = childOfOurs
		all = append(all, w)
	}
	return all
}

// TestSupervisedTransparency runs the probe in each situation, without arenacap and as its child, and compares the facts.
func TestSupervisedTransparency(t *testing.T) {
	tool := requireTools(t)
	plain, err := launch{}.run(t, filepath.Join(openDir(t), "facts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range sample(tool) {
		t.Run(b.name, func(t *testing.T) {
			wraps := superviseWrappers(t, b.path)
			for _, s := range append(situations(t), closedDescriptors(b.losses)...) {
				s.known = append(slices.Clone(s.known), otherwise[s.name]...)
				// A build without the entry point of package origin does not save pending signals. Its supervisor
				// receives the signal that is pending for the thread, and forwards it to the target, where it is
				// pending for the process.
				if s.name == "pending signals" && b.losses.blocked != nil {
					s.known = append(s.known, "status ShdPnd: ", "status SigPnd: ")
				}
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					if s.root {
						testenv.NeedRoot(t)
					}
					s.compare(t, plain, wraps)
				})
			}
			t.Run("signals", func(t *testing.T) {
				t.Parallel()
				var ignore, block []string
				for n := 1; n <= 64; n++ {
					if n != int(unix.SIGKILL) && n != int(unix.SIGSTOP) {
						ignore = append(ignore, "ignore", strconv.Itoa(n))
						block = append(block, "block", strconv.Itoa(n))
					}
				}
				for _, w := range wraps {
					checkLost(t, w, ignore, " action: ignored → default", b.losses.ignored)
					checkLost(t, w, block, " blocked: 1 → 0", b.losses.blocked)
				}
			})
		})
	}
}
