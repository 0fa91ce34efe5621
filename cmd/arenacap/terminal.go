package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// Colours of a terminal, ECMA-48 "select graphic rendition".
const (
	bold  = "1"
	red   = "31"
	green = "32"
)

// paint colours text on a terminal, and never under NO_COLOR (no-color.org) or on a dumb one.
func paint(w io.Writer, colour, text string) string {
	if terminalWidth(w) == 0 || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// terminalWidth is the number of columns, 0 where w is no terminal.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// barWidth is how wide a bar may be beside a table: none without a terminal or on a narrow one.
func barWidth(w io.Writer) int {
	switch width := terminalWidth(w); {
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

// printable makes a name that any process may have given itself fit for a terminal.
func printable(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	if quoted == `"`+s+`"` {
		return s
	}
	return quoted
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
