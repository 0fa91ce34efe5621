package service

// What is read of one process, when a rule asks for it.

import (
	"os"
	"strconv"
	"strings"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
)

// process is one that is looked at.
type process struct {
	proc.Stat
	root                 proc.Root
	folder               string
	unitRead, exeRead    bool
	unitValue, exeTarget string
	failed               error // the first that was met: nothing is certain then
}

func readProcess(root proc.Root, pid int) (*process, error) {
	p := &process{root: root, folder: "/proc/" + strconv.Itoa(pid)}
	text, err := root.Read(p.folder + "/stat")
	if err == nil {
		p.Stat, err = proc.ParseStat(text)
	}
	return p, err
}

func (p *process) fail(err error) {
	if p.failed == nil {
		p.failed = err
	}
}

// unit is the system's unit, "" where there is none. In the hybrid layout of control groups systemd's own hierarchy is the
// one of its name, else it is that of version 2.
func (p *process) unit() string {
	if p.unitRead {
		return p.unitValue
	}
	p.unitRead = true
	text, err := p.root.Read(p.folder + "/cgroup")
	if err != nil {
		p.fail(err)
		return ""
	}
	groups, err := cgroup.ParseMemberships(text)
	if err != nil {
		p.fail(err)
		return ""
	}
	m, ok := groups.In("name=systemd")
	if !ok {
		m, _ = groups.In("")
	}
	p.unitValue = unitOf(m.Path)
	return p.unitValue
}

// exe is the path of the program. The kernel writes " (deleted)" behind one that was removed, by an upgrade say
// (proc_pid_exe(5)). A program that may not be seen has none.
func (p *process) exe() string {
	if !p.exeRead {
		p.exeRead = true
		path, _ := os.Readlink(string(p.root) + p.folder + "/exe")
		p.exeTarget = strings.TrimSuffix(path, " (deleted)")
	}
	return p.exeTarget
}

func (p *process) isOf(user uint32) bool {
	users, known := p.users()
	return known && users == (proc.Users{Real: user, Effective: user})
}

func (p *process) users() (users proc.Users, known bool) {
	text, err := p.root.Read(p.folder + "/status")
	if err != nil {
		p.fail(err)
		return proc.Users{}, false
	}
	return proc.ParseUsers(text)
}
