package service

// This file finds the watches of launches. The watch is a process with the name "arenacap: watch PID" or, with
// --supervise, a thread of the target's parent with the name "arenacap: watch". Any process can give itself such a
// name, so it must also run arenacap.

import (
	"bytes"
	"debug/elf"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/watch/protocol"
)

// Watches finds the detached watches of launches on the host (for supervisors see SupervisorOf). It returns a map from
// the PID of the target to the PID of the watch.
func Watches(root proc.Root) (watches map[int]int, err error) {
	pids, err := root.Numbers("/proc")
	watches = map[int]int{}
	for _, pid := range pids {
		comm, err := root.Read("/proc/" + strconv.Itoa(pid) + "/comm")
		if err != nil || strings.TrimSuffix(string(comm), "\n") != protocol.Comm {
			continue
		}
		if target := watchedBy(root, new([]byte), pid); target != 0 {
			watches[target] = pid
		}
	}
	return watches, err
}

// watchedBy returns the PID of the target that a watch, the process with the number pid, names in its command line. It
// returns 0 if that process is not a watch, or if the target has ended. watchedBy accepts only a process that runs arenacap,
// as root or as the user of the target.
func watchedBy(root proc.Root, buffer *[]byte, pid int) (target int) {
	p, err := readProcess(root, buffer, pid)
	if err != nil || p.Ended() || p.Name != protocol.Comm {
		return 0
	}
	text, _ := p.read("cmdline")
	number, ok := strings.CutPrefix(strings.TrimRight(string(text), "\x00"), protocol.ProcessName)
	target, err = strconv.Atoi(number)
	if !ok || err != nil || target <= 0 {
		return 0
	}
	if !p.mayWatch(newProcess(root, buffer, target)) {
		return 0
	}
	return target
}

// mayWatch reports whether a process runs arenacap, as root or as the user of the target.
func (p *process) mayWatch(target *process) bool {
	own, known := p.users()
	of, alive := target.users()
	return known && alive && (own == (proc.Users{}) || own == of) && p.runsArenacap()
}

// RunsArenacap reports whether the program of a process is arenacap.
func RunsArenacap(root proc.Root, pid int) bool { return newProcess(root, nil, pid).runsArenacap() }

// runsArenacap reports whether the program of a process is arenacap: the file that this process runs, or another
// build, such as the one before an upgrade (/proc/PID/exe leads to a removed file too) or a copy in a container.
// Another build must belong to root or to this process's user, and nobody else may write it: otherwise any user could
// compile a program that claims to be arenacap. If the file cannot be read, the answer is no.
//
// Known limits: with ptrace(2) a user can execute other code in a process that runs arenacap. Linux before 4.11 has no
// statx(2), so the answer is always no.
func (p *process) runsArenacap() bool {
	path := string(p.root) + p.folder + "/exe"
	own, err1 := status("/proc/self/exe")
	file, err2 := status(path)
	if err1 != nil || err2 != nil {
		return false
	}
	if file.Ino == own.Ino && file.Dev_major == own.Dev_major && file.Dev_minor == own.Dev_minor {
		return true
	}
	return (file.Uid == 0 || file.Uid == uint32(os.Geteuid())) && file.Mode&0o022 == 0 && isArenacap(path)
}

// status does what stat(2) does, but does not ask the server of a network file system, which may not answer.
func status(path string) (s unix.Statx_t, err error) {
	err = unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS, &s)
	return s, err
}

// isArenacap reports whether Go built a program from arenacap's main package (runtime/debug.BuildInfo, "path"). It
// reads the section itself, because package debug/buildinfo would enlarge arenacap by 5 %.
func isArenacap(path string) bool {
	file, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	section := file.Section(".go.buildinfo")
	if section == nil {
		return false
	}
	info, err := section.Data()
	return err == nil && bytes.Contains(info, []byte("path\tarenacap/cmd/arenacap\n"))
}

// SupervisorOf returns the PID of the process that supervises and watches the target; 0: none. It must run arenacap, as root
// or as the user of the target.
func SupervisorOf(root proc.Root, target int) int {
	buffer := new([]byte)
	of, err := readProcess(root, buffer, target)
	if err != nil {
		return 0
	}
	p, err := readProcess(root, buffer, of.Parent)
	// A parent that is a detached watch is not a supervisor: it started the target as the budget's command.
	if err != nil || p.Name == protocol.Comm {
		return 0
	}
	threads, _ := root.Numbers(p.folder + "/task")
	for _, tid := range threads {
		comm, _ := p.read("task/" + strconv.Itoa(tid) + "/comm")
		if strings.TrimSuffix(string(comm), "\n") == protocol.Comm && p.mayWatch(of) {
			return of.Parent
		}
	}
	return 0
}
