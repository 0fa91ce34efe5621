package arena

// This file walks the chunks of a live process.

import (
	"context"
	"os"
	"syscall"
)

// Walk walks the chunks of all arenas and fills in their Chunks. The process keeps running meanwhile; Moved, Breaks and
// Unknown show the effect on the figures. The time grows with the number of chunks: two seconds for 4 GiB of the
// smallest chunks. Walk needs a few MiB of memory.
//
// progress, unless nil, is called with the bytes walked so far and their total. The error is that of ctx or one of the
// errors of Count; ESRCH can also mean that the process has executed another program.
func (p *Process) Walk(ctx context.Context, progress func(done, total uint64)) error {
	return p.walk(ctx, procRoot, progress)
}

func (p *Process) walk(ctx context.Context, root string, progress func(done, total uint64)) error {
	live, err := open(root, p.PID)
	if err != nil {
		return err
	}
	defer live.close()
	if live.stat.Started != p.started {
		return live.explain(syscall.ESRCH)
	}
	found, maps, err := live.rings(live.readMaps)
	if err != nil {
		return live.explain(err)
	}
	pages := live.pagemap()
	defer pages.close()
	d := &deep{
		find: newFinder(live.mem, maps),
		walker: &walker{
			ctx: ctx, mem: live.mem, presence: pages, word: maps.word(), page: uint64(os.Getpagesize()),
		},
		maps:   maps,
		chunks: map[uint64]*Chunks{},
	}
	if err := d.all(found.rings, progress); err != nil {
		return live.explain(err)
	}
	for i := range p.Arenas {
		p.Arenas[i].Chunks = d.chunks[p.Arenas[i].Addr]
	}
	return nil
}
