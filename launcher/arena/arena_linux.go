package arena

import (
	"errors"
	"syscall"
)

// procRoot is where the kernel's process files are.
const procRoot = "/proc"

// Count takes the census of a live process. A process that maps no glibc has no arenas; one that maps glibc and
// never called malloc has its main arena.
//
// The error wraps ESRCH where there is no such process or it ended meanwhile, os.ErrPermission where it may not
// be read, and ErrNoMemory for kernel threads and zombies.
func Count(pid int) (Census, error) { return count(procRoot, pid) }

func count(root string, pid int) (Census, error) {
	if c, ok := countByQueries(root, pid); ok {
		return c, nil
	}
	p, err := open(root, pid)
	if err != nil {
		return Census{}, err
	}
	defer p.close()
	found, maps, err := p.rings(p.readMaps)
	if err != nil {
		return Census{}, p.explain(err)
	}
	return found.census(maps), nil
}

// rings finds the arenas in mappings that read gives, and again in newer ones where heaps came or went in
// between.
func (p *process) rings(read func() (layout, error)) (f found, maps layout, err error) {
	for range tries {
		if maps, err = read(); err != nil {
			return found{}, nil, err
		}
		f, err = find(p.mem, maps)
		if err != nil && !errors.Is(err, errBroken) && !errors.Is(err, errUnreadable) {
			return found{}, nil, err
		}
		if err == nil && (f.cut || allSettled(f.rings)) {
			break
		}
	}
	if err != nil {
		return found{}, nil, err
	}
	return f, maps, p.same()
}

// same is ESRCH where the PID has come to be another process's.
func (p *process) same() error {
	now, err := p.readStat()
	if err == nil && now.Started != p.stat.Started {
		err = syscall.ESRCH
	}
	return err
}
