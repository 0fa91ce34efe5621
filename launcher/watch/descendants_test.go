package watch

import (
	"reflect"
	"slices"
	"testing"
)

func TestClassify(t *testing.T) {
	is := func(pids ...int) func(int) bool { return func(pid int) bool { return slices.Contains(pids, pid) } }
	for _, test := range []struct {
		name    string
		fresh   []edge
		in, out []int
	}{
		{"a child", []edge{{101, 100}}, []int{101}, nil},
		{"a grandchild that is listed first, as PIDs wrap", []edge{{5, 101}, {101, 100}}, []int{5, 101}, nil},
		{"someone else's child", []edge{{50, 1}, {51, 50}}, nil, []int{50, 51}},
		{"the first process has no parent", []edge{{9, 0}}, nil, []int{9}},
		{"a parent that was not listed yet decides nothing", []edge{{300, 299}}, nil, nil},
		{"its child neither", []edge{{300, 299}, {301, 300}}, nil, nil},
		{"a ring, as PIDs were reused in the middle of a listing", []edge{{7, 8}, {8, 7}}, nil, nil},
		{"nothing", nil, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, out := classify(test.fresh, is(100), is(1))
			if !reflect.DeepEqual(in, test.in) || !reflect.DeepEqual(out, test.out) {
				t.Errorf("in %v, out %v; want %v, %v", in, out, test.in, test.out)
			}
		})
	}
}
