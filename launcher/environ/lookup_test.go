package environ

import "testing"

func TestLookup(t *testing.T) {
	env := []string{"", "A", "=A=x", "AB=y", "A=", "A=second", "B=1=2"}
	for _, c := range []struct {
		name, value string
		ok          bool
	}{{"A", "", true}, {"AB", "y", true}, {"B", "1=2", true}, {"", "A=x", true}, {"C", "", false}, {"a", "", false}} {
		if value, ok := Lookup(env, c.name); value != c.value || ok != c.ok {
			t.Errorf("%q is %q, %v; want %q, %v", c.name, value, ok, c.value, c.ok)
		}
	}
}
