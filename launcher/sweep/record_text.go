package sweep

// This file defines the format of the file that keeps runs: a line for the experiment, and one for each run (run.go).

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"arenacap/launcher/ordered"
)

// heading is a record's first line: the properties that identify the experiment. The number of rounds does not identify
// it. Known limits: an interpreter's script, the files that a program loads, and the load are identified only by the
// command line; the environment is ignored.
type heading struct {
	Arenacap string
	Seed     uint64
	Caps     []string

	all map[string]json.RawMessage // all keys of the line
}

// A record begins with recordBegin. A record of the former format, which has no program, kernel and CPUs, begins with
// formerBegin.
const (
	recordFormat = "sweep 2"
	recordBegin  = `{"arenacap":"` + recordFormat + `",`
	formerBegin  = `{"arenacap":"sweep 1",`
)

var errNoRecord = errors.New("is not a file of arenacap sweep --resume; name another file")

// recognize returns an error unless a file begins like a record. An empty file and an incomplete first line are accepted.
func recognize(begin []byte) error {
	switch {
	case mayBegin(begin, recordBegin):
		return nil
	case mayBegin(begin, formerBegin):
		return errors.New("was written by an earlier arenacap, which did not record the build of the program; name another file")
	}
	return errNoRecord
}

// mayBegin reports whether a text that may be cut off begins with prefix: whether one of the two is a prefix of the other.
func mayBegin(text []byte, prefix string) bool {
	n := min(len(text), len(prefix))
	return string(text[:n]) == prefix[:n]
}

func (x *Experiment) heading() ordered.Object {
	var caps []string
	var arenaMax []int
	for _, c := range x.Candidates {
		caps, arenaMax = append(caps, c.Name), append(arenaMax, c.ArenaMax)
	}
	h := ordered.Object{"arenacap", recordFormat, "seed", x.Seed, "path", x.Path, "program", x.Setting.Program, "kernel", x.Setting.Kernel,
		"cpus", x.Setting.CPUs, "args", x.Args, "caps", caps, "arena_max", arenaMax, "ready", x.Ready, "load", x.Load}
	for _, m := range Metrics {
		var how struct {
			Pattern string
			Lower   bool
		}
		if i := x.Index(m); i >= 0 && x.Metrics[i].Pattern != "" {
			how.Pattern, how.Lower = x.Metrics[i].Pattern, x.Metrics[i].Lower
		}
		h = append(h, m.Name, how)
	}
	return h
}

// parseRecord reads the complete lines; the text after the last newline must be the beginning of a further line. size is
// the length of the complete lines in bytes. Errors begin with the line's number.
func parseRecord(text []byte) (h heading, runs []Run, size int, err error) {
	begin := recordBegin
	for n := 1; ; n++ {
		line, _, whole := bytes.Cut(text[size:], []byte("\n"))
		switch {
		case !whole && mayBegin(line, begin):
			return h, runs, size, nil
		case n == 1:
			err = h.parse(line)
		case !whole:
			err = noRun(line)
		default:
			var r Run
			r, err = h.parseRun(line, runs)
			runs = append(runs, r)
		}
		if err != nil {
			return heading{}, nil, 0, fmt.Errorf("%d: %w", n, err)
		}
		size += len(line) + 1
		begin = `{"cap":"`
	}
}

func (h *heading) parse(line []byte) error {
	if err := recognize(line); err != nil {
		return err
	}
	if json.Unmarshal(line, h) != nil || json.Unmarshal(line, &h.all) != nil || h.Arenacap != recordFormat {
		return fmt.Errorf("%s is not the first line of a sweep's record; name another file", shown(line))
	}
	return nil
}

const remedy = "delete the line, or name another file"

func noRun(line []byte) error {
	return fmt.Errorf("%s is not a run of a sweep; %s", shown(line), remedy)
}

// parseRun reads a run, and checks its cap and its round and that it is not a duplicate.
func (h *heading) parseRun(line []byte, before []Run) (r Run, err error) {
	switch err := json.Unmarshal(line, &r); {
	case err != nil:
		return Run{}, noRun(line)
	case !slices.Contains(h.Caps, r.Cap):
		return Run{}, fmt.Errorf("the run has cap %q, which is not one of %s; %s", r.Cap, compact(h.Caps), remedy)
	case r.Round < 1:
		return Run{}, fmt.Errorf("round %d of cap %q, but the first round is 1; %s", r.Round, r.Cap, remedy)
	case slices.ContainsFunc(before, r.same):
		return Run{}, fmt.Errorf("round %d of cap %q occurs twice; delete one of the two lines, or name another file", r.Round, r.Cap)
	}
	return r, nil
}

// shown quotes a line in an error, at most 40 bytes of it.
func shown(line []byte) string {
	const most = 40
	if len(line) > most {
		return fmt.Sprintf("%q…", line[:most])
	}
	return fmt.Sprintf("%q", line)
}

// differs names the first property that differs, with both values, or returns "".
func (h heading) differs(now ordered.Object) string {
	for i := 0; i < len(now); i += 2 {
		key := now[i].(string)
		if was, is := compact(h.all[key]), compact(now[i+1]); was != is {
			return fmt.Sprintf("%s %s, not %s", key, was, is)
		}
	}
	return ""
}

func compact(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
