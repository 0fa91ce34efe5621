package main

// Text in columns: tables, lines that are folded or clipped, bars.

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// columns lays rows out in columns, two blanks apart, aligned to the right. The last cell of a row is in no column: it
// begins where they end.
func columns(rows [][]string) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // a Builder takes everything
	return b.String()
}

// narrowed aligns rows to the right below their heads, in so many columns of a terminal; 0 is any. Columns with the heads
// least are left out, one after the other, while it is too wide.
func narrowed(rows [][]string, least []string, width int) (text string) {
	for n := range len(least) + 1 {
		if text = columns(without(rows, least[:n])); width == 0 || longestLine(text) <= width {
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

// without leaves out the columns with these heads.
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

// fold breaks text at blanks into lines of at most width columns, where the first begins at column indent and
// the others are indented so far. Without a width it stays one line.
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

// clip cuts the front off what is longer than room columns: the end of a path tells more. No room is any.
func clip(text string, room int) string {
	runes := []rune(text)
	if room <= 0 || len(runes) <= room {
		return text
	}
	return "…" + string(runes[len(runes)-room+1:])
}

// barWidth is how wide a bar may be beside a table: none without a terminal, whose width is 0, or on a narrow one.
func barWidth(width int) int {
	switch {
	case width >= 120:
		return 30
	case width >= 90:
		return 15
	}
	return 0
}

// bar is part of all as a bar of so many columns, in eighths.
func bar(part, all uint64, width int) string {
	if all == 0 {
		return strings.Repeat(" ", width)
	}
	eighths := int(float64(part) / float64(all) * float64(width) * 8)
	eighths = min(eighths, width*8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return text + strings.Repeat(" ", width-(eighths+7)/8)
}

// count is "1 thread", "2 threads", "2 processes".
func count(n int, word string) string {
	switch {
	case n == 1:
		return "1 " + word
	case strings.HasSuffix(word, "s"):
		return fmt.Sprintf("%d %ses", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}
