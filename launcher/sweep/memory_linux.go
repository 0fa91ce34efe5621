package sweep

// The memory of a program while it runs, and of what it starts: sizes often, arenas seldom.

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"arenacap/launcher/arena"
	"arenacap/launcher/proc"
)

const (
	shortestPause = 20 * time.Millisecond // between two samples
	lookCost      = 200                   // looks at the arenas may take 1/200 of the time, but for the first few
	keptSizes     = 200                   // samples of a run that are kept
)

// sampler observes the memory of a process, and of those that it starts, while they run.
type sampler struct {
	start   time.Time
	members []*member

	sizes                        []Size
	virtualPeak, residentPeak    uint64
	arenas                       int
	arenaReserved, arenaResident uint64
	nextLook                     time.Time
	stop, stopped                chan struct{}
	finalLook                    bool
}

// member is one process. Its status stays open: a process that ended answers ESRCH, never another one's numbers.
type member struct {
	pid    int
	status int // descriptor
}

// observe starts to sample a process.
func observe(pid int, start time.Time) *sampler {
	s := &sampler{start: start, nextLook: start.Add(shortestPause), stop: make(chan struct{}), stopped: make(chan struct{})}
	s.join(pid)
	go s.run()
	return s
}

// end stops sampling. look asks for a last look at the arenas, where the process still runs.
func (s *sampler) end(look bool) {
	s.finalLook = look
	close(s.stop)
	<-s.stopped
}

func (s *sampler) run() {
	defer close(s.stopped)
	pause := time.NewTimer(shortestPause) // a program that has hardly begun would seem small
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
			s.sample()
			if now := time.Now(); !now.Before(s.nextLook) {
				s.look()
			}
			pause.Reset(min(max(shortestPause, time.Since(s.start)/200), time.Second))
		case <-s.stop:
			if s.finalLook {
				s.sample()
				s.look()
			}
			for _, m := range s.members {
				_ = syscall.Close(m.status)
			}
			return
		}
	}
}

// sample adds up the sizes of all members. One process alone has the kernel's own peaks.
func (s *sampler) sample() {
	var sum proc.Status
	alive := 0
	for _, m := range s.members {
		if v, ok := m.read(); ok {
			alive++
			sum.Virtual += v.Virtual
			sum.Resident += v.Resident
			sum.VirtualPeak += v.VirtualPeak
			sum.ResidentPeak += v.ResidentPeak
		}
	}
	if alive == 0 {
		return
	}
	if alive > 1 {
		sum.VirtualPeak, sum.ResidentPeak = sum.Virtual, sum.Resident
	}
	s.virtualPeak, s.residentPeak = max(s.virtualPeak, sum.VirtualPeak), max(s.residentPeak, sum.ResidentPeak)
	s.sizes = append(s.sizes, Size{time.Since(s.start).Seconds(), sum.Virtual, sum.Resident})
}

func (m *member) read() (s proc.Status, ok bool) {
	var buf [4096]byte
	n, err := syscall.Pread(m.status, buf[:], 0)
	if err == nil {
		s, err = proc.ParseStatus(buf[:n])
	}
	return s, err == nil && s.HasMemory
}

// look finds new members and counts the arenas of all.
func (s *sampler) look() {
	began := time.Now()
	for i := 0; i < len(s.members); i++ { // grows
		for _, pid := range children(s.members[i].pid) {
			s.join(pid)
		}
	}
	var reserved, resident uint64
	for _, m := range s.members {
		p, err := arena.Inspect(m.pid)
		if err != nil {
			continue
		}
		c := p.Census()
		s.arenas = max(s.arenas, c.Arenas)
		reserved += c.Reserved
		for _, a := range p.Arenas {
			if !a.Main {
				resident += a.Resident
			}
		}
	}
	s.arenaReserved, s.arenaResident = max(s.arenaReserved, reserved), max(s.arenaResident, resident)
	now := time.Now()
	ran := now.Sub(s.start)
	s.nextLook = now.Add(max(ran/8, min(ran, lookCost*now.Sub(began)))) // the last one is in the second half of a run
}

func (s *sampler) join(pid int) {
	if slices.ContainsFunc(s.members, func(m *member) bool { return m.pid == pid }) {
		return
	}
	fd, err := syscall.Open(fmt.Sprintf("/proc/%d/status", pid), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil {
		s.members = append(s.members, &member{pid, fd})
	}
}

// fill puts what was seen into a run.
func (s *sampler) fill(r *Run) {
	r.VirtualPeak, r.ResidentPeak = s.virtualPeak, s.residentPeak
	r.Arenas, r.ArenaReserved, r.ArenaResident = s.arenas, s.arenaReserved, s.arenaResident
	if n := len(s.sizes); n > 0 {
		r.VirtualFinal, r.ResidentFinal = s.sizes[n-1].Virtual, s.sizes[n-1].Resident
	}
	r.Memory = thin(s.sizes, keptSizes)
}

// thin keeps at most n samples that are spread evenly over their time, the last one among them.
func thin(sizes []Size, n int) []Size {
	if len(sizes) <= n {
		return sizes
	}
	last := sizes[len(sizes)-1]
	step := last.Seconds / float64(n-1)
	kept := make([]Size, 0, n)
	for _, s := range sizes[:len(sizes)-1] {
		if s.Seconds >= step*float64(len(kept)) && len(kept) < n-1 {
			kept = append(kept, s)
		}
	}
	return append(kept, last)
}
