package target

import (
	"os"
	"testing"
)

// BenchmarkQuick measures Quick, which delays the launches that call it.
func BenchmarkQuick(b *testing.B) {
	env := os.Environ()
	for _, path := range []string{"/bin/true", "/usr/bin/ldd", "/usr/bin/redis-server", "/usr/sbin/mariadbd"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Quick(path, nil, env)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Find("true", env); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExamine(b *testing.B) {
	env := os.Environ()
	b.ReportAllocs()
	for b.Loop() {
		Examine("/bin/sh", nil, env)
	}
}
