package arena

// This file reads the memory of a live process.

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// processMemory reads another process with process_vm_readv(2), which does not stop the process and takes many addresses in
// one call. If that is not available (a seccomp filter, an old kernel) or cannot address the memory (a 32-bit arenacap and a
// 64-bit process), it reads /proc/PID/mem.
type processMemory struct {
	pid  int
	path string // path of /proc/PID/mem
	file *os.File
}

// maxPieces is IOV_MAX, the largest number of ranges in one call of process_vm_readv(2).
const maxPieces = 1024

func (p *processMemory) close() { _ = p.file.Close() } // the file may be nil, and then Close only returns an error

func (p *processMemory) read(spans []span) error {
	for len(spans) > 0 {
		if p.file != nil {
			return p.readFile(spans)
		}
		n := min(len(spans), maxPieces)
		done, err := p.readv(spans[:n])
		if closed(err) {
			if p.file, err = proc.Here.Open(p.path); err != nil {
				return fmt.Errorf("cannot read the memory of the process: %w", err)
			}
			continue
		}
		if err != nil && !errors.Is(err, unix.EFAULT) && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot read the memory of the process: %w", err)
		}
		spans = spans[done:]
	}
	return nil
}

// closed reports whether err means that process_vm_readv cannot be used at all. Reading /proc/PID/mem may still work.
func closed(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, errTooFar)
}

var errTooFar = errors.New("address above 4 GiB, for a 32-bit arenacap")

// readv reads with one call of process_vm_readv(2), which stops at the first memory that it cannot read. It returns how many
// spans are done: those that were read completely and, if the call stopped early, the one at which it stopped.
func (p *processMemory) readv(spans []span) (done int, err error) {
	local := make([]unix.Iovec, len(spans))
	remote := make([]unix.RemoteIovec, len(spans))
	for i, s := range spans {
		if uint64(uintptr(s.addr)) != s.addr {
			return 0, errTooFar
		}
		local[i].Base = &s.buf[0]
		local[i].SetLen(len(s.buf))
		remote[i] = unix.RemoteIovec{Base: uintptr(s.addr), Len: len(s.buf)}
	}
	n, err := unix.ProcessVMReadv(p.pid, local, remote, 0)
	n = max(n, 0)
	for i := range spans {
		spans[i].n = min(n, len(spans[i].buf))
		n -= spans[i].n
		if !spans[i].whole() {
			return i + 1, err
		}
	}
	return len(spans), err
}

func (p *processMemory) readFile(spans []span) error {
	for i := range spans {
		n, err := p.file.ReadAt(spans[i].buf, int64(spans[i].addr))
		spans[i].n = n
		if errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cannot read the memory of the process: %w", err)
		}
	}
	return nil
}
