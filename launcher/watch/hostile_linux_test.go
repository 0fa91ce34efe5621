package watch

// These tests run processes that try to deceive the watch of a host.

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arenacap/launcher/testenv"
	"arenacap/launcher/watch/protocol"
	"arenacap/policy"
)

// terminating returns a service of this test's user with action "terminate" and a limit of 1 TiB. Its grace is so
// long that SIGKILL never comes.
func terminating(name string) Service {
	service := byName("server", name, "virtual=1099511627776")
	service.Policy.Match.User = strconv.Itoa(os.Getuid())
	service.Config.Budget.Action, service.Config.Budget.Grace = "terminate", time.Hour
	return service
}

const overTheLimit = "map 2199023255552" // 2 TiB of address space

// stranger starts a child as another user, with any command line.
func stranger(t *testing.T, arguments ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command("/proc/self/exe")}
	c.cmd.Args, c.cmd.Env = append(arguments, ""), []string{childVariable + "=1"}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	c.start()
	t.Cleanup(func() {
		_ = c.in.Close()
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	return c
}

// A process of another user with the service's name and program gets no signal, even if it is over the limit.
func TestAnotherUsersProcessWithTheNameAndTheProgram(t *testing.T) {
	testenv.NeedRoot(t)
	c, name := namedChild(t)
	impostor := stranger(t, "server").rename(t, name)
	service := terminating(name)
	service.Policy.Match.Exe = mustLink(t, c.pid())
	if got := mustLink(t, impostor.pid()); got != service.Policy.Match.Exe {
		t.Fatalf("it runs %s, want %s", got, service.Policy.Match.Exe)
	}
	for _, c := range []*child{impostor, c} {
		c.ask(t, overTheLimit, "ok")
	}
	s := watchHost(t, t.TempDir(), nil, service)
	for _, event := range []string{"started", "breach virtual", "action virtual terminate SIGTERM", "exited"} {
		s.of(c.pid(), event)
	}
	impostor.ask(t, "ignore SIGHUP", "ok") // the answer shows that it got no signal
	s.end()
	s.wait()
	for len(s.events) > 0 {
		if e := <-s.events; e.PID == impostor.pid() {
			t.Errorf("an event about it: %v", e)
		}
	}
}

// A process of another user that names itself "arenacap: watch PID" does not delay the action on the process PID.
func TestAnotherUsersProcessTitledAsItsWatch(t *testing.T) {
	testenv.NeedRoot(t)
	c, name := namedChild(t)
	stranger(t, protocol.ProcessName+strconv.Itoa(c.pid())).rename(t, strings.TrimSpace(protocol.ProcessName))
	c.ask(t, overTheLimit, "ok")
	s := watchHost(t, t.TempDir(), nil, terminating(name))
	for _, event := range []string{"started", "breach virtual", "action virtual terminate SIGTERM", "exited"} {
		s.of(c.pid(), event)
	}
}

// A process of the service's user that has the title of a watch, but does not run arenacap, belongs to its service. Such a
// process does not delay the action on the process whose PID is in the title.
func TestItsOwnUsersProcessTitledAsAWatch(t *testing.T) {
	program := t.TempDir() + "/server"
	must(t, exec.Command("cp", mustLink(t, os.Getpid()), program).Run())
	service := terminating("")
	service.Policy.Match.Exe = program
	s := watchHost(t, t.TempDir(), nil, service)
	server := titledAsWatch(t, program, os.Getpid())
	s.of(server.pid(), "started")
	claimant := titledAsWatch(t, program, server.pid())
	s.of(claimant.pid(), "started")
	for _, c := range []*child{server, claimant} {
		c.ask(t, overTheLimit, "ok")
		for _, event := range []string{"breach virtual", "action virtual terminate SIGTERM", "exited"} {
			s.of(c.pid(), event)
		}
	}
}

// The control group of a target disappears, while its process continues in another group. After the end of the process,
// the other group is removed and created again for a new start.
func TestTheControlGroupVanishes(t *testing.T) {
	group, other := makeGroup(t), makeGroup(t)
	c, name := namedChild(t)
	join(t, group, c.pid())
	service := byName("server", name, "virtual=1099511627776")
	service.Config.Budget.Scope = "cgroup"
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(c.pid(), "started")
	awaitRecord(t, s, sampled)
	join(t, other, c.pid())
	removeGroup(t, group)
	c.ask(t, overTheLimit, "ok")
	s.of(c.pid(), "breach virtual")
	c.kill(t)
	s.of(c.pid(), "exited")
	removeGroup(t, other)
	must(t, os.Mkdir(other, 0o755))
	must(t, os.Mkdir(group, 0o755)) // makeGroup's cleanup removes it
	again := startChild(t)
	join(t, other, again.pid())
	again.rename(t, name)
	s.of(again.pid(), "started")
}

// A new process of the service that gets the PID of the previous one at once is a target of its own.
func TestTheNewStartHasTheSamePID(t *testing.T) {
	c, name := namedChild(t)
	service := byName("server", name, "virtual=1099511627776")
	c.ask(t, overTheLimit, "ok")
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(c.pid(), "started")
	s.of(c.pid(), "breach virtual")
	c.kill(t)
	again := reuse(t, c.pid()).rename(t, name)
	s.of(again.pid(), "exited")
	s.of(again.pid(), "started") // the state of the previous process is not used: there is no "recovered"
	again.ask(t, overTheLimit, "ok")
	s.of(again.pid(), "breach virtual")
}

// A match.name with a newline, a quote, a backslash and invalid UTF-8 finds the process with that name.
func TestANameThatBreaksLines(t *testing.T) {
	c := startChild(t)
	c.ask(t, `quotedname "a\n\"\xff\\"`, "ok")
	text, err := os.ReadFile("/proc/" + strconv.Itoa(c.pid()) + "/stat")
	must(t, err)
	name := string(text[strings.IndexByte(string(text), '(')+1 : strings.LastIndexByte(string(text), ')')])
	service := byName("server", name, "virtual=1099511627776")
	service.Policy.Match = policy.Match{Name: name, User: strconv.Itoa(os.Getuid()), Exe: mustLink(t, c.pid())}
	c.ask(t, overTheLimit, "ok")
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(c.pid(), "started")
	s.of(c.pid(), "breach virtual")
}
