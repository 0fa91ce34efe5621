package service

// Finding the watches of launches, which have the name "arenacap: watch PID".

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"arenacap/launcher/proc"
)

// watchName begins the command line of such a watch, and watchComm is its comm (package watch).
const (
	watchName = "arenacap: watch "
	watchComm = "arenacap: watch" // its first 15 bytes
)

// Watches returns the watches of launches on the host: PID of the target to PID of the watch.
func Watches(root proc.Root) (watches map[int]int, err error) {
	pids, err := root.Numbers("/proc")
	watches = map[int]int{}
	for _, pid := range pids {
		comm, err := root.Read("/proc/" + strconv.Itoa(pid) + "/comm")
		if err != nil || strings.TrimSuffix(string(comm), "\n") != watchComm {
			continue
		}
		if target := watchedBy(root, new([]byte), pid); target != 0 {
			watches[target] = pid
		}
	}
	return watches, err
}

// watchedBy returns the PID of the target that the watch pid names in its command line; 0 if the process pid is not a watch,
// or if its target has ended. Any process can give itself the name of a watch, so watchedBy accepts only a process that runs
// as root or as the user of the target.
func watchedBy(root proc.Root, buffer *[]byte, pid int) (target int) {
	p, err := readProcess(root, buffer, pid)
	if err != nil || p.Ended() || p.Name != watchComm {
		return 0
	}
	text, _ := p.read("cmdline")
	number, ok := strings.CutPrefix(strings.TrimRight(string(text), "\x00"), watchName)
	target, err = strconv.Atoi(number)
	if !ok || err != nil || target <= 0 {
		return 0
	}
	own, known := p.users()
	of, alive := newProcess(root, buffer, target).users()
	if !known || !alive || own != (proc.Users{}) && own != of {
		return 0
	}
	return target
}

// gone reports whether an error means that the process has ended.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
