package launcher

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestPutDecimal(t *testing.T) {
	for _, c := range []struct {
		n    uintptr
		want string
	}{{0, "0"}, {1, "1"}, {9, "9"}, {10, "10"}, {4194304, "4194304"}, {4294967295, "4294967295"}} {
		var to [maxDigits + 1]byte
		for i := range to {
			to[i] = 'x'
		}
		putDecimal(to[:], c.n)
		if got := unix.ByteSliceToString(to[:]); got != c.want {
			t.Errorf("%d is %q", c.n, got)
		}
	}
}
