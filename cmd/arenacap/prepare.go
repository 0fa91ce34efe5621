package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/origin"
	"arenacap/policy"
)

// everything asks for all facts, for a person to read, not only for those that the plan depends on.
const everything = true

// makePlan gathers what a plan depends on and resolves it: the policy and the flags over it, the machine,
// and what the environment already asks for. It changes nothing.
func makePlan(c *cli.Context, all bool) (policy.Plan, error) {
	p, err := loadPolicy(c)
	if err != nil {
		return policy.Plan{}, err
	}
	if err := applyCapFlags(c, &p); err != nil {
		return policy.Plan{}, err
	}
	inherited := environ.Inherited(origin.Environ())
	var need machine.Need
	if all {
		need = machine.Cores | machine.Memory | machine.Library
	}
	if p.NeedsCores(inherited) {
		need |= machine.Cores
	}
	if p.NeedsMemory() {
		need |= machine.Memory
	}
	found := machine.Find("/", need)
	found.Inherited = inherited
	return p.Resolve(found)
}

// loadPolicy reads the policy that counts for this command line.
func loadPolicy(c *cli.Context) (policy.Policy, error) {
	named, given := globalString(c, "policy")
	if given && named == "" { // "$FILE" that is not set, most likely
		return policy.Policy{}, badFlag(c, "policy", errors.New(`"" is no file; leave the flag out for the default places`))
	}
	return policy.Load(policy.Lookup{
		Named:   named,
		Service: serviceName(c),
		Getenv:  os.LookupEnv,
		Root:    os.Geteuid() == 0,
	})
}

func serviceName(c *cli.Context) string {
	if name, given := globalString(c, "service"); given {
		return name
	}
	return os.Getenv("ARENACAP_SERVICE")
}

// explainPlan says what the operator should hear of a plan: what it overrides, and under --verbose why it
// is what it is.
func explainPlan(v voice, plan policy.Plan) {
	for _, line := range plan.Policy.Notes {
		v.note("%s", line)
	}
	for _, line := range plan.Overrides {
		v.note("%s", line)
	}
	if !v.verbose {
		return
	}
	v.explain("policy: %s", policyName(plan.Policy))
	for _, line := range plan.Reasons {
		v.explain("%s", line)
	}
	for _, limit := range plan.Limits {
		v.explain("budget: %s %s (%s)", limit.Metric, policy.FormatSize(limit.Bytes), limit.From)
	}
}

// policyName says which policy counts, and which section of it.
func policyName(p policy.Policy) string {
	name := "built-in (no policy file was found)"
	if p.File != "" {
		name = p.File
	}
	switch {
	case p.Section:
		name += ", section [service." + p.Service + "]"
	case p.Service != "" && p.File != "":
		name += ", which has no section [service." + p.Service + "]: the base tables apply"
	}
	return name
}
