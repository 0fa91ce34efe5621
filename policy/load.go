package policy

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// Which policy file counts, and the policy that it gives for a service.

// systemFile is the policy of the whole machine.
const systemFile = "/etc/arenacap/policy.toml"

// Lookup says where to look for the policy file and whose section of it to take.
type Lookup struct {
	Named   string // --policy; "" is not given
	Service string // --service; "" is none

	// Root is whether root launches. Then the user's folder is skipped, and the file and every folder
	// above it must be root's and writable by nobody else.
	Root bool

	Getenv func(string) (string, bool) // os.LookupEnv; nil is an empty environment
}

// Load finds and reads the policy: the file that --policy names, $ARENACAP_POLICY,
// $XDG_CONFIG_HOME/arenacap/policy.toml (~/.config), /etc/arenacap/policy.toml, or Builtin. The first
// that is there is the whole policy. An error names the first problem of the file in one line.
func Load(l Lookup) (Policy, error) {
	data, file, notes, err := l.find(systemFile)
	if err != nil {
		return Policy{}, err
	}
	p := Builtin()
	switch {
	case file == "" && l.Service != "":
		notes = append(notes, fmt.Sprintf("there is no policy file for service %q, so the built-in policy applies, which has no budget; write %s, or name a file by --policy", l.Service, systemFile))
	case file != "":
		if p, err = read(file, data, l.Service); err != nil {
			return Policy{}, err
		}
	}
	p.Service = l.Service
	p.Notes = append(notes, p.Notes...)
	return p, nil
}

// read is the policy that a file's bytes give for a service.
func read(file string, data []byte, service string) (Policy, error) {
	d := parse(file, data)
	base, services := d.settings()
	if len(d.problems) != 0 {
		return Policy{}, d.problems
	}
	if service == "" {
		return base.policy, nil
	}
	if l, ok := services[service]; ok {
		l.policy.Section = true
		return l.policy, nil
	}
	p := base.policy
	if hint := DidYouMean(service, slices.Sorted(maps.Keys(services))); hint != "" {
		p.Notes = append(p.Notes, fmt.Sprintf("%s has no section for service %q, its base tables apply; %s", printable(file), service, hint))
	}
	return p, nil
}

// find gives the bytes of the first policy file that is there and its path; "" is none. A file that was
// named must be there.
func (l Lookup) find(system string) (data []byte, file string, notes []string, err error) {
	named, by := l.Named, "--policy"
	if named == "" {
		named, by = l.env("ARENACAP_POLICY"), "$ARENACAP_POLICY"
	}
	if named != "" {
		data, bad := readFile(named, l.Root)
		if bad != nil {
			if presence(named) == absent {
				bad.Hint = by + " names it"
			}
			return nil, "", nil, problems{*bad}
		}
		return data, named, nil, nil
	}
	for _, place := range l.places(system) {
		switch presence(place) {
		case absent:
			continue
		case hidden:
			// A service manager that changes the user and keeps $HOME leads to a folder of somebody
			// else's. What is there was not meant for this user, and must not keep the server down.
			if place != system {
				notes = append(notes, fmt.Sprintf("%s cannot be looked for (permission denied) and counts as absent", printable(place)))
				continue
			}
		}
		data, bad := readFile(place, l.Root)
		if bad != nil {
			return nil, "", nil, problems{*bad}
		}
		return data, place, notes, nil
	}
	return nil, "", notes, nil
}

// places are the default places. A relative $XDG_CONFIG_HOME or $HOME would make the current directory
// count; the XDG specification has it ignored.
func (l Lookup) places(system string) []string {
	if l.Root {
		return []string{system}
	}
	folder := l.env("XDG_CONFIG_HOME")
	if home := l.env("HOME"); !filepath.IsAbs(folder) && filepath.IsAbs(home) {
		folder = filepath.Join(home, ".config")
	}
	if !filepath.IsAbs(folder) {
		return []string{system}
	}
	return []string{filepath.Join(folder, "arenacap", "policy.toml"), system}
}

// env is a variable; an empty one is as an unset one.
func (l Lookup) env(name string) string {
	if l.Getenv == nil {
		return ""
	}
	s, _ := l.Getenv(name)
	return s
}
