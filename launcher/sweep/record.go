package sweep

// The file that keeps runs: how it is opened, locked, and goes on. What stands in it is in record_text.go.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Record keeps runs in a file, so that an interrupted experiment can go on: a line of JSON for what is measured
// and one for each run. It is locked (flock(2)) while it is open. One that is nil keeps nothing.
type Record struct{ file *os.File }

// OpenRecord opens the record of an experiment and gives the runs that it has; a file that is not there is made. Of the path
// "" it is nil.
// The experiment goes on with the seed of the file, which is set in x. A last line that was cut short, by a crash, is
// dropped. It is an error when the file is of another experiment or no record, and when another process has it open.
func OpenRecord(path string, x *Experiment) (*Record, []Run, error) {
	if path == "" {
		return nil, nil, nil
	}
	// O_NONBLOCK: nothing waits for the other end of a pipe.
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

// takeUp reads what is there and makes the file ready for more.
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
		return nil, fmt.Errorf("%s: was written by a sweep with %s; name another file", path, what)
	}
	return runs, rec.file.Truncate(int64(size))
}

// lock fails for a file that another sweep has open. A file system without locks is taken as it is.
func (rec *Record) lock(path string) error {
	if info, err := rec.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s: is no regular file; name another one", path))
	}
	if unix.Flock(int(rec.file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		return fmt.Errorf("%s: another sweep is writing it; wait for its end, or name another file", path)
	}
	return nil
}

// read gives the text of a record. Of another file it reads no more than tells that.
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

// Add writes a run. Nothing is held back: what was measured survives a crash of arenacap.
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
