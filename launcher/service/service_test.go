package service

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"arenacap/launcher/proc"
	"arenacap/launcher/watch/protocol"
	"arenacap/policy"
)

// fake is a machine whose processes the test makes.
type fake struct {
	t    *testing.T
	root proc.Root
}

func newFake(t *testing.T) fake {
	f := fake{t, proc.Root(t.TempDir())}
	f.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nbroken\nhdfs:x:115:120::/:/bin/sh\n")
	f.write("/proc/loadavg", "0.20 0.18 0.12 1/80 1000\n")
	return f
}

func (f fake) write(path, text string) {
	f.t.Helper()
	path = string(f.root) + path
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// fakeProcess has the content of a process's files in /proc; the zero value is a process of root that belongs to no
// service.
type fakeProcess struct {
	name, exe, cgroup, cmdline string
	real, effective            int
	state                      string
	flags                      int
	started                    time.Duration
}

func (f fake) process(pid int, p fakeProcess) {
	f.t.Helper()
	if p.cgroup == "" {
		p.cgroup = "0::/init.scope\n"
	}
	if p.state == "" {
		p.state = "S"
	}
	folder := "/proc/" + strconv.Itoa(pid)
	f.write(folder+"/stat", fmt.Sprintf("%d (%s) %s 1 1 1 0 -1 %d 0 0 0 0 0 0 0 0 20 0 1 0 %d 4096", pid, p.name, p.state, p.flags, p.started/proc.Tick))
	f.write(folder+"/comm", p.name+"\n")
	f.write(folder+"/cmdline", p.cmdline)
	f.write(folder+"/cgroup", p.cgroup)
	f.write(folder+"/status", fmt.Sprintf("Name:\tx\nTgid:\t%d\nUid:\t%d\t%d\t%d\t%d\n", pid, p.real, p.effective, p.effective, p.effective))
	link := string(f.root) + folder + "/exe"
	_ = os.Remove(link)
	if p.exe != "" {
		if err := os.Symlink(p.exe, link); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f fake) end(pid int) {
	if err := os.RemoveAll(fmt.Sprintf("%s/proc/%d", f.root, pid)); err != nil {
		f.t.Fatal(err)
	}
}

// servicesOf are policies with only a name and a match.
func servicesOf(matches ...policy.Match) (all []policy.Policy) {
	for i, m := range matches {
		all = append(all, policy.Policy{Service: "s" + strconv.Itoa(i), Match: m})
	}
	return all
}

func mustRules(t *testing.T, root proc.Root, all []policy.Policy) *Rules {
	t.Helper()
	rules := NewRules(root, all)
	for _, problem := range rules.Problems {
		t.Fatal(problem)
	}
	return rules
}

func (f fake) finder(matches ...policy.Match) *Finder {
	return NewFinder(f.root, mustRules(f.t, f.root, servicesOf(matches...)))
}

// look returns the services of the processes: "pid:service" for each, with "+also" if the process fits another
// service too.
func look(t *testing.T, f *Finder, now time.Duration) (got string) {
	t.Helper()
	members, err := f.Look(now, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		got += fmt.Sprintf("%d:%d", m.PID, m.Service)
		if m.Also >= 0 {
			got += fmt.Sprintf("+%d", m.Also)
		}
		got += " "
	}
	return got
}

// unitOf returns the system's unit to which the path of a control group belongs: the first group that is not a slice,
// if it is a .service; else "", as in a login session or a container of Docker.
func TestUnitOf(t *testing.T) {
	for path, want := range map[string]string{
		"/system.slice/mariadb.service":                                                           "mariadb.service",
		"/system.slice/mariadb.service/sub/deeper":                                                "mariadb.service",
		"/a.slice/a-b.slice/a-b-c.slice/nested.service":                                           "nested.service",
		"/system.slice/system-postgresql.slice/postgresql@15-main.service":                        "postgresql@15-main.service",
		`/system.slice/foo\x2dbar.service`:                                                        `foo\x2dbar.service`,
		"/system.slice/_cpu.service":                                                              "cpu.service",
		"/system.slice/__under.service":                                                           "_under.service",
		"/system.slice/outer.service/system.slice/inner.service":                                  "outer.service",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/mariadb.service":                 "user@1000.service",
		"/user.slice/user-1000.slice/session-3.scope":                                             "",
		"/docker/0123456789abcdef/system.slice/mariadb.service":                                   "",
		"/system.slice/docker-0123456789abcdef.scope/system.slice/mariadb.service":                "",
		"/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope/system.slice/mariadb.service": "",
		"/machine.slice/systemd-nspawn@box.service/payload/system.slice/mariadb.service":          "systemd-nspawn@box.service",
		"/lxc.payload.box/system.slice/mariadb.service":                                           "",
		"/../../system.slice/mariadb.service":                                                     "mariadb.service", // seen in a container
		"/../cri-containerd-1.scope/system.slice/mariadb.service":                                 "",                // a unit in another container
		"/init.scope":                          "",
		"/":                                    "",
		"":                                     "",
		"/system.slice/.service":               "",
		"/system.slice":                        "",
		"/mariadb.service.d/x":                 "",
		"/system.slice/gone.service (deleted)": "", // the group was removed
		"/system.slice/a\xff.service":          "a\xff.service",
	} {
		if got := unitOf(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestWhichService(t *testing.T) {
	const mariadb = "0::/system.slice/mariadb.service\n"
	for name, test := range map[string]struct {
		match []policy.Match
		p     fakeProcess
		want  string
	}{
		"by the service's own name":         {[]policy.Match{{}}, fakeProcess{cgroup: "0::/system.slice/s0.service\n"}, "7:0 "},
		"by unit, version 2":                {[]policy.Match{{Unit: "mariadb.service"}}, fakeProcess{cgroup: mariadb}, "7:0 "},
		"by unit, without its suffix":       {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: mariadb}, "7:0 "},
		"by unit, version 1":                {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "4:memory:/\n1:name=systemd:/system.slice/mariadb.service\n"}, "7:0 "},
		"by unit, hybrid":                   {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "1:name=systemd:/system.slice/mariadb.service\n0::/\n"}, "7:0 "},
		"by unit, in a controller's alone":  {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "4:memory:/system.slice/mariadb.service\n1:name=systemd:/\n"}, ""},
		"by template":                       {[]policy.Match{{Unit: "pg@.service"}}, fakeProcess{cgroup: "0::/system.slice/system-pg.slice/pg@15.service\n"}, "7:0 "},
		"by instance":                       {[]policy.Match{{Unit: "pg@14.service"}, {Unit: "pg@15"}}, fakeProcess{cgroup: "0::/system.slice/pg@15.service\n"}, "7:1 "},
		"by template and instance":          {[]policy.Match{{Unit: "pg@15"}, {Unit: "pg@"}}, fakeProcess{cgroup: "0::/system.slice/pg@15.service\n"}, "7:0+1 "},
		"another unit":                      {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "0::/system.slice/mariadbx.service\n"}, ""},
		"a user's unit":                     {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "0::/user.slice/user-1.slice/user@1.service/app.slice/mariadb.service\n"}, ""},
		"by exe":                            {[]policy.Match{{Exe: "/usr/sbin/mariadbd"}}, fakeProcess{exe: "/usr/sbin/mariadbd"}, "7:0 "},
		"by exe, upgraded since":            {[]policy.Match{{Exe: "/usr/sbin/mariadbd"}}, fakeProcess{exe: "/usr/sbin/mariadbd (deleted)"}, "7:0 "},
		"another exe":                       {[]policy.Match{{Exe: "/usr/sbin/mariadbd"}}, fakeProcess{exe: "/tmp/usr/sbin/mariadbd"}, ""},
		"an exe that cannot be read":        {[]policy.Match{{Exe: "/usr/sbin/mariadbd"}}, fakeProcess{}, ""},
		"by name":                           {[]policy.Match{{Name: "my server)"}}, fakeProcess{name: "my server)"}, "7:0 "},
		"by name and user":                  {[]policy.Match{{Name: "java", User: "hdfs"}}, fakeProcess{name: "java", real: 115, effective: 115}, "7:0 "},
		"by user's number":                  {[]policy.Match{{Name: "java", User: "115"}}, fakeProcess{name: "java", real: 115, effective: 115}, "7:0 "},
		"another user's name":               {[]policy.Match{{Name: "java", User: "hdfs"}}, fakeProcess{name: "java", real: 1000, effective: 1000}, ""},
		"only the effective user":           {[]policy.Match{{Name: "java", User: "hdfs"}}, fakeProcess{name: "java", real: 1000, effective: 115}, ""},
		"only the real user":                {[]policy.Match{{Name: "java", User: "hdfs"}}, fakeProcess{name: "java", real: 115, effective: 0}, ""},
		"by unit and name, the name not":    {[]policy.Match{{Unit: "mariadb", Name: "mariadbd"}}, fakeProcess{cgroup: mariadb, name: "sh"}, ""},
		"by unit and name":                  {[]policy.Match{{Unit: "mariadb", Name: "mariadbd"}}, fakeProcess{cgroup: mariadb, name: "mariadbd"}, "7:0 "},
		"two fit, the first in order":       {[]policy.Match{{Name: "x"}, {Exe: "/srv"}, {Unit: "mariadb"}}, fakeProcess{cgroup: mariadb, exe: "/srv"}, "7:1+2 "},
		"a thread of the kernel":            {[]policy.Match{{Name: "kworker"}}, fakeProcess{name: "kworker", flags: 0x00200000}, ""},
		"a zombie":                          {[]policy.Match{{Name: "java"}}, fakeProcess{name: "java", state: "Z", started: time.Minute}, "7:0 "},
		"a unit in invalid UTF-8":           {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "0::/system.slice/\xff\xfe.service\n"}, ""},
		"a cgroup file that is none":        {[]policy.Match{{Unit: "mariadb"}}, fakeProcess{cgroup: "nothing\n"}, ""},
		"a name with a newline in the stat": {[]policy.Match{{Name: "a\nb"}}, fakeProcess{name: "a\nb"}, "7:0 "},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.process(7, test.p)
			if got := look(t, f.finder(test.match...), time.Hour); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A service whose user is unknown has no process; the other services have theirs.
