//go:build booted

package systemd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// These tests run in a container that .ci/systemd has booted: systemd is PID 1, /usr/bin/arenacap is the release, and
// /opt/lab contains the server (src/server.c) and two other builds of arenacap: the plain "go build" and the release for
// 386.

// watched is a policy with a budget that is never exceeded, so that there is a watch. With --verbose the watch logs
// that it inspected the server.
const watched = `
[arenas]
cap = 3
[budget]
virtual  = "64GiB"
settle   = "0s"
interval = "20ms"
`

// modes are the two modes of launching a server.
var modes = []struct{ name, flags string }{{"exec", ""}, {"supervise", " --supervise"}}

// inBothModes runs a check in exec and in supervise mode. The check gets the beginning of a command line.
func inBothModes(t *testing.T, check func(t *testing.T, arenacap string, supervised bool)) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			check(t, "/usr/bin/arenacap run --verbose --policy POLICY"+mode.flags+" --", mode.flags != "")
		})
	}
}

// service is a [Service] section. Its stop timeout is shorter than the test's limit.
func service(lines ...string) string {
	return "[Service]\nTimeoutStopSec=30\nLimitCORE=0\n" + strings.Join(lines, "\n") + "\n"
}

// capped checks that the server runs under the cap, and that the watch has verified and logged that.
func (u *unit) capped() {
	u.t.Helper()
	u.await("cap-verified: ")
	if got := value(u.ask("environ"), "MALLOC_ARENA_MAX"); got != "3" {
		u.t.Errorf("the server has MALLOC_ARENA_MAX=%q", got)
	}
	if got := value(u.ask("grow 8"), "arenas"); got != "3" {
		u.t.Errorf("8 threads have %s arenas, the cap is 3", got)
	}
}

// wantMain checks that the unit's main process is the server, or if the argument "server" is false, another process.
// With --supervise it is arenacap, unless the unit has a PIDFile= or a notification socket: through the socket arenacap
// sends the server's PID as MAINPID=.
func (u *unit) wantMain(server bool) {
	u.t.Helper()
	main, pid := u.mainPID(), u.serverPID()
	if (main == pid) != server {
		u.t.Errorf("MainPID=%d, and the server is %d", main, pid)
	}
}

// ends stops a unit and checks that it stopped cleanly and left no process.
func (u *unit) ends() {
	u.t.Helper()
	server := u.serverPID()
	u.systemctl("stop", u.name)
	u.checkStopped(server)
	u.await("server: stopped")
	u.leavesNothing()
}

func TestBootedType(t *testing.T) {
	for _, kind := range []string{"simple", "exec"} {
		t.Run(kind, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
				u := newUnit(t, watched, service("Type="+kind, "ExecStart="+arenacap+" SERVER")).start()
				u.capped()
				u.wantMain(!supervised)
				u.ends()
			})
		})
	}
	t.Run("notify", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("Type=notify", "NotifyAccess=main", "ExecStart="+arenacap+" SERVER notify")).start()
			u.want("StatusText", "listening", "ActiveState", "active") // the start waited for READY=1
			u.capped()
			u.wantMain(true)
			u.ends()
			for _, e := range u.journal() {
				if strings.Contains(e.Message, "reception only permitted") {
					t.Error(e.Message)
				}
			}
		})
	})
	t.Run("forking", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched+"scope = \"cgroup\"\n",
				service("Type=forking", "PIDFile=/run/NAME.pid", "ExecStart="+arenacap+" SERVER daemonize=/run/NAME.pid")).start()
			u.wantMain(true)
			if got := value(u.ask("environ"), "MALLOC_ARENA_MAX"); got != "3" {
				t.Errorf("the daemon has MALLOC_ARENA_MAX=%q", got)
			}
			u.ends()
		})
	})
	t.Run("exec, a server that daemonizes", func(t *testing.T) { // arenacap runs as long as the daemon that was left behind
		u := newUnit(t, watched+"scope = \"cgroup\"\n",
			service("Type=exec", "ExecStart=/usr/bin/arenacap run --supervise --wait-orphans --policy POLICY -- SERVER daemonize=/run/NAME.pid")).start()
		u.wantMain(false)
		u.want("ActiveState", "active")
		u.ends()
	})
	t.Run("plain build", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("Type=notify", "ExecStart="+strings.Replace(arenacap, "/usr/bin", "/opt/lab/plain", 1)+" SERVER notify")).start()
			u.capped()
			u.wantMain(true)
			u.ends()
		})
	})
	t.Run("oneshot", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("Type=oneshot", "ExecStart="+arenacap+` /bin/sh -c 'echo "it has $MALLOC_ARENA_MAX"'`)).start()
			u.await("it has 3")
			u.checkStopped(0)
		})
	})
}

