package proc

import (
	"encoding/binary"
	"os"
	"strconv"
	"testing"
)

func TestAtSecure(t *testing.T) {
	pairs := func(size int, values ...uint64) []byte {
		var b []byte
		for _, v := range values {
			if size == 4 {
				b = binary.NativeEndian.AppendUint32(b, uint32(v))
			} else {
				b = binary.NativeEndian.AppendUint64(b, v)
			}
		}
		return b
	}
	for _, c := range []struct {
		name string
		text []byte
		bits int
		want bool
	}{
		{"empty", nil, 64, false},
		{"secure", pairs(8, 6, 4096, 23, 1, 0, 0), 64, true},
		{"not secure", pairs(8, 6, 4096, 23, 0, 0, 0), 64, false},
		{"32-bit secure", pairs(4, 6, 4096, 23, 1, 0, 0), 32, true},
		{"32-bit not secure", pairs(4, 6, 23, 23, 0, 0, 0), 32, false},
		{"a value of 23 is no type", pairs(8, 23+1, 23, 6, 1), 64, false},
		{"cut in the middle", pairs(8, 6, 4096, 23), 64, false},
	} {
		if got := AtSecure(c.text, c.bits); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	if own, err := os.ReadFile("/proc/self/auxv"); err != nil || AtSecure(own, strconv.IntSize) {
		t.Errorf("this test runs in secure mode, or has no auxv: %v", err)
	}
}

func FuzzAuxv(f *testing.F) {
	f.Add([]byte("\x17\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, auxv []byte) {
		for _, bits := range []int{32, 64} {
			if AtSecure(auxv, bits) && len(auxv) < bits/4 {
				t.Errorf("%q is secure", auxv)
			}
		}
	})
}
