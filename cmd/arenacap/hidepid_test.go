package main

// This test mounts a /proc that hides the processes of other users (proc(5), hidepid).

import (
	"os"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// hiding mounts /proc with hidepid, and lets the user nobody inspect and watch a process of root. It runs in a PID
// namespace of its own, because before Linux 5.8 the option applies to every mount of /proc in a PID namespace.
const hiding = `mount -t proc -o hidepid=2 proc /proc || exit 9
sleep 100 & pid=$!
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
$nobody "$1" inspect $pid; echo "inspect $?"
$nobody "$1" inspect 4194304; echo "inspect $?"
$nobody "$1" watch --budget 1GiB $pid; echo "watch $?"
"$1" inspect $pid >/dev/null; echo "root $?"
kill $pid`

func TestHidePID(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "unshare", "mount", "setpriv")
	o, said := start(t, t.TempDir(), os.Environ(), nil,
		[]string{"/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", hiding, "sh", requireTools(t).checked})
	if o.status == 9 || strings.Contains(said, "unshare:") {
		testenv.Lack(t, "no /proc of its own: %s", said)
	}
	if want := "inspect 1\ninspect 1\nwatch 1\nroot 0\n"; o.stdout != want {
		t.Errorf("%q, want %q", o.stdout, want)
	}
	for _, want := range []string{"is hidden by the option hidepid of /proc; run as root", "process 4194304: no such process", "is /proc mounted with hidepid?"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
}
