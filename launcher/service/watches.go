package service

// The watches of launches, which have the name "arenacap: watch PID".

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"arenacap/launcher/proc"
)

// watchName is what the name of such a watch begins with, and comm what the kernel keeps of it (package watch).
const (
	watchName = "arenacap: watch "
	watchComm = "arenacap: watch" // its first 15 bytes
)

// Watches gives the watches of launches on the host, by the process that each watches.
func Watches(root proc.Root) (watches map[int]int, err error) {
	pids, err := root.Numbers("/proc")
	watches = map[int]int{}
	for _, pid := range pids {
		comm, err := root.Read("/proc/" + strconv.Itoa(pid) + "/comm")
		if err != nil || strings.TrimSuffix(string(comm), "\n") != watchComm {
			continue
		}
		if target := watchedBy(root, pid); target != 0 {
			watches[target] = pid
		}
	}
	return watches, err
}

// watchedBy is the process that another one watches, 0 where that is no watch of it. Anybody can take the name, so it counts
// for root's processes and for those of the target's own user.
func watchedBy(root proc.Root, pid int) (target int) {
	p, err := readProcess(root, pid)
	if err != nil || p.Ended() || p.Name != watchComm {
		return 0
	}
	text, _ := root.Read(p.folder + "/cmdline")
	number, ok := strings.CutPrefix(strings.TrimRight(string(text), "\x00"), watchName)
	target, err = strconv.Atoi(number)
	if !ok || err != nil || target <= 0 {
		return 0
	}
	own, known := p.users()
	of, alive := (&process{root: root, folder: "/proc/" + strconv.Itoa(target)}).users()
	if !known || !alive || own != (proc.Users{}) && own != of {
		return 0
	}
	return target
}

// gone reports whether an error says that the process has ended.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
