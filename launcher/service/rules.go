// Package service assigns the processes of a host to the services of a policy ([service.NAME.match]).
//
// rules.go decides for one process; process.go reads the facts that the rules need; finder.go scans the host repeatedly,
// and reads new processes at once and known ones seldom; all.go reads every process once; watches.go finds the watches of
// launches. The root of /proc is an argument.
package service

// This file has the rules that assign a process to a service.

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"arenacap/launcher/proc"
	"arenacap/policy"
	"arenacap/policy/text"
)

// Rules has the rules of all services, in the order of the policy: a process that fits two belongs to the first.
type Rules struct {
	Problems []error // one for each service to which no process can belong, because its user is unknown

	rules                 []rule
	byUnit, byExe, byName map[string][]int // indexes into rules; each rule whose user is known is in exactly one of the three maps
}

// rule has the conditions of one service; "" and nil match any process.
type rule struct {
	unit, exe, name string
	user            *uint32
}

// NewRules makes the rules from the match of each policy.
func NewRules(root proc.Root, services []policy.Policy) *Rules {
	rs := &Rules{byUnit: map[string][]int{}, byExe: map[string][]int{}, byName: map[string][]int{}}
	passwd := sync.OnceValues(func() ([]byte, error) { return root.Read("/etc/passwd") })
	for i, p := range services {
		r, err := newRule(passwd, p)
		rs.rules = append(rs.rules, r)
		switch {
		case err != nil: // the rule is in no map, so it matches no process
			rs.Problems = append(rs.Problems, fmt.Errorf("%s: service %q: %w", text.Printable(p.Match.From), p.Service, err))
		case r.unit != "":
			rs.byUnit[r.unit] = append(rs.byUnit[r.unit], i)
		case r.exe != "":
			rs.byExe[r.exe] = append(rs.byExe[r.exe], i)
		default:
			rs.byName[r.name] = append(rs.byName[r.name], i)
		}
	}
	return rs
}

func newRule(passwd func() ([]byte, error), p policy.Policy) (r rule, err error) {
	m := p.Match
	r = rule{unit: UnitOf(p), exe: m.Exe, name: m.Name}
	if m.User != "" {
		r.user, err = userID(passwd, m.User)
	}
	return r, err
}

// UnitOf returns the unit to which the processes of a service belong, or "" if they are selected without a unit.
func UnitOf(p policy.Policy) string {
	unit := p.Match.Unit
	if unit == "" && p.Match.Exe == "" && p.Match.Name == "" {
		unit = p.Service
	}
	if unit != "" && !strings.HasSuffix(unit, unitSuffix) {
		unit += unitSuffix
	}
	return unit
}

// userID returns the UID of a user, given by number or by name in /etc/passwd.
func userID(passwd func() ([]byte, error), user string) (*uint32, error) {
	text, err := passwd()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("user %q: %w", user, err)
	}
	uid, err := policy.UserID(user, text)
	return &uid, err
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

// unitOf returns the service unit of the system's systemd in the path of a control group: the first group that is not a
// slice (systemd.slice(5)), if it is a service. Groups below it belong to that service: the units of a user manager are
// below user@1000.service, and the units of a container are below a service or a scope. systemd writes "_" before a name
// that the kernel could take for one of its files ("_cpu.service"; src/basic/cgroup-util.c, cg_escape). If arenacap runs in
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
