package target

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/testenv"
)

// cells has command lines that start a server, PROBE, through carriers of Debian. Lines that begin with "root:" need
// root. Slow lines begin with "full:", and run only if testenv.Full. The test runs each line to find its effect on the
// environment.
var cells = []string{
	"env PROBE", "env -i PROBE", "env -u MALLOC_ARENA_MAX PROBE", "env MALLOC_ARENA_MAX=5 PROBE", "env -i MALLOC_ARENA_MAX=2 PROBE", "env -S 'A=1 PROBE'", "env -iS PROBE", "env - A=b PROBE",
	"env GLIBC_TUNABLES=glibc.malloc.arena_max=5 PROBE", "env --ignore-environment A=1 PROBE", "env --unset=A -C / PROBE",
	"nice PROBE", "nice -n 1 PROBE", "nice -2 PROBE", "nice --adjustment=1 PROBE", "ionice -c 3 PROBE", "ionice -c2 -n 7 PROBE", "chrt -o 0 PROBE", "chrt --batch 0 PROBE",
	"taskset -c 0 PROBE", "taskset 1 PROBE", "numactl -a --localalloc PROBE", "timeout 60 PROBE", "timeout -k 5 -s INT 60s PROBE", "stdbuf -oL PROBE", "stdbuf -o L -eL PROBE",
	"setsid -w PROBE", "nohup PROBE", "prlimit --nofile=200 PROBE", "prlimit -n=200 --core=0 PROBE", "choom -n 100 PROBE", "setarch x86_64 -R PROBE", "setarch -R PROBE", "linux64 PROBE",
	"setpriv --no-new-privs PROBE", "setpriv --nnp --inh-caps=-all -- PROBE", "busybox PROBEENV", "busybox env -i PROBE", "busybox sh -c PROBE",
	"chpst -n 1 PROBE", "chpst -e VARS PROBE", "chpst -e EMPTY PROBE", "envdir VARS PROBE", "envdir EMPTY PROBE", "softlimit -o 200 PROBE",
	"s6-envdir VARS PROBE", "s6-softlimit -o 200 PROBE", "s6-setsid PROBE",
	"tini -s -- PROBE", "tini -s PROBE", "tini -s -g -e 143 -- PROBE", "dumb-init PROBE", "dumb-init -c -r 15:3 -- PROBE", "dumb-init --single-child PROBE",
	"sh -c PROBE", "sh -c 'exec PROBE'", "sh -c 'PROBE; :'", "sh -ec 'PROBE'", "sh -c 'env -i PROBE; :'", "sh -c 'MALLOC_ARENA_MAX=5 PROBE'", "sh -c 'export MALLOC_ARENA_MAX=5; PROBE'", "sh -c 'unset MALLOC_ARENA_MAX; exec PROBE'",
	"sh -c 'MALLOC_ARENA_MAX=5 :; PROBE'", "bash -c 'MALLOC_ARENA_MAX=5 :; PROBE'", "ksh -c 'MALLOC_ARENA_MAX=5 set -e; PROBE'", "zsh -c 'MALLOC_ARENA_MAX=5 :; PROBE'", "sh -c 'MALLOC_ARENA_MAX=5 command :; PROBE'", "env MALLOC_ARENA_MAX=02 PROBE",
	"sh -c 'MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-5} PROBE'", "sh -c '\"$@\"' x PROBE", "sh -c 'exec \"$0\"' PROBE", "bash -c PROBE", "bash --norc -c PROBE", "bash -c 'exec env -u MALLOC_ARENA_MAX PROBE'", "dash -c PROBE", "ksh -c PROBE", "zsh -c PROBE",
	"sh SCRIPT", "sh -e SETS", "SCRIPT", "SETS", "bash SETS", "xargs -a LIST PROBE", "xargs -a LIST env -i PROBE", "find LIST -exec PROBE ;", "find LIST -maxdepth 0 -exec env -i PROBE ;",
	"strace -f -o /dev/null PROBE", "strace -o /dev/null -E MALLOC_ARENA_MAX=5 PROBE", "strace -o /dev/null -E MALLOC_ARENA_MAX PROBE", "strace -qq -e trace=none --signal=none PROBE", "ltrace -o /dev/null -e none PROBE",
	"time -o /dev/null PROBE", "time -f %M -o /dev/null PROBE", "script -qc PROBE /dev/null", "flock LOCK PROBE", "flock -n LOCK.2 -c PROBE", "flock -n LOCK.3 -c 'env -i PROBE'",
	"linux32 PROBE", "i386 PROBE", "authbind --deep PROBE", "mksh -c PROBE", "ksh93 -c PROBE", "tini-static -s -- PROBE", "catatonit -- PROBE", "catatonit PROBE", "busybox setsid PROBE", "strace -D -o /dev/null PROBE", "flock -F LOCK.4 PROBE",
	"valgrind -q --tool=none PROBE", "valgrind -q PROBE", "full: valgrind -q --vgdb=no env -i PROBE", "full: valgrind -q --trace-children=yes nice PROBE", "full: valgrind -q --vgdb=no SCRIPT", "perf stat -e task-clock -o /dev/null PROBE", "full: perf record -e cpu-clock -o /dev/null PROBE",
	"runsv SERVICE.1", "s6-supervise SERVICE.2", "supervise SERVICE.3",
	"start-stop-daemon --start --quiet --pidfile LOCK.one --exec PROBE", "start-stop-daemon -S -q --startas PROBE --pidfile LOCK.pid -- -x", "gdb -q -batch -ex run --args PROBE",
	"root: setpriv --reset-env --reuid 65534 PROBE", "root: setpriv --reuid 65534 --clear-groups PROBE", "root: unshare -m PROBE", "root: unshare --mount --fork PROBE", "root: unshare -mf env -i PROBE", "root: chroot / PROBE", "root: chroot --userspec=65534:65534 / PROBE", "root: chroot ROOT PROBE", "root: chroot ROOT env -i PROBE", "root: chroot ROOT sh -c 'exec nice PROBE'", "root: unshare --root ROOT nice PROBE", "root: chpst -/ ROOT PROBE",
	"root: nsenter -t INSIDE -u PROBE", "root: nsenter -t INSIDE -m -p PROBE", "root: nsenter --all --target INSIDE nice PROBE", "root: nsenter -t INSIDE -m -p env -i PROBE", "root: cgexec -g cpu:/ PROBE",
	"root: gosu nobody PROBE", "root: setuidgid nobody PROBE", "root: chpst -u nobody PROBE", "root: s6-setuidgid nobody PROBE", "root: s6-applyuidgid -u 65534 -g 65534 PROBE", "root: s6-envuidgid nobody PROBE",
	"root: su root -c PROBE", "root: su - root -c PROBE", "root: su -l -c PROBE", "root: su -c PROBE", "root: su -p -c PROBE root", "root: su -w MALLOC_ARENA_MAX - root -c PROBE", "root: su --login root --command PROBE", "root: su nobody -s /bin/sh -c PROBE",
	"root: runuser -u nobody -- PROBE", "root: runuser -u nobody PROBE", "root: runuser -l root -c PROBE", "root: runuser root -c PROBE", "root: runuser - root -c PROBE",
	"root: sudo PROBE", "root: sudo -u nobody PROBE", "root: sudo -E PROBE", "root: sudo --preserve-env=MALLOC_ARENA_MAX PROBE", "root: sudo --preserve-env=A PROBE", "root: sudo MALLOC_ARENA_MAX=2 PROBE", "root: sudo MALLOC_ARENA_MAX=5 PROBE", "root: sudo -i PROBE", "root: sudo -s PROBE", "root: sudo -H -n -u nobody -- PROBE",
	"root: bwrap --dev-bind / / PROBE", "root: bwrap --dev-bind / / --clearenv PROBE", "root: bwrap --dev-bind / / --setenv MALLOC_ARENA_MAX 5 PROBE", "root: bwrap --dev-bind / / --unsetenv MALLOC_ARENA_MAX PROBE",
	"root: firejail --quiet --noprofile PROBE", "root: firejail --quiet --noprofile --env=MALLOC_ARENA_MAX=5 PROBE", "root: firejail --quiet --noprofile --rmenv=MALLOC_ARENA_MAX PROBE",
	// Most of these lines have two to four carriers.
	"nice env -i PROBE", "env -i nice PROBE", "timeout 60 nice stdbuf -oL PROBE", "nohup setsid -w env -u MALLOC_ARENA_MAX PROBE", "tini -s -- sh -c 'exec nice PROBE'", "sh -c 'nice env - timeout 60 PROBE'", "env -i env MALLOC_ARENA_MAX=2 nice PROBE",
	"env MALLOC_ARENA_MAX=2 MALLOC_ARENA_MAX=5 nice PROBE", "env -S 'nice -n 1 env -u A timeout 60' PROBE", "bash -c 'export -n MALLOC_ARENA_MAX; exec nice PROBE'", "bash -c 'declare +x MALLOC_ARENA_MAX; PROBE'", "bash -c 'exec -a x env -i PROBE'", "bash -c 'MALLOC_ARENA_MAX=$((2+3)) exec nice PROBE'", "bash -c 'GLIBC_TUNABLES=glibc.malloc.arena_max=5:$GLIBC_TUNABLES PROBE'",
	"busybox timeout 60 nice PROBE", "strace -f -o /dev/null -- nice env -i PROBE", "flock LOCK.5 sh -c 'exec nice PROBE'", "script -qec 'nice env -i PROBE' /dev/null", "tini -sg -- dumb-init catatonit -- PROBE", "full: gdb -q -batch -ex run --args env -i PROBE", "softlimit -o 300 setsid -w s6-softlimit -o 300 PROBE", "numactl -l taskset -c 0 chrt -o 0 PROBE", "prlimit --core=0 choom -n 100 -- ionice -c3 PROBE", "perf stat -o /dev/null -e task-clock nice env -i PROBE",
	"root: sudo -u nobody env MALLOC_ARENA_MAX=2 nice PROBE", "root: setsid -w su root -c 'MALLOC_ARENA_MAX=5 nice PROBE'", "root: unshare -m chroot ROOT env -i PROBE", "root: bwrap --unshare-pid --dev-bind / / --proc /proc timeout 60 nice PROBE", "root: firejail --quiet --noprofile nice env -i PROBE", "root: gosu nobody sh -c 'exec nice PROBE'", "root: cgexec -g cpu:/ sudo -E nice PROBE",
	"xargs -a LIST nice -n 1 env -i PROBE", "dumb-init sh -c 'exec timeout 60 env MALLOC_ARENA_MAX=5 PROBE'", "find LIST -exec sh -c PROBE ;", "bash -c 'exec sh -c \"exec nice PROBE\"'", "chpst -n 1 envdir VARS nice PROBE", "nice SETS", "timeout 60 sh -c 'exec SCRIPT'",
	"root: sudo nice sh -c PROBE", "root: sudo -E nice timeout 60 PROBE", "root: nice su - root -c 'env MALLOC_ARENA_MAX=2 PROBE'", "root: tini -s -- gosu nobody nice PROBE", "root: unshare -m sudo -E env -i PROBE", "root: runuser -u nobody -- env -i MALLOC_ARENA_MAX=2 nice PROBE",
}

