package sweep

// This file opens, locks and continues the file that keeps runs. The format of the file is in record_text.go.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Record keeps runs in a file, so that an interrupted experiment can continue: one line of JSON for the experiment and one
// for each run. The file is locked (flock(2)) while it is open. A nil Record keeps nothing.
type Record struct{ file *os.File }

// OpenRecord opens or creates the record of an experiment and returns its runs. For the path "" the record is nil. It sets
// x.Seed to the seed of the file. It drops an incomplete last line, which a crash leaves behind. It is an error if the file
// is not a record of the same experiment, or if another Record has it open.
func OpenRecord(path string, x *Experiment) (*Record, []Run, error) {
	if path == "" {
		return nil, nil, nil
	}
	// O_NONBLOCK, so that open(2) of a FIFO does not wait for the other end.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND|unix.O_NONBLOCK, 0o666)
	if err != nil {
		return nil, nil, err
	}
	rec := &Record{file}
	runs, err := rec.takeUp(x)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return rec, runs, nil
}

// takeUp reads the file and prepares it for further runs.
func (rec *Record) takeUp(x *Experiment) ([]Run, error) {
	path := rec.file.Name()
	if err := rec.lock(path); err != nil {
		return nil, err
	}
	text, err := rec.read(path)
	if err != nil {
		return nil, err
	}
	old, runs, size, err := parseRecord(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	if size == 0 {
		return nil, errors.Join(rec.file.Truncate(0), rec.line(x.heading()))
	}
	x.Seed = old.Seed
	if what := old.differs(x.heading()); what != "" {
		return nil, fmt.Errorf("file %q was written by a sweep with %s; name another file", path, what)
	}
	return runs, rec.file.Truncate(int64(size))
}

// lock locks the file. It returns an error if the file is not regular, or if another sweep has it open. On a file
// system without locks the file is not locked.
func (rec *Record) lock(path string) error {
	if info, err := rec.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%q is not a regular file; name another file", path))
	}
	if unix.Flock(int(rec.file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		return fmt.Errorf("another sweep is writing file %q; wait for its end, or name another file", path)
	}
	return nil
}

// read returns the text of a record. If the file is not a record, it reads only the beginning and returns an error.
func (rec *Record) read(path string) ([]byte, error) {
	begin := make([]byte, len(recordBegin))
	n, err := rec.file.ReadAt(begin, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err := recognize(begin[:n]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(rec.file)
}

// Add writes a run without buffering, so that it survives a crash of arenacap.
func (rec *Record) Add(r Run) error {
	if rec == nil {
		return nil
	}
	return rec.line(r)
}

// Close closes the file.
func (rec *Record) Close() error {
	if rec == nil {
		return nil
	}
	return rec.file.Close()
}

func (rec *Record) line(v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = rec.file.Write(append(text, '\n'))
	}
	return err
}
