package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// heading is the journal's first line: what must be the same for its runs to be of the same experiment. The number
// of rounds may change. Known limits: of a program that is a script, or that loads others, and of the load, only the
// command line is compared; of the environment nothing.
type heading struct {
	Arenacap   string   `json:"arenacap"`
	Seed       uint64   `json:"seed"`
	Path       string   `json:"path"`
	Program    string   `json:"program"`
	Kernel     string   `json:"kernel"`
	CPUs       string   `json:"cpus"`
	Args       []string `json:"args"`
	Caps       []string `json:"caps"`
	ArenaMax   []int    `json:"arena_max"`
	Ready      string   `json:"ready"`
	Load       string   `json:"load"`
	Throughput Metric   `json:"throughput"`
	Latency    Metric   `json:"latency"`
}

// Each journal begins so, and so did those before the program, the kernel and the CPUs were noted.
const (
	journalFormat = "sweep 2"
	journalBegin  = `{"arenacap":"` + journalFormat + `",`
	formerBegin   = `{"arenacap":"sweep 1",`
)

var errNoJournal = errors.New("is no file of arenacap sweep --resume; name another file")

// recognize tells by its beginning whether a file is a journal. One that is empty is, and one whose first line was cut
// short.
func recognize(begin []byte) error {
	same := func(want string) bool {
		n := min(len(begin), len(want))
		return string(begin[:n]) == want[:n]
	}
	switch {
	case same(journalBegin):
		return nil
	case same(formerBegin):
		return errors.New("was written by an earlier arenacap, which did not note of which program; name another file")
	}
	return errNoJournal
}

func (x *Experiment) heading() heading {
	h := heading{Arenacap: journalFormat, Seed: x.Seed, Path: x.Path, Args: x.Args, Ready: x.Ready, Load: x.Load,
		Program: x.Setting.Program, Kernel: x.Setting.Kernel, CPUs: x.Setting.CPUs, Throughput: x.Throughput, Latency: x.Latency}
	for _, c := range x.Candidates {
		h.Caps, h.ArenaMax = append(h.Caps, c.Name), append(h.ArenaMax, c.ArenaMax)
	}
	return h
}

// Missing is the number of runs that are still to be made where some are there.
func (x *Experiment) Missing(runs []Run) (n int) {
	m := measurement{x: x, runs: runs}
	for _, c := range x.Candidates {
		for round := 1; round <= x.Rounds && !m.gaveUp(c.Name); round++ {
			if !m.has(c.Name, round) {
				n++
			}
		}
	}
	return n
}

// parseJournal reads lines that end in a newline; what follows the last newline must be the beginning of another one.
// size is how many bytes were understood. Errors begin with the line's number.
func parseJournal(text []byte) (h heading, runs []Run, size int, err error) {
	seen := map[runKey]bool{}
	for n := 1; ; n++ {
		line, _, whole := bytes.Cut(text[size:], []byte("\n"))
		switch {
		case !whole && cutShort(line, n):
			return h, runs, size, nil
		case n == 1:
			err = h.parse(line)
		case !whole:
			err = noRun(line)
		default:
			var r Run
			if r, err = h.parseRun(line); err == nil && seen[r.key()] {
				err = fmt.Errorf("round %d of cap %q is there a second time; delete one of the two lines, or name another file", r.Round, r.Cap)
			}
			seen[r.key()] = true
			runs = append(runs, r)
		}
		if err != nil {
			return heading{}, nil, 0, fmt.Errorf("%d: %w", n, err)
		}
		size += len(line) + 1
	}
}

// cutShort reports whether the text may be the beginning of the n-th line.
func cutShort(text []byte, n int) bool {
	want := `{"cap":"`
	if n == 1 {
		want = journalBegin
	}
	k := min(len(text), len(want))
	return string(text[:k]) == want[:k]
}

func (h *heading) parse(line []byte) error {
	if err := recognize(line); err != nil {
		return err
	}
	if json.Unmarshal(line, h) != nil || h.Arenacap != journalFormat {
		return fmt.Errorf("%s is not what a sweep was started with; name another file", shown(line))
	}
	return nil
}

type runKey struct {
	cap   string
	round int
}

func (r *Run) key() runKey { return runKey{r.Cap, r.Round} }

const remedy = "delete the line, or name another file"

func noRun(line []byte) error { return fmt.Errorf("%s is no run of a sweep; %s", shown(line), remedy) }

func (h *heading) parseRun(line []byte) (r Run, err error) {
	switch err := json.Unmarshal(line, &r); {
	case err != nil:
		return Run{}, noRun(line)
	case !slices.Contains(h.Caps, r.Cap):
		return Run{}, fmt.Errorf("a run of cap %q, wanted is one of %s; %s", r.Cap, compact(h.Caps), remedy)
	case r.Round < 1:
		return Run{}, fmt.Errorf("round %d of cap %q, the first one is 1; %s", r.Round, r.Cap, remedy)
	}
	return r, nil
}

// shown is a line as an error quotes it.
func shown(line []byte) string {
	const most = 40
	if len(line) > most {
		return fmt.Sprintf("%q…", line[:most])
	}
	return fmt.Sprintf("%q", line)
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
