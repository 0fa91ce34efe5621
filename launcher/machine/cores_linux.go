// This file counts the online CPUs, those of the CPU affinity, and those that the library gopsutil reports.

package machine

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/policy"
)

const (
	onlineFile = "/sys/devices/system/cpu/online"
	statFile   = "/proc/stat"
	statusFile = "/proc/self/status"
)

// online counts the online CPUs as most glibc versions do: from sysfs, or if that fails from /proc/stat (get_nprocs,
// sysdeps/unix/sysv/linux/getsysstats.c). The list is nil if only the number is known.
func (h host) online() (policy.Reading[int], proc.CPUList) {
	text, err := h.Read(onlineFile)
	if err == nil {
		var list proc.CPUList
		if list, err = proc.ParseCPUList(string(text)); err == nil {
			return policy.Reading[int]{N: list.Count(), From: from(onlineFile, string(text))}, list
		}
		err = in(onlineFile, err)
	}
	text, err2 := h.Read(statFile)
	if err2 != nil {
		return policy.Reading[int]{Why: reasons(err, err2)}, nil
	}
	n, err2 := proc.OnlineCPUs(text)
	if err2 != nil {
		return policy.Reading[int]{Why: reasons(err, in(statFile, err2))}, nil
	}
	return policy.Reading[int]{N: n, From: statFile + ": cpuN lines"}, nil
}

// affinity counts the CPUs that the target may run on, with sched_getaffinity(2) or, if that fails, from the status
// file. The system call works for this machine only, not for a fake root, and a seccomp filter may forbid it. The
// system call leaves out offline CPUs. The status file includes them, so affinity counts only the CPUs in the file that
// are in the list of online CPUs too; without that list it counts all.
func (h host) affinity(online proc.CPUList) policy.Reading[int] {
	var err error
	if h.Root == "" {
		var n int
		if n, err = affinity(); err == nil {
			return policy.Reading[int]{N: n, From: "sched_getaffinity"}
		}
	}
	allowed, text, err2 := h.allowed()
	if err2 != nil {
		return policy.Reading[int]{Why: reasons(in("sched_getaffinity", err), err2)}
	}
	n := allowed.Count()
	if online != nil {
		n = allowed.Common(online)
	}
	if n == 0 {
		return policy.Reading[int]{Why: fmt.Sprintf("%s allows CPUs %s, none of which is online", statusFile, text)}
	}
	return policy.Reading[int]{N: n, From: from(statusFile, "Cpus_allowed_list "+text)}
}

// allowed returns the CPU list of the status file, parsed and as text.
func (h host) allowed() (proc.CPUList, string, error) {
	text, err := h.Read(statusFile)
	if err != nil {
		return nil, "", err
	}
	status, err := proc.ParseStatus(text)
	if err == nil && status.AllowedCPUs == "" {
		err = errors.New("the file contains no Cpus_allowed_list line")
	}
	if err != nil {
		return nil, "", in(statusFile, err)
	}
	list, err := proc.ParseCPUList(status.AllowedCPUs)
	return list, status.AllowedCPUs, in(statusFile, err)
}

// affinity counts the CPUs of sched_getaffinity(2) for the first thread, which will exec, not for the calling thread.
func affinity() (int, error) {
	return countMask(func(mask []byte) (int, error) {
		n, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETAFFINITY, uintptr(os.Getpid()), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	})
}

// maxMask is the maximum size of a mask in bytes: a million CPUs, far above any kernel's NR_CPUS (8192 on x86-64).
const maxMask = 128 << 10

// countMask counts the bits of a CPU mask. The kernel returns EINVAL if the buffer is smaller than the kernel's own mask,
// whose size depends on NR_CPUS and the machine. So the buffer starts at the size of glibc's cpu_set_t, 1024 CPUs, and
// grows.
func countMask(get func(mask []byte) (int, error)) (int, error) {
	for size := 128; size <= maxMask; size *= 4 {
		mask := make([]byte, size)
		n, err := get(mask)
		if errors.Is(err, unix.EINVAL) {
			continue
		}
		count := 0
		for _, b := range mask[:n] {
			count += bits.OnesCount8(b)
		}
		return count, err
	}
	return 0, unix.EINVAL
}

func library(lib Host) policy.Reading[int] {
	n, err := lib.CPUs()
	switch {
	case err != nil:
		return policy.Reading[int]{Why: "gopsutil: " + err.Error()}
	case n == 0:
		return policy.Reading[int]{Why: "gopsutil counted no CPU"}
	}
	return policy.Reading[int]{N: n, From: "gopsutil"}
}

// from formats a file and its content as the source of a fact.
func from(path, text string) string { return path + ": " + strings.TrimSuffix(text, "\n") }
