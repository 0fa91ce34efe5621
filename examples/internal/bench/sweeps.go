package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arenacap/policy/text"
)

// This file prints the table of sweeps: one row for each file with the output of arenacap sweep --json, named after
// the file.

// result is the part of sweep --json that the table shows.
type result struct {
	Name   string
	Rounds int
	Metric struct{ Better string } `json:"throughput_metric"`
	Caps   []outcome
	Advice struct {
		Cap   string
		Noisy bool
	}
}

type outcome struct {
	Cap        string
	Throughput *interval
	Latency    *interval
	Slower     bool    `json:"throughput_worse"`
	Later      bool    `json:"latency_worse"`
	Virtual    *uint64 `json:"virtual_peak_bytes"`
	Resident   *uint64 `json:"resident_peak_bytes"`
}

type interval struct {
	Median float64
	Low    *float64
	High   *float64
}

func sweepsTable(_ *built, files []string) bool {
	var results []result
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		r := result{Name: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal(text, &r); err != nil {
			check(fmt.Errorf("%s: %w", file, err))
		}
		results = append(results, r)
	}
	lines := rows(results)
	head(lines[0]...)
	for _, cells := range lines[1:] {
		row(cells...)
	}
	return true
}

// rows returns the cells of the table, the head first. There is a column for each cap, in the order of first occurrence.
func rows(results []result) (lines [][]string) {
	var caps []string
	for _, r := range results {
		for _, o := range r.Caps {
			if !slices.Contains(caps, o.Cap) {
				caps = append(caps, o.Cap)
			}
		}
	}
	lines = append(lines, slices.Concat([]string{"workload"}, caps, []string{"virtual peak", "resident peak", "rounds"}))
	for _, r := range results {
		cells := []string{r.Name}
		for _, cap := range caps {
			cells = append(cells, r.speed(cap))
		}
		lines = append(lines, append(cells, r.memory(func(o outcome) *uint64 { return o.Virtual }),
			r.memory(func(o outcome) *uint64 { return o.Resident }), fmt.Sprint(r.Rounds)))
	}
	return lines
}

func (r result) of(cap string) (outcome, bool) {
	i := slices.IndexFunc(r.Caps, func(o outcome) bool { return o.Cap == cap })
	if i < 0 || r.Caps[i].Throughput == nil {
		return outcome{}, false
	}
	return r.Caps[i], true
}

// speed is the text of a table cell: the throughput under a cap in percent of the throughput without a cap, with the
// 95 % interval. The text is bold if the sweep advises the cap. It is struck out if the throughput or the latency is
// measurably worse than the best one.
func (r result) speed(cap string) string {
	base, ok := r.of("off")
	o, known := r.of(cap)
	if !ok || !known {
		return ""
	}
	share := o.Throughput.Median / base.Throughput.Median
	if r.Metric.Better == "lower" {
		share = 1 / share
	}
	text := fmt.Sprintf("%.0f", 100*share)
	if t := o.Throughput; t.Low != nil {
		text += fmt.Sprintf(" ±%.0f", 100*share*max(*t.High-t.Median, t.Median-*t.Low)/t.Median)
	}
	switch {
	case o.Slower || o.Later:
		return "~~" + text + "~~"
	case cap == r.Advice.Cap:
		return "**" + text + "**"
	}
	return text
}

// memory is the text of a table cell: the memory without a cap and under the advised cap.
func (r result) memory(of func(outcome) *uint64) string {
	base, _ := r.of("off")
	chosen, _ := r.of(r.Advice.Cap)
	if of(base) == nil || of(chosen) == nil {
		return "?"
	}
	if r.Advice.Cap == "off" {
		return text.Size(*of(base))
	}
	return fmt.Sprintf("%s → %s", text.Size(*of(base)), text.Size(*of(chosen)))
}
