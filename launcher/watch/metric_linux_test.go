package watch

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"arenacap/policy"
)

// For each metric of a policy the watch reports the limit, a warning, a breach and a recovery, as text and as JSON.
func TestEveryMetric(t *testing.T) {
	for _, name := range policy.Metrics() {
		for format, words := range map[string]string{
			"text": `started: budget: %[1]s 1 GiB.*\n.*warning: %[1]s 90[04] MiB.*\n.*breach: %[1]s 2 GiB, over the limit of 1 GiB.*\n.*recovered: %[1]s [04] (MiB|B)`,
			"json": `"started".*"metric":"%[1]s".*\n.*"warning",.*"metric":"%[1]s".*\n.*"breach",.*"metric":"%[1]s".*\n.*"recovered",.*"metric":"%[1]s"`,
		} {
			t.Run(name+" "+format, func(t *testing.T) {
				cfg := testConfig("")
				cfg.Limits, cfg.Log.Format, cfg.Verbose = limitedBy(t, "budget."+name+` = "1GiB"`), format, true
				s := simulate(t, cfg)
				for _, size := range []uint64{4 * MiB, 904 * MiB, 2052 * MiB, 4 * MiB} { // the first is the base of growth
					for range cfg.Budget.Breach.Of {
						s.sample(size)
					}
				}
				if !regexp.MustCompile(fmt.Sprintf(words, name)).MatchString(s.lines) {
					t.Errorf("the events are\n%s", s.lines)
				}
			})
		}
	}
}

// limitedBy returns the limits of a policy.
func limitedBy(t *testing.T, text string) []policy.Limit {
	t.Helper()
	file := t.TempDir() + "/policy.toml"
	must(t, os.WriteFile(file, []byte("arenas.cap = 4\n"+text), 0o600))
	p, err := policy.Lookup{Named: file}.Load()
	must(t, err)
	plan, err := p.Resolve(policy.Machine{})
	must(t, err)
	return plan.Limits
}
