package watch

// The state file of the watch of a host: the counters and the state of each target. The exporter reads it, and so does
// the next watch when it starts.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
)

// StateFile is the default path of the state file.
const StateFile = "/run/arenacap/watch.json"

// stateVersion changes when a reader of the old format would misread the new one.
const stateVersion = 1

// record is the content of the file.
type record struct {
	Version  int                       `json:"version"`
	PID      int                       `json:"pid"`        // of the watch
	Started  int64                     `json:"started_ns"` // start of the watch, in nanoseconds since boot
	Boot     string                    `json:"boot_id"`
	Services map[string]*serviceRecord `json:"services"`
}

type serviceRecord struct {
	Warnings map[string]uint64 `json:"warnings"` // count by metric
	Breaches map[string]uint64 `json:"breaches"`
	Targets  []targetRecord    `json:"targets"`
}

// targetRecord is one target: a process, the root of a tree, or a member of a control group.
type targetRecord struct {
	PID        int      `json:"pid"`
	Started    int64    `json:"started_ns"`        // nanoseconds since boot
	Group      string   `json:"group,omitempty"`   // scope "cgroup": the folder of the control group
	GrowthBase *uint64  `json:"growth_base_bytes"` // the zero point of growth; null before the end of settle
	Running    running  `json:"running"`
	Acting     []string `json:"acting"` // metrics with an unfinished action
}

// stateFile is the state file of this watch.
type stateFile struct {
	path     string
	lock     int // flock(2) on a file of its own, because the state file itself is replaced
	record   record
	former   map[targetKey]targetRecord // from the previous watch, not yet restored
	breached map[string]int             // breaches by service since the start of this watch
	changed  bool
	failed   bool // the last write failed
	say      func(format string, args ...any)
}

// targetKey identifies a process even if the kernel uses its PID again.
type targetKey struct {
	service string
	pid     int
	started int64
}

// openState locks and reads the file. It renames a damaged file and returns an error if another watch has the lock.
func openState(path string, say func(format string, args ...any)) (*stateFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("the folder of the state file cannot be created: %w; choose another file with --state", err)
	}
	lock, err := unix.Open(path+".lock", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state file %q cannot be locked: %w; choose another file with --state", path, err)
	}
	s := &stateFile{path: path, lock: lock, former: map[targetKey]targetRecord{}, breached: map[string]int{}, changed: true, say: say}
	if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		s.close()
		return nil, fmt.Errorf("another watch writes state file %q; stop it, or choose another file with --state", path)
	}
	s.read()
	return s, s.sign()
}

// read loads the state of the previous watch. It keeps targets only from the same boot.
func (s *stateFile) read() {
	old, err := readRecord(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		renamed := fmt.Sprintf("renamed to %q", s.path+".damaged")
		if err := os.Rename(s.path, s.path+".damaged"); err != nil {
			renamed = err.Error()
		}
		s.say("state file %q is damaged: %v; %s; the counters start at 0", s.path, err, renamed)
	}
	if old.Services == nil {
		old.Services = map[string]*serviceRecord{}
	}
	boot := bootID()
	for name, of := range old.Services {
		for _, t := range of.Targets {
			if old.Boot == boot {
				s.former[targetKey{name, t.PID, t.Started}] = t
			}
		}
		of.Targets = nil
	}
	s.record = record{Version: stateVersion, Boot: boot, Services: old.Services}
}

// readRecord reads and validates a state file.
func readRecord(path string) (r record, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return record{}, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, err
	}
	if r.Version != stateVersion {
		return record{}, fmt.Errorf("its version is %d, expected %d", r.Version, stateVersion)
	}
	for name, s := range r.Services {
		if s == nil {
			return record{}, fmt.Errorf("service %q is null", name)
		}
	}
	return r, nil
}

