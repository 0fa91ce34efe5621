package main

// This file lays out text: tables, folded and clipped lines, bars.

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// columns aligns the cells of each column to the right, with two blanks before the column. The last cell of a row is
// not aligned: it follows the cell before it without a blank.
func columns(rows [][]string) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // a Builder takes everything
	return b.String()
}

// narrowed formats a table for width columns, 0 for no limit. While it is too wide, narrowed drops the columns whose heads
// are in the list "expendable", in that order.
func narrowed(rows [][]string, expendable []string, width int) (text string) {
	for n := range len(expendable) + 1 {
		if text = columns(without(rows, expendable[:n])); width == 0 || longestLine(text) <= width {
			break
		}
	}
	return text
}

func longestLine(text string) (longest int) {
	for line := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	return longest
}

// without drops the columns with these heads.
func without(rows [][]string, heads []string) (kept [][]string) {
	for _, row := range rows {
		var cells []string
		for i, cell := range row {
			if !slices.Contains(heads, rows[0][i]) {
				cells = append(cells, cell)
			}
		}
		kept = append(kept, cells)
	}
	return kept
}

// fold breaks text at blanks into lines of at most width columns; a longer word gets a line of its own. The first line
// begins at column indent, and the others are indented to it. If width is 0, or leaves less than 20 columns, the text
// stays one line.
func fold(text string, width, indent int) string {
	if width < indent+20 {
		return text
	}
	var b strings.Builder
	column := indent
	for i, word := range strings.Split(text, " ") {
		long := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+long > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += long
	}
	return b.String()
}

// clip cuts the front of text to fit room columns, because the end of a path says more. 0 means no limit.
func clip(text string, room int) string {
	runes := []rune(text)
	if room <= 0 || len(runes) <= room {
		return text
	}
	return "…" + string(runes[len(runes)-room+1:])
}

// barWidth is the width of a bar beside a table: 0 on a narrow terminal, or without one (width 0).
func barWidth(width int) int {
	switch {
	case width >= 120:
		return 30
	case width >= 90:
		return 15
	}
	return 0
}

// bar draws the share part/total as a bar of width columns, in steps of an eighth of a column.
func bar(part, total uint64, width int) string {
	if total == 0 {
		return strings.Repeat(" ", width)
	}
	eighths := int(float64(part) / float64(total) * float64(width) * 8)
	eighths = min(eighths, width*8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return text + strings.Repeat(" ", width-(eighths+7)/8)
}
