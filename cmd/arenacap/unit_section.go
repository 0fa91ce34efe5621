package main

// This file chooses the section of the policy for the drop-in of a unit.

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/launcher/service"
	"arenacap/launcher/unit"
	"arenacap/policy"
)

// sectionFor returns the section to which watch --services assigns the processes of a unit, so that the launch and that
// watch use the same one. Without such a section it returns the default name. The note names a section that looks as if
// it were for the unit but is not used: one with the name of an alias, or, for an instance of the template
// "a@.service", the section "a".
func sectionFor(u unit.Unit, sections []policy.Policy) (name, note string) {
	name = u.Service()
	for _, p := range sections {
		if of := service.UnitOf(p); of == u.Name || of == name+".service" {
			return p.Service, ""
		}
	}
	for _, p := range sections {
		switch of := service.UnitOf(p); {
		case of == "" && p.Service == strings.TrimSuffix(name, "@"): // the section selects processes by match.exe or match.name
			return p.Service, ""
		case p.Match.Unit == "" && (slices.Contains(u.Aliases(), of) || of == strings.TrimSuffix(name, "@")+".service"):
			note = fmt.Sprintf("the section of service %q does not apply to %s, neither in this drop-in (--service %s) nor in watch --services; write a section for service %q",
				p.Service, u.Name, name, name)
		}
	}
	return name, note
}
