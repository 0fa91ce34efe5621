package policy

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"arenacap/policy/text"
)

// This file finds the policy file, and reads it for a service.

// systemFile is the system-wide policy.
const systemFile = "/etc/arenacap/policy.toml"

// Lookup selects the policy file and the service's section.
type Lookup struct {
	Named   string // value of --policy; "" if the flag is missing
	Service string // value of --service; "" if the flag is missing

	// Root means that root launches. Then the user's folder is skipped, and only root may own or write the file
	// and every folder above it.
	Root bool

	Getenv func(string) (string, bool) // the function os.LookupEnv; nil stands for an empty environment
}

// Load reads the first policy that exists of: the file of --policy, $ARENACAP_POLICY,
// $XDG_CONFIG_HOME/arenacap/policy.toml (~/.config by default), /etc/arenacap/policy.toml, Builtin. Files are
// not merged. The text of an error is the first problem of the file, in one line.
func (l Lookup) Load() (Policy, error) {
	data, file, notes, err := l.find(systemFile)
	if err != nil {
		return Policy{}, err
	}
	p := Builtin()
	switch {
	case file == "" && l.Service != "":
		notes = append(notes, fmt.Sprintf("no policy file was found for service %q, so the built-in policy applies, without a budget; write %s, or name a file with --policy", l.Service, systemFile))
	case file != "":
		if p, err = read(file, data, l.Service); err != nil {
			return Policy{}, err
		}
	}
	p.Service = l.Service
	p.Notes = append(notes, p.Notes...)
	return p, nil
}

// read parses a policy file for a service.
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
	if hint := text.DidYouMean(service, slices.Sorted(maps.Keys(services))); hint != "" {
		p.Notes = append(p.Notes, fmt.Sprintf("%s has no section for service %q, so its base tables [arenas], [budget], … apply; %s", text.Printable(file), service, hint))
	}
	return p, nil
}

// Services returns the policy of each service in the file that applies, in the order of the file. It returns none if there
// is no file, or no section of a service.
func (l Lookup) Services() (all []Policy, err error) {
	data, file, _, err := l.find(systemFile)
	if err != nil || file == "" {
		return nil, err
	}
	d := parse(file, data)
	_, services := d.settings()
	if len(d.problems) != 0 {
		return nil, d.problems
	}
	at := func(name string) int { return d.at[services[name].prefix.String()].key }
	for _, name := range slices.SortedFunc(maps.Keys(services), func(a, b string) int { return at(a) - at(b) }) {
		p := services[name].policy
		p.Service, p.Section = name, true
		all = append(all, p)
	}
	return all, nil
}

// find reads the first policy file that exists; file is "" if there is none. A file named by flag or variable must
// exist.
func (l Lookup) find(system string) (data []byte, file string, notes []string, err error) {
	named, by := l.Named, "--policy"
	if named == "" {
		named, by = l.env("ARENACAP_POLICY"), "$ARENACAP_POLICY"
	}
	if named != "" {
		data, bad := readFile(named, l.Root)
		if bad != nil {
			if presence(named) == absent {
				bad.Hint = by + " must name an existing file"
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
			// A service manager may change the user and keep $HOME, so that $HOME is another user's folder.
			// A policy there is not for this user, so it must not prevent the start.
			if place != system {
				notes = append(notes, fmt.Sprintf("%s cannot be searched for (permission denied), so it counts as absent", text.Printable(place)))
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

// places lists the default paths. It ignores a relative $XDG_CONFIG_HOME, as the XDG specification says. It also ignores a
// relative $HOME, because the policy must not depend on the current directory.
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

// env returns the value of a variable, or "" if it is unset.
func (l Lookup) env(name string) string {
	if l.Getenv == nil {
		return ""
	}
	s, _ := l.Getenv(name)
	return s
}
