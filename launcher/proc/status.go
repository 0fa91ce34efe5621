// /proc/PID/status.

package proc

import (
	"bytes"
	"fmt"
)

// Status is what is used of /proc/PID/status.
type Status struct {
	// HasMemory is false for a zombie, a process that is about to end and a thread of the kernel: they have no lines
	// about memory.
	HasMemory                                    bool
	VirtualPeak, Virtual, ResidentPeak, Resident uint64 // bytes

	AllowedCPUs string // as ParseCPUList reads it; "" where there is no such line
}

// ParseStatus reads these lines of /proc/PID/status (proc_pid_status(5)), a kB being 1,024 bytes:
//
//	VmPeak:	    2868 kB
//	VmSize:	    2868 kB
//	VmHWM:	    1536 kB
//	VmRSS:	    1536 kB
//	Cpus_allowed_list:	0-3,8
func ParseStatus(text []byte) (Status, error) {
	var s Status
	sizes := 0
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		var size *uint64
		switch string(name) {
		case "VmPeak":
			size = &s.VirtualPeak
		case "VmSize":
			size = &s.Virtual
		case "VmHWM":
			size = &s.ResidentPeak
		case "VmRSS":
			size = &s.Resident
		case "Cpus_allowed_list":
			s.AllowedCPUs = string(value)
		}
		if size != nil {
			n, ok := kibibytes(value)
			if !ok {
				return Status{}, fmt.Errorf(`%.60q is no size such as "VmSize: 2868 kB"`, line)
			}
			*size = n
			sizes++
		}
	}
	if sizes != 4 {
		return Status{AllowedCPUs: s.AllowedCPUs}, nil
	}
	s.HasMemory = true
	return s, nil
}

// kibibytes reads "12 kB", in status and smaps, and gives bytes: at most 1 EiB, so that a few can be added up.
func kibibytes(text []byte) (size uint64, ok bool) {
	s := scanner{text, true}
	n := s.number(10, ' ')
	return n << 10, s.ok && string(s.rest) == "kB" && n < 1<<50
}
