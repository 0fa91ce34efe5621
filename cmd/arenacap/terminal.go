package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

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
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func isTerminal(w io.Writer) bool {
	_, ok := terminal(w)
	return ok
}

// terminal is the terminal that w is, or that a sheet goes to.
func terminal(w io.Writer) (*os.File, bool) {
	if p, ok := w.(*sheet); ok {
		w = p.to
	}
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// sheet is what is written in one piece: a table comes in a hundred small ones, each a call of the kernel.
type sheet struct {
	bytes.Buffer
	to io.Writer
}

// flush writes it. The error is that of the writer: a full disk, a reader that is gone.
func (s *sheet) flush() error {
	_, err := s.WriteTo(s.to)
	return err
}

// terminalWidth is the number of columns, 0 where w is no terminal or does not tell.
func terminalWidth(w io.Writer) int {
	f, ok := terminal(w)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
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
