package statefile

// The watch of a host writes the state file with the functions in this file.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// File is the state file of this watch.
type File struct {
	path   string
	lock   int // descriptor of a separate lock file (flock(2)), because the state file itself is replaced
	record Record
	former map[key]Target // targets of the previous watch that are not yet restored
	say    func(format string, args ...any)
}

// key identifies a process even if the kernel uses its PID again.
type key struct {
	service string
	pid     int
	started int64
}

// Open locks and reads the file. It renames a damaged file and returns an error if another watch has the lock.
func Open(path string, say func(format string, args ...any)) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("the folder of the state file cannot be created: %w; choose another file with --state", err)
	}
	lock, err := unix.Open(path+".lock", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state file %q cannot be locked: %w; choose another file with --state", path, err)
	}
	s := &File{path: path, lock: lock, former: map[key]Target{}, say: say}
	if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		s.Close()
		return nil, fmt.Errorf("another watch writes state file %q; stop that watch, or choose another file with --state", path)
	}
	s.load()
	return s, s.sign()
}

// load reads the state of the previous watch. It keeps targets only from the same boot.
func (s *File) load() {
	old, err := read(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		renamed := fmt.Sprintf("renamed to %q", s.path+".damaged")
		if err := os.Rename(s.path, s.path+".damaged"); err != nil {
			renamed = err.Error()
		}
		s.say("state file %q is damaged: %v; %s; the counters start at 0", s.path, err, renamed)
	}
	if old.Services == nil {
		old.Services = map[string]*Service{}
	}
	boot := bootID()
	for name, of := range old.Services {
		for _, t := range of.Targets {
			if old.Boot == boot {
				s.former[key{name, t.PID, t.Started}] = t
			}
		}
		of.Targets = nil
	}
	s.record = Record{Version: version, Boot: boot, Services: old.Services}
}

func bootID() string {
	text, _ := proc.Here.Read("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// sign records this process as the owner of the file.
func (s *File) sign() error {
	stat, err := proc.Here.Stat(os.Getpid())
	if err != nil {
		s.Close()
		return errors.New("/proc/self/stat cannot be read")
	}
	s.record.PID, s.record.Started = os.Getpid(), int64(stat.Started)
	return nil
}

// Close releases the lock.
func (s *File) Close() { _ = unix.Close(s.lock) }

// Of returns the counters of a service and creates them if needed.
func (s *File) Of(service string) *Service {
	r := s.record.Services[service]
	if r == nil {
		r = &Service{Targets: []Target{}}
		s.record.Services[service] = r
	}
	if r.Warnings == nil {
		r.Warnings = map[string]uint64{}
	}
	if r.Breaches == nil {
		r.Breaches = map[string]uint64{}
	}
	return r
}

// Former returns, once, the state of a target that the previous watch saved.
func (s *File) Former(service string, pid int, started int64) (was Target, found bool) {
	of := key{service, pid, started}
	was, found = s.former[of]
	delete(s.former, of)
	return was, found
}

// Write replaces the file atomically. The argument "targets" has all targets, by service. It does not sync to disk,
// because a reboot makes the targets invalid anyway.
func (s *File) Write(targets map[string][]Target) error {
	for _, of := range s.record.Services {
		of.Targets = []Target{}
	}
	for service, list := range targets {
		s.Of(service).Targets = list
	}
	text, err := json.Marshal(s.record)
	if err != nil {
		return err
	}
	draft := s.path + ".new" // the lock makes this process the only writer
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(draft, s.path)
	}
	return err
}