func TestBootedRestart(t *testing.T) {
	inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
		u := newUnit(t, watched, service("Type=notify", "ExecStart="+arenacap+" SERVER notify")).start()
		first := u.serverPID()
		u.systemctl("restart", u.name)
		if second := u.serverPID(); second == first {
			t.Errorf("it is %d still", first)
		}
		u.want("NRestarts", "0", "ActiveState", "active")
		u.ends()
	})
}

// TestBootedStopBySignal: SIGTERM ends a server that does not handle it. systemd considers that a clean exit, but not the
// status 143 of arenacap under --supervise, unless the unit says so; with --reraise arenacap ends by SIGTERM too.
func TestBootedStopBySignal(t *testing.T) {
	for _, c := range []struct{ name, flags, more, result string }{
		{"exec", "", "", "success"},
		{"supervise", " --supervise", "", "exit-code"},
		{"supervise, reraise", " --supervise --reraise", "", "success"},
		{"supervise, SuccessExitStatus=143", " --supervise", "SuccessExitStatus=143", "success"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUnit(t, watched, service("Type=exec", c.more, "ExecStart=/usr/bin/arenacap run --policy POLICY"+c.flags+" -- SERVER default-term")).start()
			u.serverPID()
			u.systemctl("stop", u.name)
			u.want("Result", c.result)
		})
	}
}

func TestBootedReload(t *testing.T) {
	for _, kind := range []string{"exec", "notify"} {
		t.Run(kind, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
				args := map[string]string{"notify": " notify"}[kind]
				u := newUnit(t, watched, service("Type="+kind, "ExecReload=/bin/kill -HUP $MAINPID", "ExecStart="+arenacap+" SERVER"+args)).start()
				pid := u.serverPID()
				u.systemctl("reload", u.name)
				u.await("server: reloaded")
				if got := u.ask("report"); value(got, "reloads") != "1" || value(got, "pid") != strconv.Itoa(pid) {
					t.Errorf("after the reload of %d:\n%s", pid, got)
				}
				u.ends()
			})
		})
	}
}

func TestBootedSocketActivation(t *testing.T) {
	inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
		u := newUnit(t, watched, service("Type=notify", "ExecStart="+arenacap+" SERVER notify")+
			"\n[Socket]\nListenStream=/run/lab/NAME\n")
		u.systemctl("start", strings.TrimSuffix(u.name, ".service")+".socket")
		u.want("ActiveState", "inactive")
		if got := value(u.send("report"), "listen"); got != "1" { // the connection starts the server
			t.Errorf("the server was handed %q sockets", got)
		}
		if got, pid := value(u.ask("environ"), "LISTEN_PID"), u.serverPID(); got != strconv.Itoa(pid) {
			t.Errorf("LISTEN_PID=%s, the server is %d", got, pid)
		}
		u.capped()
		u.systemctl("stop", strings.TrimSuffix(u.name, ".service")+".socket")
		u.ends()
	})
}

func TestBootedWatchdog(t *testing.T) {
	t.Run("petted", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("Type=notify", "WatchdogSec=90", "ExecStart="+arenacap+" SERVER notify pet")).start()
			before := u.show("WatchdogTimestampMonotonic")
			u.ask("report") // the server also pets the watchdog when a connection arrives
			for u.show("WatchdogTimestampMonotonic") == before {
			}
			u.ends()
		})
	})
	t.Run("hang", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("Type=notify", "WatchdogSec=1", "ExecStart="+arenacap+" SERVER notify pet hang")).start()
			u.await("Failed with result 'watchdog'")
			u.want("Result", "watchdog", "ActiveState", "failed")
			u.leavesNothing()
		})
	})
}

