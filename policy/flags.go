package policy

import (
	"fmt"
	"slices"
	"strconv"
)

// The flags of the command line that go over a policy.

// flagArenas is the origin of a cap that was given on the command line.
const flagArenas = "--arenas"

// Override lays the flag "arenas", "cores" or "budget" over the policy. A cap also sets aside the file's test; min and max
// still clamp it where it is per core.
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
	default:
		err = fmt.Errorf("no flag --%s goes over a policy", flag)
	}
	return err
}

func parseCores(text string) (coreRule, error) {
	if slices.Contains(coreSources, text) {
		return coreRule{Rule: text, From: "--cores"}, nil
	}
	n, err := strconv.Atoi(text)
	if _, fraction := strconv.ParseFloat(text, 64); err != nil && fraction == nil {
		return coreRule{}, fmt.Errorf("%q is not a whole number; write for example 3, or auto, which rounds the CPU quota that is in force up", text)
	}
	if err != nil || n < 1 || n > MaxCap || text[0] == '+' {
		return coreRule{}, fmt.Errorf(`%q is not a number from 1 to %d, "auto", "online" or "affinity"`, text, MaxCap)
	}
	return coreRule{N: n, From: "--cores"}, nil
}

// override takes a size of the virtual memory, or "off" for no limit of any metric.
func (b *Budget) override(text string) error {
	if text == "off" {
		b.Limits, b.Hard = Budget{}.Limits, false
		return nil
	}
	limit, err := parseLimit(text)
	if err == nil && limit.Percent != 0 {
		err = fmt.Errorf("size %q: a percentage works for the %s limits of a policy file only; write bytes, for example \"4GiB\"", text, relativeMetrics())
	}
	if err != nil {
		return err
	}
	limit.From = "--budget"
	b.Limits[virtual] = limit
	return nil
}
