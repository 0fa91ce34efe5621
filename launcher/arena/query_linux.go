package arena

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// queries are the mappings of a live process that are asked of the kernel one at a time, with the ioctl
// PROCMAP_QUERY on /proc/PID/maps (Linux 6.11; include/uapi/linux/fs.h, fs/proc/task_mmu.c). To read all of them
// so takes twice as long as their text, but arenas can be found by few: a heap begins at a multiple of its size,
// and a main arena lies in the data of a file. A census then takes a third of the time where there are
// 300 mappings, and a thousandth where there are 65,000; it locks no more of the process than one mapping.
//
// What is found is certain or is not taken: err is set where one query failed or more were needed than the text
// is worth, and the caller reads the text then.
type queries struct {
	maps *os.File
	left int // how many more may be asked
	name []byte
	err  error
}

// mostQueries is about what the text of 300 mappings costs. With more arenas than some eighty it is cheaper.
const mostQueries = 256

// errManyQueries is for a process that has so many arenas, or mappings that writable memory is found in, that the
// text is cheaper.
var errManyQueries = errors.New("too many mappings to ask for one by one")

// procmapQuery is struct procmap_query. Addresses and sizes are bytes.
type procmapQuery struct {
	size, flags, addr        uint64
	start, end, access, page uint64
	offset, inode            uint64
	major, minor             uint32
	nameSize, buildIDSize    uint32
	nameAddr, buildIDAddr    uint64
}

// The ioctl's number, _IOWR('f', 17, struct procmap_query), as most architectures make it. Where they make
// another (MIPS, PowerPC, SPARC) it is unknown to the kernel, like the ioctl before 6.11: ENOTTY.
const (
	ioctlProcmapQuery = 3<<30 | unsafe.Sizeof(procmapQuery{})<<16 | 'f'<<8 | 17

	queryNext       = 0x10 // the one that covers the address, or the next
	queryFileBacked = 0x20
	queryAccess     = uint64(proc.PermRead | proc.PermWrite | proc.PermExec | proc.PermShared) // the bits are the same
)

func newQueries(maps *os.File) *queries {
	return &queries{maps: maps, left: mostQueries, name: make([]byte, unix.PathMax)}
}

// countByQueries is Count in the few calls that an ordinary process takes; ok is false for every other one, be it
// that there is no such process.
func countByQueries(root string, pid int) (c Census, ok bool) {
	dir := filepath.Join(root, strconv.Itoa(pid))
	maps, err := proc.Here.Open(filepath.Join(dir, "maps"))
	if err != nil {
		return Census{}, false
	}
	defer maps.Close()
	mem := &processMemory{pid: pid, path: filepath.Join(dir, "mem")}
	defer mem.close()
	return newQueries(maps).census(mem)
}

func (q *queries) next(addr uint64, has perm, file bool) (mapping, bool) {
	if q.left--; q.left < 0 && q.err == nil {
		q.err = errManyQueries
	}
	if q.err != nil {
		return mapping{}, false
	}
	arg := procmapQuery{
		size: uint64(unsafe.Sizeof(procmapQuery{})), flags: uint64(has) | queryNext, addr: addr,
		nameSize: uint32(len(q.name)), nameAddr: uint64(uintptr(unsafe.Pointer(&q.name[0]))),
	}
	if file {
		arg.flags |= queryFileBacked
	}
	_, err := ioctl(q.maps, ioctlProcmapQuery, unsafe.Pointer(&arg))
	runtime.KeepAlive(q.name)
	switch {
	case err == unix.ENOENT:
		return mapping{}, false
	case err != nil:
		q.err = err
		return mapping{}, false
	}
	return mapping{
		Start: arg.start, End: arg.end, Perm: perm(arg.access & queryAccess), Offset: arg.offset, Inode: arg.inode,
		Name: mapsName(q.name[:arg.nameSize]),
	}, true
}

// mapsName is a name as the text of maps has it: without its NUL, and with line ends as \012.
func mapsName(b []byte) string {
	return strings.ReplaceAll(string(bytes.TrimSuffix(b, []byte{0})), "\n", `\012`)
}

func (q *queries) bases(word uint64) []uint64 { return alignedBases(q, word) }

// mostHeaders: a process with more is left to the text.
func (q *queries) mostHeaders() int { return 16 * mostQueries }

// libc: a process that maps none by name is left to the text.
func (q *queries) libc() bool { return true }

// word asks for memory over 4 GiB, where every 64-bit program has its stack, and no other can have any.
func (q *queries) word() uint64 {
	if _, ok := q.next(1<<32, 0, false); ok {
		return 8
	}
	return 4
}

// census is that of find by queries; ok is false where only the text can tell. The last query is answered by the
// address space that the first one was: what was read of the PID in between was no other process's.
func (q *queries) census(mem reader) (c Census, ok bool) {
	c, ok = certain(mem, q)
	if ok {
		q.next(0, 0, false)
	}
	return c, ok && q.err == nil
}