func bootID() string {
	text, _ := proc.Here.Read(procRoot + "/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// sign records this process as the owner of the file.
func (s *stateFile) sign() error {
	stat, err := proc.Here.Stat(os.Getpid())
	if err != nil {
		s.close()
		return errors.New("/proc/self/stat cannot be read")
	}
	s.record.PID, s.record.Started = os.Getpid(), int64(stat.Started)
	return nil
}

func (s *stateFile) close() { _ = unix.Close(s.lock) }

// of returns the record of a service and creates it if needed.
func (s *stateFile) of(service string) *serviceRecord {
	r := s.record.Services[service]
	if r == nil {
		r = &serviceRecord{Targets: []targetRecord{}}
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

func (s *stateFile) count(service string, c change) {
	switch c.kind {
	case eventWarning:
		s.of(service).Warnings[c.metric]++
	case eventBreach:
		s.of(service).Breaches[c.metric]++
		s.breached[service]++
	}
}

// write replaces the file atomically. It does not sync to disk, because a reboot makes the targets invalid anyway.
func (s *stateFile) write() error {
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

// save writes the state if it has changed. It reports only the first of consecutive failures.
func (h *host) save() {
	s := h.state
	if !s.changed {
		return
	}
	for _, of := range s.record.Services {
		of.Targets = []targetRecord{}
	}
	for i := range h.Services {
		if len(h.Services[i].Config.Limits) > 0 {
			s.of(h.Services[i].Config.Service)
		}
	}
	for _, pid := range slices.Sorted(maps.Keys(h.targets)) {
		w := h.targets[pid]
		of := s.of(w.cfg.Service)
		of.Targets = append(of.Targets, w.record())
	}
	err := s.write()
	if err != nil && !s.failed {
		h.Say("state file %q cannot be written: %v", s.path, err)
	}
	s.failed = err != nil
	s.changed = s.failed // try again at the next turn
}

func (w *watched) record() targetRecord {
	t := targetRecord{PID: w.outcome.PID, Started: int64(w.member.found.Started), Group: w.scope.target.group, Running: w.state.running(), Acting: append([]string{}, w.member.acted...)}
	if w.state.settled {
		t.GrowthBase = &w.state.base
	}
	for _, c := range w.queue {
		t.Acting = append(t.Acting, c.metric)
	}
	if w.action != nil {
		t.Acting = append(t.Acting, w.action.change.metric)
	}
	return t
}

// restore gives a target the state that the previous watch saved.
func (h *host) restore(w *watched) {
	key := targetKey{w.cfg.Service, w.outcome.PID, int64(w.member.found.Started)}
	was, found := h.state.former[key]
	if !found {
		return
	}
	delete(h.state.former, key)
	if was.GrowthBase != nil {
		w.state.resume(true, *was.GrowthBase, was.Running)
	}
	w.member.acted = was.Acting
}

// resumeAction restarts the actions that the end of the previous watch interrupted. Like every action, each reads the size
// again before it sends a signal.
func (m *member) resumeAction(w *watched, now time.Duration) {
	if m == nil || len(m.acted) == 0 || w.gone() {
		return
	}
	metrics := m.acted
	m.acted = nil
	for _, meter := range w.state.meters {
		for _, metric := range metrics {
			if meter.limit.Metric == metric && meter.breach.on {
				w.beginAction(change{kind: eventBreach, metric: metric, limit: meter.limit.Bytes}, now)
			}
		}
	}
}

// readRunning reads a state file. ok is false unless the watch that writes it runs. It does not compare the boot ID: a
// container may show another one to a sandboxed service (systemd-nspawn mounts its own over the file,
// ProtectKernelTunables= hides that mount).
func readRunning(path string) (r record, ok bool, err error) {
	if r, err = readRecord(path); err != nil {
		return record{}, false, err
	}
	stat, err := proc.Here.Stat(r.PID)
	return r, err == nil && int64(stat.Started) == r.Started, nil
}

// WatchedByHost returns, from a state file, the PID of the watch of a host (0: none runs) and its targets with the other
// processes of their control groups: PID to start time in nanoseconds since boot.
func WatchedByHost(path string) (watch int, targets map[int]int64) {
	r, ok, _ := readRunning(path)
	if !ok {
		return 0, nil
	}
	targets = map[int]int64{}
	for _, s := range r.Services {
		for _, t := range s.Targets {
			targets[t.PID] = t.Started
			if t.Group == "" {
				continue
			}
			pids, _ := cgroup.Processes(t.Group) // none if the group is gone
			for _, pid := range pids {
				if stat, err := proc.Here.Stat(pid); err == nil && pid != t.PID {
					targets[pid] = int64(stat.Started)
				}
			}
		}
	}
	return r.PID, targets
}

// Counters is what a state file says about one service.
type Counters struct {
	Warnings, Breaches map[string]uint64 // by metric
	GrowthBases        map[int]uint64    // zero point of growth by PID, in bytes, of the targets that run
}

// ReadCounters returns the counters of each service: none if there is no state file, or if its watch does not run.
func ReadCounters(path string) (map[string]Counters, error) {
	r, ok, err := readRunning(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state file %q of the watch: %w", path, err)
	}
	all := map[string]Counters{}
	if !ok {
		return all, nil
	}
	for name, s := range r.Services {
		bases := map[int]uint64{}
		for _, t := range s.Targets {
			if stat, err := proc.Here.Stat(t.PID); err == nil && int64(stat.Started) == t.Started && t.GrowthBase != nil {
				bases[t.PID] = *t.GrowthBase
			}
		}
		all[name] = Counters{s.Warnings, s.Breaches, bases}
	}
	return all, nil
}
