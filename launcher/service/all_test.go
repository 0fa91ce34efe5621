package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"arenacap/launcher/watch/protocol"
	"arenacap/policy"
)

func TestAll(t *testing.T) {
	f := newFake(t)
	f.process(1, fakeProcess{name: "systemd"})
	f.process(2, fakeProcess{name: "kthreadd", flags: 0x00200000})
	f.process(20, fakeProcess{name: "java", cgroup: "0::/system.slice/s0.service/child\n", started: time.Second})
	f.process(30, fakeProcess{name: "other", cgroup: "0::/user.slice/session-1.scope\n"})
	f.process(40, fakeProcess{name: protocol.Comm, cmdline: protocol.ProcessName + "20\x00", exe: "/proc/self/exe"})
	f.process(41, fakeProcess{name: protocol.Comm, cmdline: protocol.ProcessName + "21\x00", exe: "/proc/self/exe"}) // its target 21, the first process of a daemon, has ended
	f.process(42, fakeProcess{name: "arenacap", cmdline: "arenacap\x00run\x00", exe: "/proc/self/exe"})
	f.process(50, fakeProcess{name: protocol.Comm, cmdline: "somebody\x00"})
	members, err := mustRules(t, f.root, servicesOf(policy.Match{})).All(f.root)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(members, func(a, b Member) int { return a.PID - b.PID })
	got := ""
	for _, m := range members {
		got += fmt.Sprintf("%d %d %q %s %s\n", m.PID, m.Service, m.Unit, m.Name, m.Group)
	}
	want := "1 -1 \"\" systemd /init.scope\n" +
		"20 0 \"s0.service\" java /system.slice/s0.service/child\n" +
		"30 -1 \"\" other /user.slice/session-1.scope\n" +
		"50 -1 \"\" arenacap: watch /init.scope\n"
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

func TestScope(t *testing.T) {
	all := []Member{}
	for _, m := range []struct {
		pid, parent, service int
		unit, group          string
	}{
		{1, 0, -1, "", "/"},
		{10, 1, 0, "a.service", "/system.slice/a.service"},
		{11, 10, -1, "a.service", "/system.slice/a.service/x"},
		{12, 11, -1, "", "/user.slice/session-1.scope"}, // a process that moved itself to another group
		{20, 1, 1, "", "/box"},
		{21, 1, -1, "", "/box/inner"},
		{22, 1, -1, "", "/boxer"},
		{30, 31, -1, "", "/"}, // process 30 and its parent 31 are each the parent of the other: a cycle
		{31, 30, -1, "", "/"},
		{40, 1, 2, "", "/"},
	} {
		all = append(all, Member{Process: Process{PID: m.pid, Parent: m.parent, Service: m.service, Unit: m.unit}, Group: m.group})
	}
	for _, test := range []struct {
		service int
		scope   string
		want    string
	}{
		{0, "process", "[10]"}, {0, "tree", "[10 11 12]"}, {0, "cgroup", "[10 11]"},
		{1, "process", "[20]"}, {1, "tree", "[20]"}, {1, "cgroup", "[20 21]"},
		{2, "cgroup", "[40]"},
	} {
		var pids []int
		for _, m := range Scope(all, test.service, test.scope) {
			pids = append(pids, m.PID)
		}
		if got := fmt.Sprint(pids); got != test.want {
			t.Errorf("service %d, scope %q: %s, want %s", test.service, test.scope, got, test.want)
		}
	}
}