func TestUnknownUser(t *testing.T) {
	f := newFake(t)
	rules := NewRules(f.root, servicesOf(policy.Match{Name: "server", User: "nobody", From: "policy.toml:7"}, policy.Match{Name: "server"}))
	want := `policy.toml:7: service "s0": user "nobody" is not in /etc/passwd, so no process belongs to the service; create the user, or write the UID`
	if len(rules.Problems) != 1 || rules.Problems[0].Error() != want {
		t.Errorf("%v, want %s", rules.Problems, want)
	}
	f.process(7, fakeProcess{name: "server"})
	members, err := rules.All(f.root)
	if err != nil || len(members) != 1 || members[0].Service != 1 {
		t.Errorf("%+v, %v", members, err)
	}
}

// setLastPID writes the last assigned PID into /proc/loadavg.
func (f fake) setLastPID(pid int) {
	f.write("/proc/loadavg", fmt.Sprintf("0.20 0.18 0.12 1/80 %d\n", pid))
}

// Look finds new processes, and a PID that the kernel assigned to another process. Look finds that a process has executed
// another program only when it reads the process again: if the process was 2 s old at one read, the next read is 2 s later.
func TestLooks(t *testing.T) {
	f := newFake(t)
	server := fakeProcess{name: "server", exe: "/srv", started: 10 * time.Second}
	shell := fakeProcess{name: "sh", exe: "/bin/sh", started: 10 * time.Second}
	f.process(20, server)
	f.process(30, shell)
	f.setLastPID(30)
	finder := f.finder(policy.Match{Exe: "/srv"})
	want := func(now time.Duration, want string) {
		t.Helper()
		if got := look(t, finder, now*time.Second); got != want {
			t.Errorf("after %d s: %q, want %q", now, got, want)
		}
	}
	want(12, "20:0 ")
	want(12, "20:0 ")
	f.process(40, server)
	f.setLastPID(41)
	want(13, "20:0 40:0 ")
	f.process(41, server) // PID 41 was assigned before the previous scan, but process 41 was not visible at that scan
	f.process(30, server) // a known process executes the server
	want(13, "20:0 40:0 41:0 ")
	f.write("/proc/42/status", "Tgid:\t41\n") // PID 42 is a thread of process 41
	f.setLastPID(42)
	want(14, "20:0 30:0 40:0 41:0 ")
	f.end(20)
	f.end(41)
	want(15, "30:0 40:0 ")

	shell.started = 1000 * time.Second
	f.process(40, shell)
	f.setLastPID(1000) // so many PIDs are new that Look lists /proc instead of trying each PID
	f.process(500, server)
	want(16, "30:0 500:0 ")
	want(17, "30:0 500:0 ")
	want(18, "30:0 500:0 ")
	f.process(40, server)
	finder.Forget(40)
	want(19, "30:0 40:0 500:0 ")
	shell.started = 1001 * time.Second
	f.process(40, shell)
	f.setLastPID(35) // PIDs wrapped around: from 1000 to the maximum, then to 35
	want(20, "30:0 40:0 500:0 ")
	f.setLastPID(41)
	want(21, "30:0 500:0 ")
	f.end(500)
	want(22, "30:0 ")
	// 900 is not the PID after 41, as if the process had chosen its PID (clone3 with set_tid). So only the next listing of
	// /proc finds the process.
	f.process(900, server)
	want(23, "30:0 ")
	want(100, "30:0 900:0 ")
}

