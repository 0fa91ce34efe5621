package metrics

// This file writes the text format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats).

import (
	"fmt"
	"strconv"
	"strings"
)

var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// Text formats families in the text format, version 0.0.4.
func Text(families []Family) string {
	var b strings.Builder
	for _, f := range families {
		kind := "gauge"
		if f.Counter {
			kind = "counter"
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.Name, f.Help, f.Name, kind)
		for _, s := range f.Samples {
			b.WriteString(f.Name + labels(s.Labels) + " " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
		}
	}
	return b.String()
}

// labels formats pairs of names and values: {group="mariadb",metric="virtual"}.
func labels(pairs []string) string {
	if len(pairs) == 0 {
		return ""
	}
	var list []string
	for ; len(pairs) > 1; pairs = pairs[2:] {
		list = append(list, pairs[0]+`="`+escape.Replace(pairs[1])+`"`)
	}
	return "{" + strings.Join(list, ",") + "}"
}
