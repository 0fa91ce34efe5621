package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Journal keeps runs in a file, so that an interrupted experiment can go on: a line of JSON for what is measured
// and one for each run. It is locked (flock(2)) while it is open.
type Journal struct{ file *os.File }

// OpenJournal opens the journal of an experiment and gives the runs that it has; a file that is not there is made.
// The experiment goes on with the seed of the file, which is set in x. A last line that was cut short, by a crash, is
// dropped. It is an error when the file is of another experiment or no journal, and when another process has it open.
func OpenJournal(path string, x *Experiment) (*Journal, []Run, error) {
	// O_NONBLOCK: nothing waits for the other end of a pipe.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND|unix.O_NONBLOCK, 0o666)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{file}
	runs, err := j.takeUp(path, x)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return j, runs, nil
}

// takeUp reads what is there and makes the file ready for more.
func (j *Journal) takeUp(path string, x *Experiment) ([]Run, error) {
	if err := j.lock(path); err != nil {
		return nil, err
	}
	text, err := j.read(path)
	if err != nil {
		return nil, err
	}
	old, runs, size, err := parseJournal(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	if size == 0 {
		return nil, errors.Join(j.file.Truncate(0), j.line(x.heading()))
	}
	x.Seed = old.Seed
	if what := old.differs(x.heading()); what != "" {
		return nil, fmt.Errorf("%s: was written by a sweep with %s; name another file", path, what)
	}
	return runs, j.file.Truncate(int64(size))
}

// lock fails for a file that another sweep has open. A file system without locks is taken as it is.
func (j *Journal) lock(path string) error {
	if info, err := j.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s: is no regular file; name another one", path))
	}
	if unix.Flock(int(j.file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		return fmt.Errorf("%s: another sweep is writing it; wait for its end, or name another file", path)
	}
	return nil
}

// read gives the text of a journal. Of another file it reads no more than tells that.
func (j *Journal) read(path string) ([]byte, error) {
	begin := make([]byte, len(journalBegin))
	n, err := j.file.ReadAt(begin, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err := recognize(begin[:n]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(j.file)
}

// Add writes a run. Nothing is held back: what was measured survives a crash of arenacap.
func (j *Journal) Add(r Run) error { return j.line(r) }

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

func (j *Journal) line(v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = j.file.Write(append(text, '\n'))
	}
	return err
}
