package policy

import "testing"

// The flag --budget sets the limit of the metric "virtual" and keeps the limits of the other metrics;
// "off" removes all limits.
func TestOverrideBudget(t *testing.T) {
	p := mustRead(t, "budget.virtual = 1\nbudget.growth = 2\nbudget.hard = true", "")
	want := p.Budget.Limits
	want[virtual] = size{Bytes: 4 * gib, From: "--budget"}
	if err := p.Override("budget", "4GiB"); err != nil || p.Budget.Limits != want || !p.Budget.Hard {
		t.Errorf("%v, %+v", err, p.Budget)
	}
	if err := p.Override("budget", "4 gigabytes"); err == nil || p.Budget.Limits != want {
		t.Errorf("%v, %+v", err, p.Budget)
	}
	if err := p.Override("budget", "off"); err != nil || p.Budget.Limits != (Budget{}).Limits || p.Budget.Hard {
		t.Errorf("%v, %+v", err, p.Budget)
	}
}

// --arenas drops the value of arenas.test in the file, --cores does not; an invalid value changes nothing.
func TestOverrideArenas(t *testing.T) {
	p := mustRead(t, "arenas.cap = 9\narenas.test = 2\narenas.cores = 8", "")
	if err := p.Override("cores", "affinity"); err != nil || p.Arenas.Cores != (coreRule{Rule: "affinity", From: "--cores"}) || p.Arenas.Test != 2 {
		t.Errorf("%v, %+v", err, p.Arenas)
	}
	for flag, bad := range map[string][]string{"cores": {"", "0", "+4", "65536", "Auto"}, "arenas": {"", "0", "some"}, "log": {"stderr"}} {
		for _, text := range bad {
			before := p.Arenas
			if err := p.Override(flag, text); err == nil || p.Arenas != before {
				t.Errorf("--%s %q: %v, %+v", flag, text, err, p.Arenas)
			}
		}
	}
	if err := p.Override("arenas", "2/core"); err != nil || p.Arenas.Test != 0 || p.Arenas.Cap != (Cap{Mode: PerCore, Micro: 2_000_000, From: "--arenas"}) {
		t.Errorf("%v, %+v", err, p.Arenas)
	}
}
