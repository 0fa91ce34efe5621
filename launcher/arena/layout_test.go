package arena

import (
	"bytes"
	"os"
	"testing"

	"arenacap/launcher/proc/vma"
)

// FuzzLayout splits arbitrary mappings into regions: no bytes may be lost.
func FuzzLayout(f *testing.F) {
	own, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(own) {
		f.Add(line)
	}
	f.Add([]byte("1000-3000 rw-p 00000000 00:00 0 \n2000-5000 rw-p 00000000 00:00 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		maps, err := vma.ParseMaps(nil, text)
		if err != nil {
			return
		}
		got := layout(maps)
		var cut uint64
		for _, r := range regions(got, []owner{{start: 0x1800, end: 0x2800, kind: KindArenas}}) {
			cut += r.Size()
		}
		if cut != got.virtual() {
			t.Fatalf("regions of %d bytes, mappings of %d", cut, got.virtual())
		}
		got.bases(got.word())
	})
}
