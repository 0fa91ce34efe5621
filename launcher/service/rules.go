// Package service assigns the processes of a host to the services of a policy ([service.NAME.match]).
//
// rules.go decides for one process; process.go reads the facts that the rules need; finder.go scans the host repeatedly and
// reads only new processes; all.go reads every process once; watches.go finds the watches of launches. The root of /proc is an argument.
package service

// This file has the rules that assign a process to a service.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"arenacap/launcher/proc"
	"arenacap/policy"
)

// Rules has the rules of all services, in the order of the policy: a process that fits two belongs to the first.
type Rules struct {
	rules                 []rule
	byUnit, byExe, byName map[string][]int // indexes into rules; each rule is in exactly one of the three maps
}

// rule has the conditions of one service; "" and nil match any process.
type rule struct {
	unit, exe, name string
	user            *uint32
}

// NewRules makes the rules from the match of each policy. It fails if a user is unknown.
func NewRules(root proc.Root, services []policy.Policy) (*Rules, error) {
	rs := &Rules{byUnit: map[string][]int{}, byExe: map[string][]int{}, byName: map[string][]int{}}
	passwd := sync.OnceValues(func() ([]byte, error) { return root.Read("/etc/passwd") })
	for i, p := range services {
		r, err := newRule(passwd, p)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", p.Service, err)
		}
		rs.rules = append(rs.rules, r)
		switch {
		case r.unit != "":
			rs.byUnit[r.unit] = append(rs.byUnit[r.unit], i)
		case r.exe != "":
			rs.byExe[r.exe] = append(rs.byExe[r.exe], i)
		default:
			rs.byName[r.name] = append(rs.byName[r.name], i)
		}
	}
	return rs, nil
}

func newRule(passwd func() ([]byte, error), p policy.Policy) (r rule, err error) {
	m := p.Match
	r = rule{unit: m.Unit, exe: m.Exe, name: m.Name}
	if r.unit == "" && r.exe == "" && r.name == "" {
		r.unit = p.Service
	}
	if r.unit != "" && !strings.HasSuffix(r.unit, unitSuffix) {
		r.unit += unitSuffix
	}
	if m.User != "" {
		r.user, err = userID(passwd, m.User)
	}
	return r, err
}

// userID returns the UID of a user, given by number or by name in /etc/passwd (passwd(5)).
func userID(passwd func() ([]byte, error), user string) (*uint32, error) {
	if n, err := strconv.ParseUint(user, 10, 32); err == nil {
		return new(uint32(n)), nil
	}
	text, err := passwd()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		fields := strings.Split(string(line), ":") // name:password:UID:GID:…
		if len(fields) < 4 || fields[0] != user {
			continue
		}
		if n, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			return new(uint32(n)), nil
		}
	}
	return nil, fmt.Errorf("user %q is not in /etc/passwd; write the UID", user)
}

// belongs returns the service of a process and the next service that it fits too; -1: none.
func (rs *Rules) belongs(p *process) (first, also int) {
	var fit []int
	consider := func(candidates []int) {
		for _, i := range candidates {
			if rs.fits(i, p) {
				fit = append(fit, i)
			}
		}
	}
	if len(rs.byUnit) > 0 {
		unit := p.unit()
		consider(rs.byUnit[unit])
		if template := templateOf(unit); template != "" {
			consider(rs.byUnit[template])
		}
	}
	consider(rs.byName[p.Name])
	if len(rs.byExe) > 0 {
		consider(rs.byExe[p.exe()])
	}
	slices.Sort(fit)
	fit = append(fit, -1, -1)
	return fit[0], fit[1]
}

func (rs *Rules) fits(i int, p *process) bool {
	r := rs.rules[i]
	unit := r.unit == "" || r.unit == p.unit() || r.unit == templateOf(p.unit())
	return unit && (r.name == "" || r.name == p.Name) && (r.exe == "" || r.exe == p.exe()) && (r.user == nil || p.isOf(*r.user))
}

const unitSuffix = ".service"

// unitOf returns the service unit of the system's systemd in the path of a control group: the first group that is not
// a slice (systemd.slice(5)), if it is a service. Groups below it belong to that service: the units of a user manager
// are below user@1000.service, those of a container below a service or a scope. systemd writes "_" before a name that
// the kernel could take for one of its files ("_cpu.service"; src/basic/cgroup-util.c, cg_escape). If arenacap runs in
// a container, the path of a process outside of this container begins with "/.." for each group up to the root
// (cgroup_namespaces(7)).
func unitOf(path string) string {
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if name == ".." {
			continue
		}
		name = strings.TrimPrefix(name, "_")
		if strings.HasSuffix(name, unitSuffix) && name != unitSuffix {
			return name
		}
		if !strings.HasSuffix(name, ".slice") {
			return ""
		}
	}
	return ""
}

// templateOf returns "a@.service" for "a@b.service", and "" for a unit without an instance.
func templateOf(unit string) string {
	prefix, instance, ok := strings.Cut(strings.TrimSuffix(unit, unitSuffix), "@")
	if !ok || instance == "" {
		return ""
	}
	return prefix + "@" + unitSuffix
}