// seen finds the line of the probe in the output of a carrier.
var seen = regexp.MustCompile(`(?m)[01] (\d+) /\S+ (\d+) (\w+)\r?$`)

// TestMatrixOfCarriers runs each command line with a cap of 2, and compares the verdict with the server's environment,
// its number of arenas and its PID, which differs from that of the first carrier if a carrier stays.
func TestMatrixOfCarriers(t *testing.T) {
	dir := publicDir(t)
	probe := dir + "/probe"
	build(t, "gcc", "-o", probe, "testdata/arenas.c", "-pthread")
	must(t, os.Chmod(probe, 0o755))
	tree(t, dir, [][3]string{
		{"vars/MALLOC_ARENA_MAX", "644", "5\n"}, {"empty/A", "644", "1\n"}, {"list", "644", "one\n"}, {"lock", "666", ""},
		{"service.1/run", "755", "#!/bin/sh\nexec nice " + probe + "\n"}, {"service.1/finish", "755", "#!/bin/sh\nkill $PPID\n"},
		{"service.2/run", "755", "#!/bin/sh\nexec s6-notifyoncheck -d " + probe + "\n"}, {"service.2/notification-fd", "644", "3\n"}, {"service.2/data/check", "755", "#!/bin/sh\n"}, {"service.2/finish", "755", "#!/bin/sh\nkill $PPID\n"},
		{"service.3/run", "755", "#!/bin/sh\n" + probe + "\nkill $PPID\n"},
		{"starts", "755", "#!/bin/sh\n: start\nexec " + probe + " \"$@\"\n"}, {"sets", "755", "#!/bin/sh\nexport MALLOC_ARENA_MAX=5\nexec " + probe + "\n"},
	})
	place := strings.NewReplacer("PROBEENV", "env "+probe, "PROBE", probe, "VARS", dir+"/vars", "EMPTY", dir+"/empty", "SCRIPT", dir+"/starts", "SETS", dir+"/sets", "LIST", dir+"/list", "LOCK", dir+"/lock", "SERVICE", dir+"/service", "INSIDE", startInside(t), "ROOT", makeRoot(t, probe))
	for _, cell := range cells {
		cell, full := strings.CutPrefix(cell, "full: ")
		if full && !testenv.Full() {
			continue
		}
		t.Run(strings.ReplaceAll(cell, "/", "∕"), func(t *testing.T) {
			t.Parallel()
			line, root := strings.CutPrefix(cell, "root: ")
			if root {
				testenv.NeedRoot(t)
			}
			testenv.Need(t, strings.Fields(place.Replace(line))[0])
			compareCell(t, words(place.Replace(line)))
		})
	}
}

