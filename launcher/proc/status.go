// This file parses /proc/PID/status.

package proc

import (
	"bytes"
	"fmt"

	"arenacap/launcher/proc/vma"
)

// Status holds the fields of /proc/PID/status that are used here.
type Status struct {
	// HasMemory is false for a zombie, an exiting process and a kernel thread, whose file has no memory lines.
	HasMemory                                    bool
	VirtualPeak, Virtual, ResidentPeak, Resident uint64 // bytes

	AllowedCPUs string // Cpus_allowed_list, for ParseCPUList; "" if the line is missing
}

// ParseStatus parses these lines of /proc/PID/status (proc_pid_status(5)); a kB is 1,024 bytes:
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
			n, ok := vma.Kibibytes(value)
			if !ok {
				return Status{}, fmt.Errorf(`%.60q is not a size such as "VmSize: 2868 kB"`, line)
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

// ParseThreadGroup returns the PID of the process to which a thread belongs, from this line of /proc/PID/status:
//
//	Tgid:	6411
func ParseThreadGroup(text []byte) (pid int, ok bool) {
	n, ok := number(bytes.TrimSpace(line(text, "Tgid:")), 31)
	return int(n), ok
}

// Users are the real and the effective user of a process, as the reader's user namespace numbers them.
type Users struct{ Real, Effective uint32 }

// ParseUsers reads the first two numbers of this line of /proc/PID/status; the others are the saved user and the file
// system user:
//
//	Uid:	1000	1000	1000	1000
func ParseUsers(text []byte) (u Users, ok bool) {
	fields := bytes.Fields(line(text, "Uid:"))
	if len(fields) != 4 {
		return Users{}, false
	}
	real, ok1 := number(fields[0], 32)
	effective, ok2 := number(fields[1], 32)
	return Users{uint32(real), uint32(effective)}, ok1 && ok2
}

// line returns the rest of the first line that begins with the given name; nil if there is none.
func line(text []byte, name string) []byte {
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte(name)); found {
			return value
		}
	}
	return nil
}
