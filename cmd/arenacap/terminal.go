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

// paint colours text if w is a terminal that may get colours.
func paint(w io.Writer, c, text string) string {
	if !takesColours(w) {
		return text
	}
	return colour(c, text)
}

func colour(c, text string) string { return "\x1b[" + c + "m" + text + "\x1b[0m" }

// takesColours reports whether w is a terminal that may get colours: with NO_COLOR unset or empty (no-color.org).
func takesColours(w io.Writer) bool { return takesSequences(w) && os.Getenv("NO_COLOR") == "" }

// takesSequences reports whether w is a terminal that may get escape sequences: not with TERM=dumb.
func takesSequences(w io.Writer) bool { return isTerminal(w) && os.Getenv("TERM") != "dumb" }

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
