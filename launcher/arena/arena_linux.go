package arena

import "syscall"

// procRoot is where the kernel's process files are.
const procRoot = "/proc"

// Count takes the census of a live process. A process that maps no glibc has no arenas; one that maps glibc and
// never called malloc has its main arena.
//
// The error wraps ESRCH where there is no such process or it ended meanwhile, os.ErrPermission where it may not
// be read, and ErrNoMemory for kernel threads and zombies.
func Count(pid int) (Census, error) { return count(procRoot, pid) }

func count(root string, pid int) (Census, error) {
	p, err := open(root, pid)
	if err != nil {
		return Census{}, err
	}
	defer p.close()
	rings, maps, err := p.rings(nil, false)
	if err != nil {
		return Census{}, p.explain(err)
	}
	return census(rings, maps), nil
}

// rings reads the mappings and finds the arenas in them, again where heaps came or went in between.
func (p *process) rings(maps layout, settled bool) (rings []*ring, _ layout, err error) {
	for range tries {
		if !settled || maps == nil {
			if maps, err = p.readMaps(maps); err != nil {
				return nil, nil, err
			}
		}
		if rings, err = find(p.mem, maps); err != nil {
			return nil, nil, err
		}
		if allSettled(rings) {
			break
		}
		settled = false
	}
	now, err := p.readStat()
	if err == nil && now.started != p.stat.started {
		err = syscall.ESRCH
	}
	return rings, maps, err
}