// A process that the caller holds stays until Forget. Look does not open known processes: it allocates only for
// /proc/loadavg and for the one process that is not held.
func TestHeldProcesses(t *testing.T) {
	f := newFake(t)
	for pid := 101; pid <= 200; pid++ {
		f.process(pid, fakeProcess{name: "server", started: time.Second})
	}
	f.setLastPID(200)
	finder := f.finder(policy.Match{Name: "server"})
	held := func(pid int) bool { return pid != 110 }
	want := func(now time.Duration, want int) {
		t.Helper()
		if members, err := finder.Look(now, held); len(members) != want || err != nil {
			t.Fatalf("after %s: %d processes, %v; want %d", now, len(members), err, want)
		}
	}
	want(50*time.Second, 100)
	want(51*time.Second, 100)
	if n := testing.AllocsPerRun(10, func() { want(52*time.Second, 100) }); n > 10 {
		t.Errorf("a look allocates %.0f times", n)
	}
	f.end(110)
	want(53*time.Second, 99)
	f.end(120)
	want(54*time.Second, 99)
	finder.Forget(120)
	want(55*time.Second, 98)
}

// A zombie keeps its service, and is read as seldom as other processes.
func TestZombie(t *testing.T) {
	f := newFake(t)
	server := fakeProcess{name: "server", started: 10 * time.Second}
	f.process(20, server)
	finder := f.finder(policy.Match{Name: "server"})
	want := func(now time.Duration, want string) {
		t.Helper()
		if got := look(t, finder, now*time.Second); got != want {
			t.Errorf("after %d s: %q, want %q", now, got, want)
		}
	}
	want(30, "20:0 ")
	server.state = "Z"
	f.process(20, server)
	want(51, "20:0 ") // the finder reads the process again 20 s after its first read, at which the process was 20 s old
	f.process(20, fakeProcess{name: "sh", started: 10 * time.Second})
	want(91, "20:0 ")
	want(93, "")
}

