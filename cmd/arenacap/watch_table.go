package main

// This file makes the lines of the table that watch shows at a terminal.

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"arenacap/launcher/watch/view"
	"arenacap/policy/text"
)

// watchTable has at most height lines of width columns. If there are more rows than lines, it keeps those nearest to their
// limit. The parameter nameHead is the heading of the column with the names.
func watchTable(nameHead string, rows []view.Row, at time.Time, width, height int) []string {
	status := at.Format(time.TimeOnly) + "; Ctrl-C ends the watch"
	if room := max(height-2, 1); len(rows) > room {
		status = fmt.Sprintf("and %d more; %s", len(rows)-room, status)
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b view.Row) int { return cmp.Compare(used(b), used(a)) })
		rows = rows[:room]
	}
	lines := append(nameFirst(watchCells(nameHead, rows), width), status)
	for i, line := range lines {
		runes := []rune(line)
		lines[i] = string(runes[:min(len(runes), width)])
		if i > 0 && i <= len(rows) {
			lines[i] = urgent(rows[i-1].State, lines[i])
		}
	}
	if height < 3 { // no room for head and status
		return lines[1:2]
	}
	return lines
}

// used is the part of the limit that is used, negative if it is unknown.
func used(r view.Row) float64 {
	if !r.Known {
		return -1
	}
	return float64(r.Value) / float64(max(r.Limit, 1))
}

func watchCells(nameHead string, rows []view.Row) [][]string {
	cells := [][]string{{nameHead, "PROCESSES", "METRIC", "VALUE", "LIMIT", "USED", "  STATE"}}
	for _, r := range rows {
		value, share := "-", "-"
		if r.Known {
			value, share = text.Size(r.Value), fmt.Sprintf("%d%%", int(used(r)*100))
		}
		cells = append(cells, []string{r.Name, strconv.Itoa(r.Processes), r.Metric, value, text.Size(r.Limit), share, "  " + r.State.String()})
	}
	return cells
}

// leastWatchColumns are dropped in this order while the terminal's width would cut a name to fewer than leastName
// characters.
var leastWatchColumns = []string{"PROCESSES", "LIMIT", "VALUE", "METRIC", "USED"}

const leastName = 12

// nameFirst formats a table whose first column has names, aligned to the left and cut to fit.
func nameFirst(cells [][]string, width int) (lines []string) {
	longest := 0
	for _, row := range cells {
		longest = max(longest, utf8.RuneCountInString(row[0]))
	}
	for n := range len(leastWatchColumns) + 1 {
		others := columns(without(cells, append(leastWatchColumns[:n:n], cells[0][0])))
		room := min(longest, width-longestLine(others))
		if room < min(longest, leastName) && n < len(leastWatchColumns) {
			continue
		}
		room = max(room, 1)
		for i, line := range strings.Split(strings.TrimSuffix(others, "\n"), "\n") {
			lines = append(lines, fmt.Sprintf("%-*s%s", room, clip(cells[i][0], room), line))
		}
		break
	}
	return lines
}

// urgent colours the line of a limit that needs attention.
func urgent(s view.State, line string) string {
	switch {
	case s >= view.Breach:
		return colour(red, line)
	case s == view.Warning:
		return colour(yellow, line)
	}
	return line
}
