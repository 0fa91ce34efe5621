package allocator

import "testing"

func TestParseBanner(t *testing.T) {
	for _, c := range [][3]string{
		{"(Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\nCopyright", "2.36", "Debian GLIBC 2.36-9+deb12u14"},
		{"(GNU libc) stable release version 2.17, by Roland McGrath et al.\n", "2.17", "GNU libc"},
		{"(Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.\n", "2.35", "Ubuntu GLIBC 2.35-0ubuntu3.8"},
		{"(GNU libc) development release version 2.38.9000.\n", "2.38.9000", "GNU libc"},
		{"(GNU libc) release release version 2.26 (git 3a5ea88f8e), by Roland McGrath et al.\n", "2.26", "GNU libc git 3a5ea88f8e"},
		{"", "", ""}, {"(GNU libc\n", "", ""},
		{"stable release version 2.12, by Roland McGrath et al.\n", "2.12", ""}, // RHEL 6
		{"(unclosed stable release version 2.3", "2.3", ""},
	} {
		if version, release := ParseBanner([]byte(c[0])); version != c[1] || release != c[2] {
			t.Errorf("ParseBanner(%q) = %q, %q", c[0], version, release)
		}
	}
}

func FuzzParseBanner(f *testing.F) {
	f.Add([]byte("(Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n"))
	f.Add([]byte("stable release version 2.12 ("))
	f.Fuzz(func(t *testing.T, b []byte) {
		if version, release := ParseBanner(b); len(version)+len(release) > len(b) {
			t.Errorf("%q gives %q and %q", b, version, release)
		}
	})
}

func TestFilesOfLibcs(t *testing.T) {
	for file, want := range map[string][2]bool{ // glibc, musl
		"/lib/x86_64-linux-gnu/libc.so.6": {true, false}, "/lib/libc-2.31.so": {true, false}, "/lib/libc.so.6 (deleted)": {true, false},
		"/lib/ld-musl-x86_64.so.1": {false, true}, "/lib/libc.musl-x86_64.so.1": {false, true}, "/lib/libc.so": {false, true},
		"/apex/com.android.runtime/lib64/bionic/libc.so": {false, false}, "/lib/libc++.so.1": {false, false}, "/lib/libcap.so.2": {false, false},
	} {
		if got := [2]bool{IsGlibc(file), IsMusl(file)}; got != want {
			t.Errorf("%s: %t, want %t", file, got, want)
		}
	}
}
