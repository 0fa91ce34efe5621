package service

// Finding the watches of launches: a process with the name "arenacap: watch PID" or, with --supervise, a thread of the
// target's parent with the name "arenacap: watch".

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"arenacap/launcher/proc"
)

// watchName begins the command line of such a process, and watchComm is its comm and that of the thread (package watch).
const (
	watchName = "arenacap: watch "
	watchComm = "arenacap: watch" // its first 15 bytes
)

// Watches returns the processes on the host that are watches of launches: PID of the target to PID of the watch.
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
	if !p.mayWatch(newProcess(root, buffer, target)) {
		return 0
	}
	return target
}

// mayWatch reports whether a process runs as root or as the user of the target.
func (p *process) mayWatch(target *process) bool {
	own, known := p.users()
	of, alive := target.users()
	return known && alive && (own == (proc.Users{}) || own == of)
}

// SupervisorOf returns the PID of the process that supervises and watches the target; 0: none. It accepts the same users as
// watchedBy.
func SupervisorOf(root proc.Root, target int) int {
	buffer := new([]byte)
	of, err := readProcess(root, buffer, target)
	if err != nil {
		return 0
	}
	p, err := readProcess(root, buffer, of.Parent)
	if err != nil || p.Name == watchComm { // the target is then the command of a watch
		return 0
	}
	threads, _ := root.Numbers(p.folder + "/task")
	for _, tid := range threads {
		comm, _ := p.read("task/" + strconv.Itoa(tid) + "/comm")
		if strings.TrimSuffix(string(comm), "\n") == watchComm && p.mayWatch(of) {
			return of.Parent
		}
	}
	return 0
}

// gone reports whether an error means that the process has ended.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
