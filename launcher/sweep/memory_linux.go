package sweep

// This file samples the memory of a program and of the processes that it starts: often their sizes, rarely their arenas.

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/proc"
)

const (
	shortestPause = 20 * time.Millisecond // shortest time between two samples
	lookCost      = 200                   // inspections of the arenas take at most 1/200 of the time, except at the start
	keptSizes     = 200                   // how many samples of a run are kept at most
)

// sampler samples the memory of a process and its descendants while they run.
type sampler struct {
	run      *Run // receives the results
	cap      int  // the cap in arenas; 0 for none
	start    time.Time
	members  []*member
	nextLook time.Time
}

// member is one process. Its status file stays open: after the process has ended, a read fails with ESRCH even if the PID
// is used again.
type member struct {
	pid    int
	status int // descriptor of /proc/PID/status
}

// observe starts to sample a process. The function "stop" ends the sampling. With lastLook, which is for a process that
// still runs, it first takes one more sample and inspects the arenas once more.
func observe(pid int, start time.Time, limit int, r *Run) (stop func(lastLook bool)) {
	s := &sampler{run: r, cap: limit, start: start, nextLook: start.Add(shortestPause)}
	s.join(pid)
	end, ended := make(chan bool), make(chan struct{})
	go func() { s.untilEnd(end); close(ended) }()
	return func(lastLook bool) {
		end <- lastLook
		<-ended
	}
}

func (s *sampler) untilEnd(end <-chan bool) {
	pause := time.NewTimer(shortestPause) // no sample at once, because a program is still small just after its start
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
			s.sample()
			if now := time.Now(); !now.Before(s.nextLook) {
				s.look()
			}
			pause.Reset(min(max(shortestPause, time.Since(s.start)/200), time.Second))
		case lastLook := <-end:
			if lastLook {
				s.sample()
				s.look()
			}
			s.run.Memory = thin(s.run.Memory, keptSizes)
			for _, m := range s.members {
				_ = syscall.Close(m.status)
			}
			return
		}
	}
}

// sample adds up the sizes of all members. The kernel's peaks are used only for a single process, because the peaks of
// several need not be simultaneous.
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
	r := s.run
	r.VirtualPeak, r.VirtualFinal = max(r.VirtualPeak, sum.VirtualPeak), sum.Virtual
	r.ResidentPeak, r.ResidentFinal = max(r.ResidentPeak, sum.ResidentPeak), sum.Resident
	r.Memory = append(r.Memory, Size{time.Since(s.start).Seconds(), sum.Virtual, sum.Resident})
}

func (m *member) read() (s proc.Status, ok bool) {
	var buf [4096]byte
	n, err := syscall.Pread(m.status, buf[:], 0)
	if err == nil {
		s, err = proc.ParseStatus(buf[:n])
	}
	return s, err == nil && s.HasMemory
}

// look finds new processes of the run and counts the arenas of all of them.
func (s *sampler) look() {
	began := time.Now()
	for i := 0; i < len(s.members); i++ { // the list grows in the loop
		for _, pid := range proc.Here.Children(s.members[i].pid) {
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
		s.judgeCap(m.pid, c.Arenas)
		s.run.Arenas = max(s.run.Arenas, c.Arenas)
		reserved += c.Reserved
		for _, a := range p.Arenas {
			if !a.Main {
				resident += a.Resident
			}
		}
	}
	s.run.ArenaReserved, s.run.ArenaResident = max(s.run.ArenaReserved, reserved), max(s.run.ArenaResident, resident)
	now := time.Now()
	ran := now.Sub(s.start)
	// The pause is at most as long as the run so far, so the last inspection is in the second half of the run.
	s.nextLook = now.Add(max(ran/8, min(ran, lookCost*now.Sub(began))))
}

// judgeCap checks whether the cap has an effect in a process that has more than its main arena.
func (s *sampler) judgeCap(pid, arenas int) {
	if s.cap == 0 || arenas < 2 || arenas < s.run.Arenas {
		return
	}
	text, err := proc.Here.Read(fmt.Sprintf("/proc/%d/environ", pid))
	in := environ.Inherited(environ.Rejoin(proc.ParseEnviron(text)))
	switch {
	case err == nil && in.MaxOK && in.Max != s.cap:
		s.run.NotKept = fmt.Sprintf("found %d arenas; the program was started with a cap of %d instead", arenas, in.Max)
	case arenas <= s.cap:
	case err == nil && !in.MaxOK:
		s.run.NotKept = fmt.Sprintf("found %d arenas; the program was started without MALLOC_ARENA_MAX", arenas)
	default:
		s.run.NotKept = fmt.Sprintf("found %d arenas; the program does not keep the cap (it may set its own limit with mallopt)", arenas)
	}
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

// thin keeps at most n samples, spread evenly over the time, including the last one.
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
