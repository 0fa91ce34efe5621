package sweep

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const recordHead = `{"arenacap":"sweep 2","seed":1,"caps":["1","2"]}` + "\n"

func TestRecordErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{}\n":                                   "1: is not a file of arenacap sweep --resume; name another file",
		"x\n":                                    "1: is not a file of arenacap sweep --resume; name another file",
		"x":                                      "1: is not a file of arenacap sweep --resume; name another file",
		`{"arenacap":"sweep 1","seed":1}` + "\n": "1: was written by an earlier arenacap, ",
		`{"arenacap":"sweep 2","seed":-1}` + "\n":                                    `1: "{\"arenacap\":\"sweep 2\",\"seed\":-1}" is not the first line of a sweep's record; name another file`,
		recordHead + "x\n":                                                           `2: "x" is not a run of a sweep; delete the line, or name another file`,
		recordHead + "x":                                                             `2: "x" is not a run of a sweep; delete the line, or name another file`,
		recordHead + `{"round":1,"cap":"2"}`:                                         `2: "{\"round\":1,\"cap\":\"2\"}" is not a run of a sweep; `,
		recordHead + "\n":                                                            `2: "" is not a run of a sweep; `,
		recordHead + strings.Repeat("x", 999):                                        `2: "` + strings.Repeat("x", 40) + `"… is not a run of a sweep; `,
		recordHead + "{}\n":                                                          `2: the run has cap "", which is not one of ["1","2"]; delete the line, or name another file`,
		recordHead + `{"cap":"2","round":0}` + "\n":                                  `2: round 0 of cap "2", but the first round is 1; delete the line, or name another file`,
		recordHead + `{"cap":"2","round":-3}` + "\n":                                 `2: round -3 of cap "2", but the first round is 1; `,
		recordHead + `{"cap":"2","round":"3"}` + "\n":                                `2: "{\"cap\":\"2\",\"round\":\"3\"}" is not a run of a sweep; `,
		recordHead + strings.Repeat(`{"cap":"2","round":3}`+"\n", 2):                 `3: round 3 of cap "2" occurs twice; delete one of the two lines, or name another file`,
		recordHead + `{"cap":"2","round":3}` + "\n" + `{"cap":"3","round":1}` + "\n": `3: the run has cap "3", which is not one of `,
	} {
		if _, _, _, err := parseRecord([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

var update = flag.Bool("update", false, "rewrite testdata from the current records")

// kept returns the experiment that a file in testdata records, and its runs.
func kept(latency bool) (*Experiment, []Run) {
	x := &Experiment{Path: "/opt/server", Args: []string{"server", "<a b>"}, Seed: 42, Load: "load", Setting: Setting{"of 10 bytes", "6.1", "online 2"},
		Candidates: []Candidate{{Name: "off"}, {Name: "1/core", ArenaMax: 2}}}
	began := time.Date(2024, 2, 29, 12, 0, 0, 5e6, time.UTC)
	good := Run{Cap: "off", Round: 1, Start: began, Values: values(0.000001), Wall: 1.5, CPU: 2.25, VirtualPeak: 1 << 40, VirtualFinal: 1 << 30, ResidentPeak: 2 << 20, ResidentFinal: 1 << 20,
		Arenas: 16, ArenaReserved: 15 << 26, ArenaResident: 1 << 20, MinorFaults: 7, MajorFaults: 6, VoluntarySwitches: 5, InvoluntarySwitches: 4, Killed: true,
		Memory: []Size{{0.02, 1 << 40, 2 << 20}, {1.5, 1 << 30, 1 << 20}}}
	bad := Run{Cap: "1/core", Round: 2, Start: began, Values: values(0), Exit: 139, Error: "the program was killed by SIGSEGV", Tail: "\"cannot\"\n,\"wall_seconds\":"}
	if latency {
		x.Metrics, good.Values = metrics("<rate>: (.*)", "p99"), values(0.000001, 1e22)
	}
	return x, []Run{good, bad}
}

// A record is written as in testdata, byte for byte, and the same runs are read from it.
func TestRecordIsAsItWas(t *testing.T) {
	for file, latency := range map[string]bool{"testdata/throughput.runs": false, "testdata/latency.runs": true} {
		x, runs := kept(latency)
		path := filepath.Join(t.TempDir(), "runs")
		j, _, err := OpenRecord(path, x)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			if err := j.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		j.Close()
		text, _ := os.ReadFile(path)
		if *update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(text) != string(want) {
			t.Errorf("%s, %v:\n%s", file, err, text)
		}
		j, again, err := OpenRecord(path, x)
		if err != nil || !reflect.DeepEqual(again, runs) {
			t.Errorf("%v: %+v, want %+v", err, again, runs)
		}
		j.Close()
	}
}

// Wherever a record is cut off, its complete lines are read, and the rest is still recognized as a record.
func TestRecordCutShort(t *testing.T) {
	text := recordHead + `{"cap":"2","round":3}` + "\n" + `{"cap":"1","round":3}` + "\n"
	for n := range len(text) + 1 {
		_, runs, size, err := parseRecord([]byte(text[:n]))
		if lines := strings.Count(text[:n], "\n"); err != nil || len(runs) != max(0, lines-1) || size != strings.LastIndex(text[:n], "\n")+1 {
			t.Errorf("%d bytes: %d runs in %d bytes, %v", n, len(runs), size, err)
		}
	}
}

// A file that is not a record is not changed.
func TestRecordSparesOthers(t *testing.T) {
	for name, text := range map[string]string{"notes.txt": "no newline at the end", "list.json": "[1, 2]\n", "object.json": `{"arenacap":"yes"}`,
		"runs": `{"arenacap":"sweep 1","seed":1}` + "\n", "edited": recordHead + "notes"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenRecord(path, &Experiment{}); err == nil || !strings.HasPrefix(err.Error(), path+":") || !strings.HasSuffix(err.Error(), "name another file") {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%s holds %q, %v", name, after, err)
		}
	}
}

func TestRecordIsARegularFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenRecord(path, &Experiment{}); err == nil || err.Error() != strconv.Quote(path)+" is not a regular file; name another file" {
		t.Error(err)
	}
}

// Two sweeps cannot write one file at the same time, even in one process.
func TestRecordIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs")
	j, _, err := OpenRecord(path, &Experiment{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenRecord(path, &Experiment{}); err == nil || err.Error() != "another sweep is writing file "+strconv.Quote(path)+"; wait for its end, or name another file" {
		t.Error(err)
	}
	j.Close()
	again, _, err := OpenRecord(path, &Experiment{})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// Runs of different builds, kernels or numbers of CPUs are not mixed.
func TestRecordOfAnotherSetting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs")
	x := Experiment{Setting: Setting{Program: "10 bytes, CRC-32 1", Kernel: "6.1", CPUs: "2"}}
	j, _, err := OpenRecord(path, &x)
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	for want, change := range map[string]Setting{
		`program "10 bytes, CRC-32 1", not "10 bytes, CRC-32 2"`: {"10 bytes, CRC-32 2", "6.1", "2"},
		`kernel "6.1", not "6.2"`:                                {"10 bytes, CRC-32 1", "6.2", "2"},
		`cpus "2", not "4"`:                                      {"10 bytes, CRC-32 1", "6.1", "4"},
	} {
		if _, _, err := OpenRecord(path, &Experiment{Setting: change}); err == nil || err.Error() != "file "+strconv.Quote(path)+" was written by a sweep with "+want+"; name another file" {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestMissing(t *testing.T) {
	x := Experiment{Rounds: 4, Candidates: []Candidate{{Name: "1"}, {Name: "2"}, {Name: "4"}}}
	failed := func(round int) Run { return Run{Cap: "4", Round: round, Error: "failed"} }
	for want, runs := range map[int][]Run{
		12: nil, 10: {{Cap: "1", Round: 2}, {Cap: "2", Round: 4}}, 11: {{Cap: "1", Round: 1}, {Cap: "1", Round: 9}},
		9: {failed(1), failed(2), {Cap: "4", Round: 3}}, 8: {failed(1), failed(2), failed(3)},
	} {
		if got := x.Missing(runs); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}

// If parseRecord accepts a text, recognize accepts it too, its complete lines alone have as many runs, and no run
// occurs twice.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(recordHead + `{"cap":"1","round":1}` + "\n" + `{"cap`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, runs, size, err := parseRecord(text)
		if err != nil {
			return
		}
		if recognize(text[:min(len(text), len(recordBegin))]) != nil {
			t.Errorf("parseRecord accepts %q, but recognize does not", text)
		}
		_, again, same, err := parseRecord(text[:size])
		if err != nil || same != size || len(again) != len(runs) {
			t.Errorf("%d runs in %d bytes, then %d in %d: %v", len(runs), size, len(again), same, err)
		}
		for i, r := range runs {
			if r.Round < 1 || slices.ContainsFunc(runs[:i], r.same) {
				t.Errorf("%+v", r)
			}
		}
	})
}