func TestBootedSandbox(t *testing.T) {
	every := []string{"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectProc=invisible", "ProcSubset=pid",
		"PrivateTmp=yes", "SystemCallFilter=@system-service"}
	for _, lines := range [][]string{
		{"User=daemon"}, {"DynamicUser=yes", "ReadWritePaths=/run/lab"}, {"NoNewPrivileges=yes"}, {"ProtectSystem=strict", "ReadWritePaths=/run/lab"},
		{"ProtectProc=invisible", "User=daemon"}, {"ProtectProc=invisible", "ProcSubset=pid", "User=daemon"}, {"PrivateTmp=yes"},
		{"SystemCallFilter=@system-service"}, {"SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM"},
		{"CapabilityBoundingSet=", "User=daemon"}, {"RestrictAddressFamilies=AF_UNIX"}, {"MemoryDenyWriteExecute=yes"}, {"PrivateUsers=yes"},
		{"RestrictNamespaces=yes", "LockPersonality=yes", "RestrictRealtime=yes", "ProtectKernelTunables=yes", "ProtectControlGroups=yes", "ProtectHome=yes", "PrivateDevices=yes"},
		append(slices.Clone(every), "ReadWritePaths=/run/lab"),
	} {
		t.Run(lines[0]+fmt.Sprintf("+%d", len(lines)-1), func(t *testing.T) {
			inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
				u := newUnit(t, watched, service(append(slices.Clone(lines), "Type=notify", "ExecStart="+arenacap+" SERVER notify")...)).start()
				u.capped()
				u.sandboxed(u.serverPID(), lines)
				u.ends()
				for _, e := range u.journal() {
					if strings.Contains(e.Message, "watch-failed") {
						t.Error(e.Message)
					}
				}
			})
		})
	}
}

// sandboxed checks, from outside, that those settings of the unit's sandbox that /proc shows apply to one of its
// processes.
func (u *unit) sandboxed(pid int, lines []string) {
	u.t.Helper()
	for _, line := range lines {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "User", "DynamicUser":
			if uid := strings.Fields(status(u.t, pid, "Uid"))[0]; uid == "0" {
				u.t.Errorf("%s: it is root", line)
			}
		case "NoNewPrivileges":
			if got := status(u.t, pid, "NoNewPrivs"); got != "1" {
				u.t.Errorf("%s: NoNewPrivs is %s", line, got)
			}
		case "SystemCallFilter":
			if got := status(u.t, pid, "Seccomp"); got != "2" {
				u.t.Errorf("%s: Seccomp is %s", line, got)
			}
		case "ProtectSystem", "PrivateTmp", "ProtectProc":
			own, err1 := os.Readlink("/proc/self/ns/mnt")
			its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
			if err1 != nil || err2 != nil || own == its {
				u.t.Errorf("%s: it has the mounts of everybody (%v, %v)", line, err1, err2)
			}
		}
	}
}

func TestBootedMemoryMax(t *testing.T) {
	inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
		u := newUnit(t, "[arenas]\ncap = 3\n[budget]\nresident = \"50%\"\nsettle = \"0s\"\ninterval = \"20ms\"\n",
			service("Type=notify", "MemoryMax=256M", "ExecStart="+arenacap+" SERVER notify")).start()
		u.await("started: budget: resident 128 MiB; scope process")
		u.capped()
		u.ends()
	})
}

func TestBootedCPUQuota(t *testing.T) {
	for _, c := range []struct{ quota, cap string }{{"CPUQuota=100%", "4"}, {"CPUQuota=50%", "4"}, {"CPUQuota=150%", "8"}} {
		t.Run(c.quota, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
				u := newUnit(t, "[arenas]\ncap = \"4/core\"\n", service("Type=notify", c.quota, "ExecStart="+arenacap+" SERVER notify")).start()
				if got := value(u.ask("environ"), "MALLOC_ARENA_MAX"); got != c.cap {
					t.Errorf("4/core is %s, want %s", got, c.cap)
				}
				u.ends()
			})
		})
	}
}

