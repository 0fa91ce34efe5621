package sweep

// The text of the file that keeps runs: a line of what is measured, and one for each run (run.go).

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"arenacap/launcher/ordered"
)

// heading is a record's first line, by its keys: what must be the same for its runs to be of the same experiment. The
// number of rounds may change. Known limits: of a program that is a script, or that loads others, and of the load, only
// the command line is compared; of the environment nothing.
type heading struct {
	Arenacap string
	Seed     uint64
	Caps     []string

	all map[string]json.RawMessage
}

// Each record begins so, and so did those before the program, the kernel and the CPUs were noted.
const (
	recordFormat = "sweep 2"
	recordBegin  = `{"arenacap":"` + recordFormat + `",`
	formerBegin  = `{"arenacap":"sweep 1",`
)

var errNoRecord = errors.New("is no file of arenacap sweep --resume; name another file")

// recognize tells by its beginning whether a file is a record. One that is empty is, and one whose first line was cut
// short.
func recognize(begin []byte) error {
	switch {
	case mayBegin(begin, recordBegin):
		return nil
	case mayBegin(begin, formerBegin):
		return errors.New("was written by an earlier arenacap, which did not note of which program; name another file")
	}
	return errNoRecord
}

// mayBegin reports whether a text begins so, or would if it had not been cut short.
func mayBegin(text []byte, with string) bool {
	n := min(len(text), len(with))
	return string(text[:n]) == with[:n]
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

// parseRecord reads lines that end in a newline; what follows the last newline must be the beginning of another one.
// size is how many bytes were understood. Errors begin with the line's number.
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
		return fmt.Errorf("%s is not what a sweep was started with; name another file", shown(line))
	}
	return nil
}

const remedy = "delete the line, or name another file"

func noRun(line []byte) error { return fmt.Errorf("%s is no run of a sweep; %s", shown(line), remedy) }

// parseRun reads a run that is none of those before it.
func (h *heading) parseRun(line []byte, before []Run) (r Run, err error) {
	switch err := json.Unmarshal(line, &r); {
	case err != nil:
		return Run{}, noRun(line)
	case !slices.Contains(h.Caps, r.Cap):
		return Run{}, fmt.Errorf("a run of cap %q, wanted is one of %s; %s", r.Cap, compact(h.Caps), remedy)
	case r.Round < 1:
		return Run{}, fmt.Errorf("round %d of cap %q, the first one is 1; %s", r.Round, r.Cap, remedy)
	case slices.ContainsFunc(before, r.same):
		return Run{}, fmt.Errorf("round %d of cap %q is there a second time; delete one of the two lines, or name another file", r.Round, r.Cap)
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
