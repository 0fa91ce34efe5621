package arena

// This file determines the version of a process's C library from its banner in memory.

import (
	"bytes"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc/vma"
)

// libcFile returns the path of the process's libc: the file whose data holds the main arena. If no main arena is found, as
// before the first malloc, libcFile returns the first mapped file with the name of a libc.
func libcFile(maps layout, rings []*ring) string {
	for _, r := range rings {
		if m, ok := dataOf(maps, r.members[0].addr); ok {
			return m.Name
		}
	}
	for _, is := range []func(string) bool{allocator.IsGlibc, allocator.IsMusl} {
		for _, m := range maps {
			if m.File() && is(m.Name) {
				return m.Name
			}
		}
	}
	return ""
}

// libcVersion determines glibc's version from its banner, or for a static glibc from the text that allocator.StaticGlibc
// knows. It reads the process's memory, since an upgrade may have replaced the file, and at most libcMax bytes of it. The
// second result is the earliest possible release. A banner is:
//
//	GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.
func libcVersion(mem reader, maps layout, rings []*ring) (version, least string, err error) {
	const libcMax = 32 << 20
	var linked allocator.StaticGlibc
	if len(rings) > 0 {
		linked.AtLeast(rings[0].members[0].since())
	}
	file := libcFile(maps, rings)
	left := uint64(libcMax)
	for _, code := range []perm{0, vma.Exec} { // constants are in read-only mappings; old linkers put them beside the code
		for _, m := range maps {
			if !m.File() || m.Name != file || m.Perm != vma.Read|code {
				continue
			}
			end := min(m.End, m.Start+left)
			left -= end - m.Start
			if version, err := findBanner(mem, m.Start, end, &linked); version != "" || err != nil {
				return version, version, err
			}
		}
	}
	version, least = linked.Version()
	return version, least, nil
}

func findBanner(mem reader, start, end uint64, linked *allocator.StaticGlibc) (string, error) {
	const step, overlap = 128 << 10, 512
	buf := make([]byte, min(step+overlap, end-start))
	for ; start < end; start += step {
		spans := [1]span{{addr: start, buf: buf[:min(uint64(len(buf)), end-start)]}}
		if err := mem.read(spans[:]); err != nil {
			return "", err
		}
		b := spans[0].buf[:spans[0].n]
		if v := bannerVersion(b); v != "" {
			return v, nil
		}
		linked.Add(b)
	}
	return "", nil
}

// bannerVersion is the version in the first banner that has one: "2.36", or "2.44.9000" for a development tree.
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
