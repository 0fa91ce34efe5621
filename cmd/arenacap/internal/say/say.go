// Package say prints arenacap's messages on stderr, and maps errors to exit statuses. stdout is for the target and for
// the output of commands.
package say

// This file prints messages on stderr.

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

// Voice prints messages with the prefix "arenacap: ", according to -q and --verbose.
type Voice struct {
	Quiet, Verbose bool
}

// stderr writes without package os, which would end the process by SIGPIPE if the reader is gone. A lost message must
// not prevent the start of the target.
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

// Note prints a warning unless -q is given.
func (v Voice) Note(format string, args ...any) {
	if !v.Quiet {
		v.Line(journal.Warning, format, args...)
	}
}

// Notes prints several warnings.
func (v Voice) Notes(lines []string) {
	for _, line := range lines {
		v.Note("%s", line)
	}
}

// Explain prints a decision and its reason under --verbose.
func (v Voice) Explain(format string, args ...any) {
	if v.Verbose {
		v.Line(journal.Info, format, args...)
	}
}

// Line prints a message even with -q. Each line of the message gets the prefix. Control characters are replaced, because
// the names of files and processes may contain some.
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

// prefix returns the priority that begins a line for systemd's journal; "" if stderr is not the journal.
func prefix(p journal.Priority) string {
	if !ToJournal() {
		return ""
	}
	return p.Prefix()
}

// ToJournal reports whether stderr is the journal.
func ToJournal() bool { return journal.HasStderr(os.Getenv("JOURNAL_STREAM")) }

// Report prints an error. An error without text only carries a status.
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
