package arena

// This file reads mappings one at a time, with the ioctl PROCMAP_QUERY.

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
	"arenacap/launcher/proc/vma"
)

// queries reads the mappings of a live process one at a time, with the ioctl PROCMAP_QUERY on /proc/PID/maps (Linux 6.11;
// include/uapi/linux/fs.h, fs/proc/task_mmu.c). To query all mappings takes twice as long as to read the text of
// /proc/PID/maps. But a census needs only few mappings, since a heap begins at a multiple of its size and a main arena lies
// in the data of a file. So, compared with a census from the text, a census by queries takes a third of the time with 300
// mappings, and a thousandth with 65,000. It also locks only one mapping at a time.
//
// err is set if a query failed, or if the census needs more than mostQueries queries: then it is faster to read
// /proc/PID/maps. The caller then discards the census and reads /proc/PID/maps.
type queries struct {
	maps *os.File
	left int // number of queries that are still allowed
	name []byte
	err  error
}

// mostQueries is the maximum number of queries for a census. 256 queries take about as long as reading /proc/PID/maps with
// 300 mappings. A process with more than about 80 arenas needs more queries.
const mostQueries = 256

// errManyQueries is the error for a process with so many arenas or writable mappings that reading /proc/PID/maps is cheaper.
var errManyQueries = errors.New("too many mappings to query one by one")

// procmapQuery is struct procmap_query. Addresses and sizes are bytes.
type procmapQuery struct {
	size, flags, addr        uint64
	start, end, access, page uint64
	offset, inode            uint64
	major, minor             uint32
	nameSize, buildIDSize    uint32
	nameAddr, buildIDAddr    uint64
}

// The ioctl's number, _IOWR('f', 17, struct procmap_query), as encoded on most architectures. On the others (MIPS, PowerPC,
// SPARC), as before Linux 6.11, the kernel returns ENOTTY.
const (
	ioctlProcmapQuery = 3<<30 | unsafe.Sizeof(procmapQuery{})<<16 | 'f'<<8 | 17

	queryNext       = 0x10 // the mapping that covers the address, or the next one
	queryFileBacked = 0x20
	queryAccess     = uint64(vma.Read | vma.Write | vma.Exec | vma.Shared) // package vma uses the bits of the ioctl's flags
)

func newQueries(maps *os.File) *queries {
	return &queries{maps: maps, left: mostQueries, name: make([]byte, unix.PathMax)}
}

// countByQueries does the same as Count with few system calls. ok is false if it fails for any reason; the caller then
// reads /proc/PID/maps.
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

func (q *queries) next(addr uint64, perms perm, file bool) (mapping, bool) {
	if q.left--; q.left < 0 && q.err == nil {
		q.err = errManyQueries
	}
	if q.err != nil {
		return mapping{}, false
	}
	arg := procmapQuery{
		size: uint64(unsafe.Sizeof(procmapQuery{})), flags: uint64(perms) | queryNext, addr: addr,
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

// mapsName converts a name to its form in the text of maps: without the final NUL, and with newlines as \012.
func mapsName(b []byte) string {
	return strings.ReplaceAll(string(bytes.TrimSuffix(b, []byte{0})), "\n", `\012`)
}

func (q *queries) bases(word uint64) []uint64 { return alignedBases(q, word) }

// mostHeaders can be lower than the limit for mappings from /proc/PID/maps: if a process has more headers, the queries
// fail and the caller reads /proc/PID/maps.
func (q *queries) mostHeaders() int { return 16 * mostQueries }

// libc assumes that the process has a libc with a known name. If the process has none, the function "certain" finds no arenas
// and returns false, and the caller reads /proc/PID/maps.
func (q *queries) libc() bool { return true }

// word returns the size of a pointer in bytes: 8 if a mapping is above 4 GiB, else 4. A 64-bit program has its stack above
// 4 GiB, and a 32-bit program has no mapping there.
func (q *queries) word() uint64 {
	if _, ok := q.next(1<<32, 0, false); ok {
		return 8
	}
	return 4
}

// census takes the census by single queries; ok is false if the caller has to read /proc/PID/maps. The last query
// checks that the address space still exists: then the memory that was read by PID in between does not belong to
// another process.
func (q *queries) census(mem reader) (c Census, ok bool) {
	c, ok = certain(mem, q)
	if ok {
		q.next(0, 0, false)
	}
	return c, ok && q.err == nil
}
