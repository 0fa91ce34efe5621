package main

// This file finds the properties of a terminal: colours and width.

import (
	"io"
	"os"

	"golang.org/x/term"
)

// These texts set the colours of a terminal (ECMA-48, "select graphic rendition").
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours text if w is a terminal that may get colours (see plainTerminal).
func paint(w io.Writer, c, text string) string {
	if !isTerminal(w) || plainTerminal() {
		return text
	}
	return colour(c, text)
}

func colour(c, text string) string { return "\x1b[" + c + "m" + text + "\x1b[0m" }

// plainTerminal reports whether a terminal gets neither colours nor the table of watch: with a NO_COLOR that is not
// empty (no-color.org), or with TERM=dumb.
func plainTerminal() bool { return os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" }

func isTerminal(w io.Writer) bool {
	_, ok := terminal(w)
	return ok
}

func terminal(w io.Writer) (f *os.File, ok bool) {
	f, ok = w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns the number of columns, 0 if w is not a terminal or its width is unknown.
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