func TestBootedLimitAS(t *testing.T) {
	t.Run("the 386 build starts", func(t *testing.T) {
		u := newUnit(t, "[arenas]\ncap = 3\n", service("Type=notify", "LimitAS=64M", "ExecStart=/opt/lab/arenacap-386 run --policy POLICY -- SERVER notify")).start()
		if got := value(u.ask("environ"), "MALLOC_ARENA_MAX"); got != "3" {
			t.Errorf("MALLOC_ARENA_MAX=%q", got)
		}
		u.ends()
	})
	t.Run("the 64-bit one says what is wrong", func(t *testing.T) {
		u := newUnit(t, "[arenas]\ncap = 3\n", service("Type=exec", "LimitAS=512M", "ExecStart=/usr/bin/arenacap run --policy POLICY -- SERVER"))
		_ = exec.CommandContext(u.ctx, "systemctl", "start", u.name).Run()
		u.await("Failed with result 'exit-code'")
		u.want("ExecMainStatus", "2")
	})
}

func TestBootedKillMode(t *testing.T) {
	for _, c := range []struct{ kill, kind, args string }{
		{"control-group", "exec", ""}, {"control-group", "notify", " notify"},
		{"mixed", "exec", ""}, {"mixed", "notify", " notify"},
		{"process", "exec", ""}, {"process", "notify", " notify"},
	} {
		t.Run(c.kill+","+c.kind, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
				if supervised && c.kind == "notify" && c.kill != "control-group" {
					return // systemd does not wait for a main process that is not its child (README.md, "Stopping")
				}
				u := newUnit(t, watched, service("KillMode="+c.kill, "Type="+c.kind, "ExecStart="+arenacap+" SERVER"+c.args)).start()
				u.capped()
				u.ends()
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("KillMode=none", "Type=exec", "ExecStart="+arenacap+" SERVER", "ExecStop=/bin/kill -TERM $MAINPID")).start()
			u.capped()
			u.ends()
		})
	})
	t.Run("none without ExecStop", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, watched, service("KillMode=none", "Type=exec", "ExecStart="+arenacap+" SERVER")).start()
			pid := u.serverPID()
			u.systemctl("stop", u.name)
			if again := u.serverPID(); again != pid {
				t.Fatalf("it was %d and is %d", pid, again)
			}
			process, err := os.FindProcess(pid)
			if err == nil {
				err = process.Signal(syscall.SIGTERM)
			}
			if err != nil {
				t.Fatal(err)
			}
			u.await("exited: watched for ")
		})
	})
}

// breaching is a policy under which "grow 20" is a breach.
func breaching(more string) string {
	return `
[arenas]
cap = 16
[budget]
virtual  = "512MiB"
settle   = "0s"
interval = "20ms"
breach   = "2/2"
grace    = "1s"
` + more
}

func TestBootedJournal(t *testing.T) {
	inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
		u := newUnit(t, breaching(""), service("Type=exec", "KillMode=process", "ExecStart="+arenacap+" SERVER")).start()
		server := u.serverPID()
		u.ask("grow 20")
		u.await("]: breach: ")
		u.ends()
		u.await("exited: ")
		for event, priority := range map[string]string{"started": "6", "warning": "4", "breach": "3", "exited": "6"} {
			i := slices.IndexFunc(u.journal(), func(e entry) bool { return strings.Contains(e.Message, "]: "+event+": ") })
			if i < 0 {
				if event != "warning" { // both limits may be exceeded between two samples
					t.Errorf("no %s", event)
				}
				continue
			}
			e := u.journal()[i]
			if want := fmt.Sprintf("arenacap: server[%d]: %s: ", server, event); !strings.HasPrefix(e.Message, want) {
				t.Errorf("%q, want %q", e.Message, want)
			}
			if e.Priority != priority || e.Unit != u.name || e.Identifier != "arenacap" {
				t.Errorf("%s: %+v, want priority %s of %s", event, e, priority, u.name)
			}
		}
	})
	t.Run("a mistake", func(t *testing.T) {
		// The unit has Type=simple. With Type=exec the start would fail if arenacap ended before systemd noticed the execve of
		// arenacap.
		u := newUnit(t, "[arenas]\ncaps = 3\n", service("Type=simple", "ExecStart=/usr/bin/arenacap run --policy POLICY -- SERVER")).start()
		if e := u.await(`unknown key "caps"`); e.Priority != "3" || e.Unit != u.name {
			t.Errorf("%+v", e)
		}
		u.await("Failed with result 'exit-code'")
		u.want("ExecMainStatus", "125")
	})
	t.Run("a daemon whose start has ended", func(t *testing.T) {
		u := newUnit(t, breaching("scope = \"cgroup\"\n"), service("Type=forking", "PIDFile=/run/NAME.pid",
			"ExecStart=/usr/bin/arenacap run --policy POLICY -- SERVER daemonize=/run/NAME.pid")).start()
		u.ask("grow 20")
		if e := u.await("]: breach: "); e.Priority != "3" || e.Unit != u.name {
			t.Errorf("%+v", e)
		}
		u.ends()
	})
}

