package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// row is the index of a metric in the table.
func row(name string) int { return slices.Index(Metrics(), name) }

// Each metric of the table is a key of [budget]: it sets a limit in the base and in a service, "off" removes the limit in a
// service and on the command line, and the message for an unknown key lists it.
func TestEveryMetric(t *testing.T) {
	for _, name := range Metrics() {
		t.Run(name, func(t *testing.T) {
			text := fmt.Sprintf("budget.%s = \"2GiB\"\nservice.on.budget.%s = \"1GiB\"\nservice.off.budget.%s = \"off\"\n", name, name, name)
			for service, want := range map[string][]Limit{
				"": {{name, 2 * gib, "p.toml:1"}}, "on": {{name, gib, "p.toml:2"}}, "off": nil,
			} {
				p := mustRead(t, text, service)
				if got := limitsOf(t, p, 0); !slices.Equal(got, want) {
					t.Errorf("service %q: %+v, want %+v", service, got, want)
				}
				if err := p.Override("budget", "off"); err != nil || limitsOf(t, p, 0) != nil {
					t.Errorf("with --budget off: %v, %+v", err, p.Budget.Limits)
				}
			}
			problems := problemsOf(t, "budget."+name+"x = 1")
			if len(problems) != 1 || problems[0].Hint != fmt.Sprintf("did you mean %q?", name) {
				t.Errorf("%+v", problems)
			}
			problems = problemsOf(t, "budget.there-is-no-such-key = 1")
			if len(problems) != 1 || !strings.Contains(problems[0].Hint, name+", ") {
				t.Errorf("%+v", problems)
			}
		})
	}
}

// Only relative metrics accept a percentage of the machine's memory; the messages name the same metrics.
func TestEveryPercentage(t *testing.T) {
	for _, m := range metrics {
		t.Run(m.name, func(t *testing.T) {
			text := "budget." + m.name + ` = "25%"`
			if !m.relative {
				problems := problemsOf(t, text)
				if len(problems) != 1 || !strings.Contains(problems[0].Message, "only data and resident may be") {
					t.Errorf("%+v", problems)
				}
				return
			}
			p := mustRead(t, text, "")
			want := []Limit{{m.name, gib, "p.toml:1: 25% of 4 GiB, memory.max"}}
			if got := limitsOf(t, p, 4*gib); !slices.Equal(got, want) || !p.NeedsMemory() {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
	var p Policy
	if err := p.Override("budget", "25%"); err == nil || !strings.Contains(err.Error(), "for the data and resident limits") {
		t.Error(err)
	}
}

func mustRead(t *testing.T, text, service string) Policy {
	t.Helper()
	p, err := read("p.toml", []byte(text), service)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func problemsOf(t *testing.T, text string) problems {
	t.Helper()
	_, err := read("p.toml", []byte(text), "")
	found, ok := err.(problems)
	if !ok {
		t.Fatalf("%s: %v", text, err)
	}
	return found
}

func limitsOf(t *testing.T, p Policy, memory uint64) []Limit {
	t.Helper()
	m := cores(4)
	m.Memory = Reading[uint64]{N: memory, From: "memory.max"}
	plan, err := p.Resolve(m)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Limits
}
