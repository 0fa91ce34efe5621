package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
)

// Journal keeps runs in a file, so that an interrupted experiment can go on: a line of JSON for what is measured
// and one for each run.
type Journal struct{ file *os.File }

// heading is the journal's first line: what must be the same for its runs to be of the same experiment. The number
// of rounds may change.
type heading struct {
	Arenacap   string   `json:"arenacap"`
	Seed       uint64   `json:"seed"`
	Path       string   `json:"path"`
	Args       []string `json:"args"`
	Caps       []string `json:"caps"`
	ArenaMax   []int    `json:"arena_max"`
	Ready      string   `json:"ready"`
	Load       string   `json:"load"`
	Throughput Metric   `json:"throughput"`
	Latency    Metric   `json:"latency"`
}

func (x *Experiment) heading() heading {
	h := heading{Arenacap: "sweep 1", Seed: x.Seed, Path: x.Path, Args: x.Args, Ready: x.Ready, Load: x.Load,
		Throughput: x.Throughput, Latency: x.Latency}
	for _, c := range x.Candidates {
		h.Caps, h.ArenaMax = append(h.Caps, c.Name), append(h.ArenaMax, c.ArenaMax)
	}
	return h
}

// OpenJournal opens the journal of an experiment and gives the runs that it has; a file that is not there is made.
// The experiment goes on with the seed of the file, which is set in x. A last line that was cut short, by a crash, is
// dropped. It is an error when the file is of another experiment.
func OpenJournal(path string, x *Experiment) (*Journal, []Run, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	old, runs, size, err := parseJournal(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s:%w", path, err)
	}
	if size > 0 {
		x.Seed = old.Seed
		if what := old.differs(x.heading()); what != "" {
			return nil, nil, fmt.Errorf("%s: was written by a sweep with %s; name another file", path, what)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{file}
	if err := errors.Join(file.Truncate(int64(size)), j.begin(size, x)); err != nil {
		file.Close()
		return nil, nil, err
	}
	return j, runs, nil
}

func (j *Journal) begin(size int, x *Experiment) error {
	if size > 0 {
		return nil
	}
	return j.line(x.heading())
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

// parseJournal reads lines that end in a newline; what follows the last newline was cut short. size is how many bytes
// were understood. Errors begin with the line's number.
func parseJournal(text []byte) (h heading, runs []Run, size int, err error) {
	for n := 1; ; n++ {
		end := bytes.IndexByte(text[size:], '\n')
		if end < 0 {
			return h, runs, size, nil
		}
		line := text[size : size+end]
		if n == 1 {
			err = json.Unmarshal(line, &h)
			if err == nil && h.Arenacap != "sweep 1" {
				err = errors.New("this is no file of arenacap sweep --resume")
			}
		} else {
			var r Run
			err = json.Unmarshal(line, &r)
			runs = append(runs, r)
		}
		if err != nil {
			return heading{}, nil, 0, fmt.Errorf("%d: %w", n, err)
		}
		size += end + 1
	}
}

// differs names the first thing that is another one, or "".
func (h heading) differs(now heading) string {
	was, is := reflect.ValueOf(h), reflect.ValueOf(now)
	for i := range was.NumField() {
		if a, b := was.Field(i).Interface(), is.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("%s %s, not %s", was.Type().Field(i).Tag.Get("json"), compact(a), compact(b))
		}
	}
	return ""
}

func compact(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