// A process does not fit its service any more if it has another user or another name, if it has ended, or if another
// process has got its PID.
func TestFits(t *testing.T) {
	f := newFake(t)
	p := fakeProcess{name: "java", real: 115, effective: 115, started: time.Second}
	f.process(20, p)
	finder := f.finder(policy.Match{Name: "java", User: "hdfs"})
	members, err := finder.Look(time.Minute, nil)
	if err != nil || len(members) != 1 || !finder.Fits(members[0]) {
		t.Fatalf("%+v, %v", members, err)
	}
	for name, change := range map[string]func(p *fakeProcess){
		"another start": func(p *fakeProcess) { p.started += proc.Tick },
		"another user":  func(p *fakeProcess) { p.effective = 0 },
		"another name":  func(p *fakeProcess) { p.name = "sh" },
	} {
		changed := p
		change(&changed)
		f.process(20, changed)
		if finder.Fits(members[0]) {
			t.Errorf("%s fits", name)
		}
	}
	f.end(20)
	if finder.Fits(members[0]) {
		t.Error("a process that has ended fits")
	}
}

// A process is recognized as the watch of a launch by its name and its command line, if its user is root or the
// target's user and its program is arenacap.
func TestWatches(t *testing.T) {
	watch := fakeProcess{name: protocol.Comm, cmdline: protocol.ProcessName + "50\x00", exe: "/proc/self/exe"}
	for name, test := range map[string]struct {
		change func(*fakeProcess)
		want   int
	}{
		"root's":             {func(*fakeProcess) {}, 60},
		"the target's user":  {func(p *fakeProcess) { p.real, p.effective = 115, 115 }, 60},
		"another user's":     {func(p *fakeProcess) { p.real, p.effective = 1000, 1000 }, 0},
		"half root's":        {func(p *fakeProcess) { p.real = 1000 }, 0},
		"a zombie":           {func(p *fakeProcess) { p.state = "Z" }, 0},
		"only the comm":      {func(p *fakeProcess) { p.cmdline = "sh\x00" }, 0},
		"only the arguments": {func(p *fakeProcess) { p.name = "sh" }, 0},
		"of no number":       {func(p *fakeProcess) { p.cmdline = protocol.ProcessName + "x\x00" }, 0},
		"of another process": {func(p *fakeProcess) { p.cmdline = protocol.ProcessName + "51\x00" }, 0},
		"another program":    {func(p *fakeProcess) { p.exe = "/bin/sh" }, 0},
		"an unreadable exe":  {func(p *fakeProcess) { p.exe = "" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.process(50, fakeProcess{name: "java", real: 115, effective: 115, cgroup: "0::/system.slice/s0.service\n"})
			w := watch
			w.cgroup = "0::/system.slice/s0.service\n"
			test.change(&w)
			f.process(60, w)
			finder := f.finder(policy.Match{})
			members := "50:0 60:0 " // a process that is not a watch belongs to the service
			if test.want != 0 {
				members = "50:0 "
			}
			if got := look(t, finder, time.Hour); got != members && w.state != "Z" {
				t.Errorf("the members are %q, want %q", got, members)
			}
			if watches, err := Watches(f.root); err != nil || watches[50] != test.want || finder.WatchOf(50) != test.want {
				t.Errorf("%v and %d, %v; want %d", watches, finder.WatchOf(50), err, test.want)
			}
			f.end(60)
			if finder.WatchOf(50) != 0 {
				t.Error("a watch that has ended is still found")
			}
		})
	}
}

