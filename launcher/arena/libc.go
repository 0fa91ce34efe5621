package arena

// The version of a process's C library, as its banner in memory says it.

import (
	"bytes"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc"
)

// libcVersion reads glibc's version from the banner in the memory of the mapped file, which is right also where
// the file was replaced by an upgrade since. At most libcMax bytes are read.
//
//	GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.
func libcVersion(mem reader, maps layout) (string, error) {
	const libcMax = 4 << 20
	left := uint64(libcMax)
	for _, code := range []perm{0, proc.PermExec} { // the banner is in the read-only data; old linkers put that beside the code
		for _, m := range maps {
			if !m.File() || !allocator.IsGlibc(m.Name) || m.Perm != proc.PermRead|code {
				continue
			}
			end := min(m.End, m.Start+left)
			left -= end - m.Start
			if v, err := findBanner(mem, m.Start, end); v != "" || err != nil {
				return v, err
			}
		}
	}
	return "", nil
}

func findBanner(mem reader, start, end uint64) (string, error) {
	const step, overlap = 128 << 10, 512
	buf := make([]byte, min(step+overlap, end-start))
	for ; start < end; start += step {
		spans := [1]span{{addr: start, buf: buf[:min(uint64(len(buf)), end-start)]}}
		if err := mem.read(spans[:]); err != nil {
			return "", err
		}
		if v := bannerVersion(spans[0].buf[:spans[0].n]); v != "" {
			return v, nil
		}
	}
	return "", nil
}

// bannerVersion is the number of the first banner that has one: "2.36", "2.44.9000" in a development tree.
func bannerVersion(b []byte) string {
	for {
		_, after, ok := bytes.Cut(b, []byte(allocator.Banner))
		if !ok {
			return ""
		}
		if version, _ := allocator.ParseBanner(after); version != "" {
			return version
		}
		b = after
	}
}
