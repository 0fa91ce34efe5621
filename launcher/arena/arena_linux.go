package arena

// This file counts the arenas of a live process.

import (
	"errors"
	"syscall"
)

// procRoot is the mount point of proc(5).
const procRoot = "/proc"

// Count takes the census of a live process. A process without glibc has no arenas. A process with glibc has at least the
// main arena, even if it never called malloc.
//
// The error wraps ESRCH if the process does not exist or has ended, os.ErrPermission if it may not be read, and
// ErrNoMemory for kernel threads and zombies.
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

// rings reads the mappings with the function "read" and finds the arenas in them. It repeats both while the arenas are
// inconsistent, up to the constant "tries", since heaps may have changed in between.
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

// same returns ESRCH if the PID has been reused by another process, or the error of reading stat.
func (p *process) same() error {
	now, err := p.readStat()
	if err == nil && now.Started != p.stat.Started {
		err = syscall.ESRCH
	}
	return err
}
