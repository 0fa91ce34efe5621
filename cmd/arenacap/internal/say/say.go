// Package say is how the tool speaks: on stderr, one line each, and by its exit status. stdout belongs to
// the target and to what a command was asked to print.
package say

// What is said on stderr.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"arenacap/launcher/watch/journal"
)

// Voice says as much as it was asked to, "arenacap: " in front.
type Voice struct {
	Quiet, Verbose bool
}

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

// Note says what the operator should know unless -q was given.
func (v Voice) Note(format string, args ...any) {
	if !v.Quiet {
		v.Line(journal.Warning, format, args...)
	}
}

// Notes says several lines as Note does.
func (v Voice) Notes(lines []string) {
	for _, line := range lines {
		v.Note("%s", line)
	}
}

// Explain says a decision and its reason under --verbose.
func (v Voice) Explain(format string, args ...any) {
	if v.Verbose {
		v.Line(journal.Info, format, args...)
	}
}

// Line says something in any case. A message of several lines, a list of problems, keeps its shape. It may name files and
// processes, so what could steer a terminal is taken out.
func (Voice) Line(p journal.Priority, format string, args ...any) {
	text := strings.TrimRight(strings.Map(printable, fmt.Sprintf(format, args...)), "\n")
	begin := prefix(p) + "arenacap: "
	_, _ = io.WriteString(stderr{}, begin+strings.ReplaceAll(text, "\n", "\n"+begin)+"\n")
}

func printable(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}

// prefix is empty but for the journal.
func prefix(p journal.Priority) string {
	if !ToJournal() {
		return ""
	}
	return p.Prefix()
}

// ToJournal reports whether the journal gets what is said.
func ToJournal() bool { return journal.HasStderr(os.Getenv("JOURNAL_STREAM")) }

// Report says an error. An error without text only carries a status: it was told already.
func Report(err error) {
	if err == nil || err.Error() == "" {
		return
	}
	Voice{}.Line(journal.Err, "%s", err)
	var usage *usageError
	if errors.As(err, &usage) {
		_, _ = io.WriteString(stderr{}, prefix(journal.Err)+usage.tryHelp()+"\n")
	}
}
