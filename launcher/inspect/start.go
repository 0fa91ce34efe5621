package inspect

import (
	"encoding/binary"
	"strconv"
	"strings"

	"arenacap/policy"
)

// splitEnviron reads /proc/PID/environ: the strings of the environment, each ended by a NUL
// (proc_pid_environ(5)). It is the memory that execve filled, so it shows what the program was started with,
// but for what ld.so up to 2.38 (see environ.Rejoin) or the program itself writes into it.
func splitEnviron(text []byte) []string {
	s := strings.TrimSuffix(string(text), "\x00")
	if s == "" && len(text) < 2 {
		return nil
	}
	return strings.Split(s, "\x00")
}

// overwritten reports whether a program has put its title over its environment, as setproctitle(3) of BSD
// and what copies it do (PostgreSQL, nginx, Redis, sshd): then NULs or the end of a title stand there. An
// entry without "=" is no variable. One behind GLIBC_TUNABLES is a malformed item that ld.so has cut off.
//
// A known limit: execve(2) lets a starter hand over such entries too; then the environment counts as not known.
func overwritten(env []string) bool {
	tunables := false
	for _, entry := range env {
		if !strings.Contains(entry, "=") && !tunables {
			return true
		}
		tunables = strings.HasPrefix(entry, "GLIBC_TUNABLES=")
	}
	return false
}

// isSecure reads AT_SECURE out of /proc/PID/auxv: pairs of a type and a value, each a word of the process's
// own size, ended by type 0 (getauxval(3), proc_pid_auxv(5)).
func isSecure(text []byte, bits int) bool {
	const atSecure = 23
	size := 8
	if bits == 32 {
		size = 4
	}
	for ; len(text) >= 2*size; text = text[2*size:] {
		if word(text, size) == atSecure {
			return word(text[size:], size) != 0
		}
	}
	return false
}

func word(b []byte, size int) uint64 {
	if size == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}

// glibcVersion reads "2.36"; what is none gives the version that is not known.
func glibcVersion(s string, bits int) policy.GlibcVersion {
	first, second, _ := strings.Cut(s, ".")
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil {
		return policy.GlibcVersion{Bits32: bits == 32}
	}
	return policy.GlibcVersion{Major: major, Minor: minor, Bits32: bits == 32}
}