// makeRoot makes a root directory with a shell, env, nice, the probe and their libraries.
func makeRoot(t *testing.T, probe string) string {
	testenv.Need(t, "ldd")
	root := publicDir(t)
	for _, program := range []string{probe, "/bin/sh", "/usr/bin/env", "/usr/bin/nice"} {
		for _, file := range append(regexp.MustCompile(`/\S+`).FindAllString(run(t, exec.Command("ldd", program)), -1), program) {
			text, err := os.ReadFile(file)
			must(t, err)
			tree(t, root, [][3]string{{file, "755", string(text)}})
		}
	}
	return root
}

// startInside starts a process in its own mount and PID namespaces, and returns its PID, or "0" where that is not
// allowed.
func startInside(t *testing.T) string {
	cmd := exec.Command("unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c", "echo ready; exec cat")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	if cmd.Start() != nil {
		return "0"
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	if ready, _ := bufio.NewReader(stdout).ReadString('\n'); ready == "" {
		return "0"
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", cmd.Process.Pid))
	return strings.TrimSpace(string(children))
}

func compareCell(t *testing.T, args []string) {
	t.Helper()
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "MALLOC_ARENA_MAX=2"}
	path, err := Find(args[0], env)
	must(t, err)
	judged := Examine(path, args, env)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Env, cmd.Dir = env, "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	m := seen.FindStringSubmatch(out.String())
	if m == nil {
		if slices.Contains([]string{"bwrap", "firejail", "unshare", "nsenter", "cgexec", "perf"}, args[0]) { // these carriers fail where namespaces, control groups or perf events are not allowed
			t.Skipf("%q does not run here: %v: %.300s", args, err, out.String())
		}
		testenv.Lack(t, "%q does not run here: %v: %.300s", args, err, out.String())
	}
	capped := m[1] == "2"
	if kept := strings.TrimPrefix(m[3], "0") == "2" && (capped || m[1] == "1"); judged.Arrives == Unknown || (judged.Arrives == Yes) != kept {
		t.Errorf("arrives: %v (%q), and MALLOC_ARENA_MAX is %s with %s arenas", judged.Arrives, judged.Why, m[3], m[1])
	}
	stays := slices.ContainsFunc(judged.Chain, func(l Link) bool { return l.Stays })
	if samePID := m[2] == strconv.Itoa(cmd.Process.Pid); stays == samePID {
		t.Errorf("a carrier stays as the parent: %v (%+v), and the server is process %s of %d", stays, judged.Chain, m[2], cmd.Process.Pid)
	}
	if judged.CanCap == Yes && !capped || judged.CanCap == No && capped {
		t.Errorf("can cap: %v (%q), and there are %s arenas", judged.CanCap, judged.Why, m[1])
	}
	if judged.CanCap == Unknown && judged.Server != "" {
		t.Errorf("can cap: unknown (%q)", judged.Why)
	}
}

// TestDoasForReal runs doas with a configuration of its own, in a mount namespace that has a copy of some of /etc.
func TestDoasForReal(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "doas", "unshare", "mount")
	dir := publicDir(t)
	build(t, "gcc", "-o", dir+"/probe", "testdata/arenas.c", "-pthread")
	must(t, os.Chmod(dir+"/probe", 0o755))
	run(t, exec.Command("sh", "-c", `for f in passwd group shadow pam.d security nsswitch.conf ld.so.cache login.defs; do if test -e "/etc/$f"; then cp -a "/etc/$f" "$0"; fi; done`, dir))
	self, err := os.Executable()
	must(t, err)
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", `mount --bind "$0" /etc && exec "$@"`, dir}, args...)...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "MALLOC_ARENA_MAX=2"}
		return cmd
	}
	if out, err := inside("true").CombinedOutput(); err != nil {
		t.Skipf("a mount namespace is not allowed here: %v: %s", err, out)
	}
	for _, rules := range []string{"permit nopass root", "permit nopass keepenv root", "permit nopass setenv { MALLOC_ARENA_MAX } root", "permit nopass setenv { MALLOC_ARENA_MAX=5 } root", "permit nopass keepenv setenv { -MALLOC_ARENA_MAX } root"} {
		must(t, os.WriteFile(dir+"/doas.conf", []byte(rules+"\n"), 0o600))
		_, got := judged(t, inside(self, "/usr/bin/doas", "doas", "nice", dir+"/probe"))
		out := run(t, inside("doas", "nice", dir+"/probe"))
		m := seen.FindStringSubmatch(out)
		if m == nil || got.Arrives != answer(m[3] == "2") || got.CanCap != answer(m[1] == "2") || !got.Chain[0].Stays {
			t.Errorf("%s: arrives %v, can cap %v, %+v; the probe says %q", rules, got.Arrives, got.CanCap, got.Chain, out)
		}
	}
}

// TestSudoersOfThisMachine: an ordinary user may not read sudoers, so the verdict is unknown and not No.
func TestSudoersOfThisMachine(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "sudo")
	if _, err := os.Stat("/etc/sudoers"); err != nil {
		testenv.Lack(t, "%v", err)
	}
	cmd := asUser(nobody, self("", "/usr/bin/sudo", "sudo", "/bin/true"))
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	quick, thorough := judged(t, cmd)
	for _, got := range []Target{quick, thorough} {
		if got.Arrives != Unknown || got.CanCap != Unknown || !strings.Contains(got.Problem(), "it is unknown whether the cap arrives: sudo's configuration decides") {
			t.Errorf("arrives %v, can cap %v: %s", got.Arrives, got.CanCap, got.Problem())
		}
	}
}
