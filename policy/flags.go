package policy

import (
	"fmt"
	"slices"
	"strconv"
)

// This file applies the command-line flags that override a policy.

// flagArenas is the origin of a cap from the command line.
const flagArenas = "--arenas"

// Override applies the flag "arenas", "cores", "budget" or "supervise" ("true" or "false"). The flag "arenas" also drops the
// key "test" of the policy file; the keys "min" and "max" of the file still apply to a per-core cap. --supervise=false forbids
// supervision, so it selects mode exec: auto may supervise.
func (p *Policy) Override(flag, text string) (err error) {
	switch flag {
	case "arenas":
		var c Cap
		if c, err = parseCap(text); err == nil {
			c.From = flagArenas
			p.Arenas.Cap, p.Arenas.Test = c, 0
		}
	case "cores":
		var rule coreRule
		if rule, err = parseCores(text); err == nil {
			p.Arenas.Cores = rule
		}
	case "budget":
		err = p.Budget.override(text)
	case "supervise":
		p.Launch.Mode = "exec"
		if text == "true" {
			p.Launch.Mode = "supervise"
		}
	default:
		err = fmt.Errorf("flag --%s does not override a policy", flag)
	}
	return err
}

func parseCores(text string) (coreRule, error) {
	if slices.Contains(coreSources, text) {
		return coreRule{Rule: text, From: "--cores"}, nil
	}
	n, err := strconv.Atoi(text)
	if _, fraction := strconv.ParseFloat(text, 64); err != nil && fraction == nil {
		return coreRule{}, fmt.Errorf("%q is not a whole number; write for example 3, or \"auto\", which rounds the CPU quota up", text)
	}
	if err != nil || n < 1 || n > MaxCap || text[0] == '+' {
		return coreRule{}, fmt.Errorf(`%q is not a number from 1 to %d, "auto", "online" or "affinity"`, text, MaxCap)
	}
	return coreRule{N: n, From: "--cores"}, nil
}

// override sets the limit of virtual memory, or with "off" removes all limits and "hard".
func (b *Budget) override(text string) error {
	if text == "off" {
		b.Limits, b.Hard = Budget{}.Limits, false
		return nil
	}
	limit, err := parseLimit(text)
	if err == nil && limit.Percent != 0 {
		err = fmt.Errorf("%q is a percentage, which works only for the %s limits of a policy file; write a size, for example 4GiB", text, relativeMetrics())
	}
	if err != nil {
		return err
	}
	limit.From = "--budget"
	b.Limits[virtual] = limit
	return nil
}
