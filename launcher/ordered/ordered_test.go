package ordered

import (
	"encoding/json"
	"math"
	"testing"
)

func TestObject(t *testing.T) {
	for want, o := range map[string]Object{
		`{}`:                           {},
		`{"b":1,"a":null,"c":{"d":2}}`: {"b", 1, "a", (*int)(nil), "c", Object{"d", 2}},
		`{"x\"":"\u003c"}`:             {`x"`, "<"},
	} {
		if got, err := json.Marshal(o); err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	if text, err := json.Marshal(Object{"a", math.NaN()}); err == nil {
		t.Errorf("NaN is %s", text)
	}
}