// TestBootedBreach tests the README's table of the effects of a breach on the unit, with action = "terminate" or
// "signal". RestartSec= is long, so that systemd's decision can be observed.
func TestBootedBreach(t *testing.T) {
	const terminate = "action = \"terminate\"\n"
	for _, c := range []struct {
		name, policy, flags, args string
		unit                      []string
		result, state             string
	}{
		{"exec, on-failure", terminate, "", "", []string{"Type=exec", "Restart=on-failure"}, "success", "inactive"},
		{"exec, on-failure, SIGTERM's default", terminate, "", "default-term", []string{"Type=exec", "Restart=on-failure"}, "success", "inactive"},
		{"exec, always", terminate, "", "", []string{"Type=exec", "Restart=always"}, "success", "activating"},
		{"exec, always, notify", terminate, "", "notify", []string{"Type=notify", "Restart=always"}, "success", "activating"},
		{"simple, always", terminate, "", "", []string{"Type=simple", "Restart=always"}, "success", "activating"},
		{"simple, supervise, on-failure", terminate, " --supervise", "", []string{"Type=simple", "Restart=on-failure"}, "exit-code", "activating"},
		{"oneshot", terminate, "", "", []string{"Type=oneshot"}, "success", "inactive"},
		{"oneshot, on-failure, SIGTERM's default", terminate, "", "default-term", []string{"Type=oneshot", "Restart=on-failure"}, "signal", "activating"},
		{"oneshot, supervise, on-failure", terminate, " --supervise", "", []string{"Type=oneshot", "Restart=on-failure"}, "exit-code", "activating"},
		{"exec, RestartForceExitStatus=SIGTERM", terminate, "", "default-term", []string{"Type=exec", "Restart=on-failure", "RestartForceExitStatus=SIGTERM"}, "success", "activating"},
		{"exec, on-failure, SIGTERM ignored", terminate, "", "ignore-term", []string{"Type=exec", "Restart=on-failure"}, "signal", "activating"},
		{"exec, on-failure, SIGABRT", "action = \"signal\"\nsignal = \"SIGABRT\"\n", "", "", []string{"Type=exec", "Restart=on-failure"}, "signal", "activating"},
		{"supervise, on-failure", terminate, " --supervise", "", []string{"Type=exec", "Restart=on-failure"}, "exit-code", "activating"},
		{"supervise, on-failure, SIGTERM's default", terminate, " --supervise", "default-term", []string{"Type=exec", "Restart=on-failure"}, "exit-code", "activating"},
		{"supervise, on-failure, notify", terminate, " --supervise", "notify", []string{"Type=notify", "Restart=on-failure"}, "success", "inactive"},
		{"supervise, on-failure, NotifyAccess=main", terminate, " --supervise", "", []string{"Type=exec", "NotifyAccess=main", "Restart=on-failure"}, "success", "inactive"},
		{"supervise, on-failure, WatchdogSec", terminate, " --supervise", "", []string{"Type=simple", "WatchdogSec=10min", "NotifyAccess=none", "Restart=on-failure"}, "success", "inactive"},
		{"supervise, on-failure, FileDescriptorStoreMax", terminate, " --supervise", "", []string{"Type=exec", "FileDescriptorStoreMax=1", "Restart=on-failure"}, "success", "inactive"},
		{"supervise, always, WatchdogSec", terminate, " --supervise", "", []string{"Type=exec", "WatchdogSec=10min", "Restart=always"}, "success", "activating"},
		{"supervise, always, notify", terminate, " --supervise", "notify", []string{"Type=notify", "Restart=always"}, "success", "activating"},
		{"exec, forking, on-failure", terminate + "scope = \"cgroup\"\n", "", "daemonize=/run/NAME.pid", []string{"Type=forking", "PIDFile=/run/NAME.pid", "Restart=on-failure"}, "success", "inactive"},
		{"exec, forking, always", terminate + "scope = \"cgroup\"\n", "", "daemonize=/run/NAME.pid", []string{"Type=forking", "PIDFile=/run/NAME.pid", "Restart=always"}, "success", "activating"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := append(slices.Clone(c.unit), "RestartSec=90", "ExecStart=/usr/bin/arenacap run --policy POLICY"+c.flags+" -- SERVER "+c.args)
			u := newUnit(t, breaching(c.policy), service(lines...))
			u.systemctl("start", "--no-block", u.name) // without --no-block, the start of a Type=oneshot unit waits for the end of its command
			u.ask("grow 20")
			u.awaitThe("end", func(e entry) bool {
				return strings.Contains(e.Message, "Deactivated successfully") || strings.Contains(e.Message, "Failed with result")
			})
			if got := u.show("ActiveState"); got == "failed" {
				t.Errorf("it has failed, %s", u.show("Result"))
			}
			u.want("Result", c.result, "ActiveState", c.state)
		})
	}
	t.Run("sockets", func(t *testing.T) { // after the action has ended the server, the next connection to its socket starts it again
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, breaching(terminate), service("Type=notify", "ExecStart="+arenacap+" SERVER notify")+
				"\n[Socket]\nListenStream=/run/lab/NAME\n")
			u.systemctl("start", strings.TrimSuffix(u.name, ".service")+".socket")
			first := value(u.send("report"), "pid")
			u.send("grow 20")
			u.await("Deactivated successfully")
			if second := value(u.send("report"), "pid"); second == "" || second == first {
				t.Errorf("it was %s and is %q", first, second)
			}
		})
	})
	t.Run("supervise, notify, all, a failure", func(t *testing.T) { // arenacap tells systemd the status of the server
		u := newUnit(t, watched, service("Type=notify", "NotifyAccess=all", "Restart=on-failure", "RestartSec=90",
			"ExecStart=/usr/bin/arenacap run --supervise --policy POLICY -- SERVER notify")).start()
		u.ask("exit 3")
		u.await("Failed with result 'exit-code'")
		u.want("ExecMainStatus", "3", "ActiveState", "activating")
	})
	t.Run("it starts again", func(t *testing.T) {
		inBothModes(t, func(t *testing.T, arenacap string, supervised bool) {
			u := newUnit(t, breaching(terminate), service("Type=exec", "Restart=always", "RestartSec=0", "ExecStart="+arenacap+" SERVER")).start()
			first := u.serverPID()
			u.ask("grow 20")
			u.secondStart(first)
			u.want("NRestarts", "1")
			u.ends()
		})
	})
}