// The watch in a supervisor is recognized by the name of a thread of the target's parent. As with a detached watch, the
// process must run arenacap, as root or as the user of the target.
func TestSupervisors(t *testing.T) {
	const ours = "/proc/self/exe"
	for name, test := range map[string]struct {
		thread     string
		supervisor fakeProcess
		want       int
	}{
		"root's":                        {protocol.Comm, fakeProcess{name: "arenacap", exe: ours}, 1},
		"the target's user":             {protocol.Comm, fakeProcess{name: "arenacap", exe: ours, real: 115, effective: 115}, 1},
		"another user's":                {protocol.Comm, fakeProcess{name: "arenacap", exe: ours, real: 1000, effective: 1000}, 0},
		"another program":               {protocol.Comm, fakeProcess{name: "arenacap", exe: "/bin/sh", real: 115, effective: 115}, 0},
		"without a watch":               {"arenacap", fakeProcess{name: "arenacap", exe: ours}, 0},
		"a watch's own, of its command": {protocol.Comm, fakeProcess{name: protocol.Comm, exe: ours}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.process(50, fakeProcess{name: "java", real: 115, effective: 115}) // PID 1 is its parent
			f.process(1, test.supervisor)
			f.write("/proc/1/task/1/comm", test.supervisor.name+"\n")
			f.write("/proc/1/task/7/comm", test.thread+"\n")
			if got := f.finder(policy.Match{}).WatchOf(50); got != test.want {
				t.Errorf("PID %d, want %d", got, test.want)
			}
		})
	}
}

// TestRealProcesses finds real processes by path, name and user.
func TestRealProcesses(t *testing.T) {
	program, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		t.Fatal(err)
	}
	rules := mustRules(t, proc.Here, servicesOf(policy.Match{Exe: program, Name: filepath.Base(program), User: strconv.Itoa(os.Getuid())}))
	finder := NewFinder(proc.Here, rules)
	cmd := exec.Command(program, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := func() bool {
		members, err := finder.Look(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if m.PID == cmd.Process.Pid {
				return m.Parent == os.Getpid() && finder.Fits(m)
			}
		}
		return false
	}
	if !found() {
		t.Error("the running process is not found")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if found() {
		t.Error("the process is found after its end")
	}
}

// BenchmarkLook measures one call of Look on this host without new processes.
func BenchmarkLook(b *testing.B) {
	rules := NewRules(proc.Here, servicesOf(policy.Match{}))
	finder := NewFinder(proc.Here, rules)
	for b.Loop() {
		if _, err := finder.Look(1<<60, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(finder.seen)), "processes")
}
