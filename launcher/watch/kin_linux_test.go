package watch

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// "watch PID" looks for descendants of the process, as the watch of a launch does.
func TestADescendantOfAnAttachedProcess(t *testing.T) {
	t.Parallel()
	c := startChild(t)
	descendant := mustFork(t, c, "fork")
	c.ask(t, "tell map 4294967296", "ok")
	c.ask(t, "tell touch 33554432", "ok")
	cfg := testConfig(far)
	cfg.Mode = "attach"
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	if e := s.want("elsewhere"); e.Other != descendant.pid || !strings.Contains(e.Message, `write scope = "tree" in [budget]`) {
		t.Errorf("%+v, want it to name the descendant, process %d", e, descendant.pid)
	}
}

// A process is a carrier by its program's file, whatever its name is. After its end, the watch does not take a later process
// with its PID for it.
func TestCarrier(t *testing.T) {
	shell := exec.Command("sh", "-c", `echo server >/proc/$$/comm; echo renamed; read line`)
	in, err := shell.StdinPipe()
	must(t, err)
	out, err := shell.StdoutPipe()
	must(t, err)
	must(t, shell.Start())
	t.Cleanup(func() {
		in.Close()
		shell.Wait()
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	eachHolder(t, func(t *testing.T, holder func(*testing.T, int) *process) {
		if p := holder(t, shell.Process.Pid); !p.isCarrier() {
			t.Errorf("the shell with the name %q is not taken for a carrier", p.title())
		}
		c := startChild(t)
		p := holder(t, c.pid())
		c.kill(t)
		p.pid = shell.Process.Pid // as if the kernel had given the shell the PID of the child
		if p.isCarrier() {
			t.Error("an ended process is taken for the shell that has its PID now")
		}
	})
}

// The watch opens at most maxKin of a server's many workers. When one of them ends, another takes its place.
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	server := exec.Command("sh", "-c", `n=0; while [ $n -lt 70 ]; do sleep 1000 & n=$((n + 1)); done; echo started; wait`)
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := server.StdoutPipe()
	must(t, err)
	must(t, server.Start())
	t.Cleanup(func() {
		syscall.Kill(-server.Process.Pid, syscall.SIGKILL)
		server.Wait()
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)

	s := newScope(mustHold(t, server.Process.Pid), "process", nobody)
	t.Cleanup(s.release)
	must(t, s.findChildren())
	if n := len(s.target.children()); n != 70 || len(s.kin) != maxKin {
		t.Fatalf("%d of %d workers are open, want %d of 70", len(s.kin), n, maxKin)
	}
	for _, worker := range s.kin {
		must(t, worker.signal(syscall.SIGKILL))
		awaitEnd(t, worker)
		break
	}
	must(t, s.findChildren())
	if len(s.kin) != maxKin {
		t.Errorf("after the end of a worker %d are open, want %d", len(s.kin), maxKin)
	}
}
