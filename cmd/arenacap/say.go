package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// voice is how the tool speaks: on stderr, one line each, "arenacap: " in front. stdout belongs to the
// target and to what a command was asked to print.
type voice struct {
	w              io.Writer
	quiet, verbose bool
}

func newVoice(quiet, verbose bool) voice { return voice{stderr{}, quiet, verbose} }

// stderr writes without package os, which ends the process where the reader of a standard stream is gone: a
// word that nobody hears is no reason not to start the target.
type stderr struct{}

func (stderr) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := syscall.Write(2, p[n:])
		if err != nil && err != syscall.EINTR {
			return n, err
		}
		n += max(0, m)
	}
	return n, nil
}

// note says what the operator should know unless -q was given.
func (v voice) note(format string, args ...any) {
	if !v.quiet {
		v.line(format, args...)
	}
}

// explain says a decision and its reason under --verbose.
func (v voice) explain(format string, args ...any) {
	if v.verbose {
		v.line(format, args...)
	}
}

// line says something in any case. A message of several lines, a list of problems, keeps its shape.
func (v voice) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	_, _ = io.WriteString(v.w, "arenacap: "+strings.ReplaceAll(text, "\n", "\narenacap: ")+"\n")
}

// usageError is a mistake on the command line.
type usageError struct {
	command string // "" is the tool itself
	message string
}

func (e *usageError) Error() string { return e.message }

// tryHelp is the line that follows a mistake on the command line.
func (e *usageError) tryHelp() string {
	if e.command == "" {
		return "Try 'arenacap --help'."
	}
	return "Try 'arenacap " + e.command + " --help'."
}

// report says an error on stderr. An error without text only carries a status: it was told already.
func report(err error) {
	v := newVoice(false, false)
	if err == nil || err.Error() == "" {
		return
	}
	v.line("%s", err)
	var usage *usageError
	if errors.As(err, &usage) {
		_, _ = io.WriteString(v.w, usage.tryHelp()+"\n")
	}
}
