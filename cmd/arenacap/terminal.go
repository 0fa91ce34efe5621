package main

// What the output goes to: a terminal with its colours and width, or anything else.

import (
	"io"
	"os"

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

func terminal(w io.Writer) (f *os.File, ok bool) {
	f, ok = w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
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
