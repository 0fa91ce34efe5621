package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// swept has two outputs of sweep --json. In the first, throughput is a wall time and cap 1 is worse. In the second, cap 4
// has a worse latency, some values are unknown, and cap 2 has no successful run.
var swept = []string{
	`{"name": "a", "rounds": 20, "throughput_metric": {"pattern": null, "better": "lower"}, "advice": {"cap": "2"}, "caps": [
		{"cap": "off", "throughput": {"median": 2.0, "low": 1.9, "high": 2.2}, "virtual_peak_bytes": 2147483648, "resident_peak_bytes": 10485760},
		{"cap": "1", "throughput": {"median": 4.0, "low": 3.0, "high": 4.4}, "throughput_worse": true, "virtual_peak_bytes": 67108864, "resident_peak_bytes": 10485760},
		{"cap": "2", "throughput": {"median": 2.5, "low": 2.5, "high": 2.5}, "virtual_peak_bytes": 134217728, "resident_peak_bytes": 9437184}]}`,
	`{"name": "b", "rounds": 3, "throughput_metric": {"pattern": "x", "better": "higher"}, "advice": {"cap": "off"}, "caps": [
		{"cap": "off", "throughput": {"median": 50, "low": null, "high": null}, "latency_worse": null, "virtual_peak_bytes": 1048576, "resident_peak_bytes": null},
		{"cap": "4", "throughput": {"median": 40, "low": null, "high": null}, "latency_worse": true, "virtual_peak_bytes": 1048576, "resident_peak_bytes": null},
		{"cap": "2", "throughput": null, "virtual_peak_bytes": null, "resident_peak_bytes": null}]}`,
}

func TestSweepsTable(t *testing.T) {
	results := make([]result, len(swept))
	for i, text := range swept {
		if err := json.Unmarshal([]byte(text), &results[i]); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for _, cells := range rows(results) {
		lines = append(lines, strings.Join(cells, " | "))
	}
	got, want := strings.Join(lines, "\n"), `workload | off | 1 | 2 | 4 | virtual peak | resident peak | rounds
a | 100 ±10 | ~~50 ±12~~ | **80 ±0** |  | 2 GiB → 128 MiB | 10 MiB → 9 MiB | 20
b | **100** |  |  | ~~80~~ | 1 MiB | ? | 3`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