func TestBootedEnvironmentFile(t *testing.T) {
	u := newUnit(t, "[arenas]\ncap = 3\n", service("Type=notify",
		"ExecStartPre=+/bin/sh -c 'exec /usr/bin/arenacap env --policy POLICY --shell systemd >/run/NAME.env'",
		"EnvironmentFile=-/run/NAME.env", "DynamicUser=yes", "ReadWritePaths=/run/lab", "ExecStart=SERVER notify")).start()
	answer := u.ask("environ")
	if max, test := value(answer, "MALLOC_ARENA_MAX"), value(answer, "MALLOC_ARENA_TEST"); max != "3" || test != "2" {
		t.Errorf("MALLOC_ARENA_MAX=%q, MALLOC_ARENA_TEST=%q", max, test)
	}
	u.wantMain(true)
	u.ends()
}

// TestBootedExample starts the unit of this folder, unchanged, with the policy of this folder.
func TestBootedExample(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	u := &unit{t: t, ctx: ctx, name: "authserver.service"}
	u.systemctl("daemon-reload")
	u.start()
	u.await("authserver: 128 threads, ready")
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", u.mainPID()))
	if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), "MALLOC_ARENA_MAX=4") {
		t.Errorf("the main process has %q, %v", env, err)
	}
	if e := u.await(`"event":"started"`); e.Unit != u.name || e.Identifier != "authserver" || !strings.HasPrefix(e.Message, `{"time":`) {
		t.Errorf("%+v", e)
	}
	u.systemctl("stop", u.name)
	u.want("Result", "success")
	if t.Failed() {
		t.Log(u.told())
	}
}
