package service

// This file reads the facts about one process, each when a rule needs it.

import (
	"os"
	"strconv"
	"strings"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
)

// process caches the facts about one process, except its users.
type process struct {
	proc.Stat
	root                 proc.Root
	buffer               *[]byte
	folder               string
	unitRead, exeRead    bool
	unitValue, exeTarget string
	group                string // the path that unitValue comes from
	failed               error  // the first error of reading the unit or the users; if set, the facts are incomplete
}

func newProcess(root proc.Root, buffer *[]byte, pid int) *process {
	return &process{root: root, buffer: buffer, folder: "/proc/" + strconv.Itoa(pid)}
}

func readProcess(root proc.Root, buffer *[]byte, pid int) (*process, error) {
	p := newProcess(root, buffer, pid)
	text, err := p.read("stat")
	if err == nil {
		p.Stat, err = proc.ParseStat(text)
	}
	return p, err
}

func (p *process) read(name string) ([]byte, error) {
	return p.root.ReadInto(p.buffer, p.folder+"/"+name)
}

func (p *process) fail(err error) {
	if p.failed == nil {
		p.failed = err
	}
}

// unit returns the unit of the process (see unitOf); "": none. It reads the path in the hierarchy name=systemd (version 1
// and hybrid layout) or, without one, in that of version 2.
func (p *process) unit() string {
	if p.unitRead {
		return p.unitValue
	}
	p.unitRead = true
	text, err := p.read("cgroup")
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
	p.group, p.unitValue = m.Path, unitOf(m.Path)
	return p.unitValue
}

// exe returns the path of the program; "": not readable. After the file was removed, for example by an upgrade, the kernel
// appends " (deleted)" (proc_pid_exe(5)).
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
	text, err := p.read("status")
	if err != nil {
		p.fail(err)
		return proc.Users{}, false
	}
	return proc.ParseUsers(text)
}
