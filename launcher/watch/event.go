package watch

// This file makes the events, as text and as JSON.

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"arenacap/launcher/ordered"
	"arenacap/launcher/watch/budget"
	"arenacap/launcher/watch/journal"
	"arenacap/policy"
	"arenacap/policy/text"
)

// The values of the JSON key "event".
const (
	eventStarted     = "started"
	eventCapVerified = "cap-verified"
	eventCapNotKept  = "cap-not-kept"
	eventWarning     = budget.Warning
	eventBreach      = budget.Breach
	eventAction      = "action"
	eventElsewhere   = "elsewhere"
	eventRecovered   = budget.Recovered
	eventGap         = "gap"
	eventLogFailed   = "log-failed"
	eventWatchEnded  = "watch-ended"
	eventWatchFailed = "watch-failed"
	eventExited      = "exited"
)

// event is one event: the text for people, which may end with advice, and the JSON members that not every event has.
type event struct {
	kind    string
	text    string
	members ordered.Object
	failed  bool   // true for an action that failed
	ended   string // for the event recovered: what has ended, "warning" or "breach"
}

// limitMembers returns the JSON members of an event about one limit, followed by the additional members.
func limitMembers(c budget.Change, additional ...any) ordered.Object {
	return append(ordered.Object{"metric", c.Metric, "value_bytes", c.Value, "limit_bytes", c.Limit}, additional...)
}

// orNull returns v, or nil if v is the zero value. JSON shows nil as null.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// priority is the event's priority in the journal.
func (e event) priority() journal.Priority {
	switch e.kind {
	case eventBreach, eventWatchFailed, eventLogFailed:
		return journal.Err
	case eventWarning, eventCapNotKept, eventElsewhere, eventGap:
		return journal.Warning
	case eventAction:
		if e.failed {
			return journal.Err
		}
		return journal.Notice
	case eventRecovered, eventWatchEnded:
		return journal.Notice
	}
	return journal.Info
}

// started is the first event of a watch. It states the limits and the other settings of the budget.
func started(c Config) event {
	b := c.Budget
	var limits []string
	list := []ordered.Object{}
	for _, l := range c.Limits {
		list = append(list, ordered.Object{"metric", l.Metric, "limit_bytes", l.Bytes})
		limits = append(limits, l.Metric+" "+text.Size(l.Bytes))
	}
	text := fmt.Sprintf("budget: %s; scope %s; interval %s, settle time %s; breach: %d of %d samples over a limit; action: %s",
		strings.Join(limits, ", "), b.Scope, b.Interval, b.Settle, b.Breach.N, b.Breach.Of, actionWords(b))
	if len(limits) == 0 {
		text = "no budget"
	}
	return event{kind: eventStarted, text: text, members: ordered.Object{"mode", c.Mode, "scope", b.Scope,
		"interval_seconds", b.Interval.Seconds(), "settle_seconds", b.Settle.Seconds(),
		"breach", fmt.Sprintf("%d/%d", b.Breach.N, b.Breach.Of), "action", b.Action, "cap", orNull(c.Cap), "limits", list}}
}

// actionWords describes the action at a breach.
func actionWords(b policy.Budget) string {
	words := b.Action
	switch b.Action {
	case "signal":
		words = b.Signal
	case "terminate":
		words = fmt.Sprintf("SIGTERM, then SIGKILL after %s", b.Grace)
	}
	if len(b.Command) > 0 {
		return b.Command[0] + ", then " + words
	}
	return words
}

// exceeded is a warning or a breach; the argument "why" is nil if the attribution is unknown.
func exceeded(c budget.Change, processes int, of advised, why *attribution) event {
	where := fmt.Sprintf("%s %s, over the limit of %s", c.Metric, text.Size(c.Value), text.Size(c.Limit))
	if c.Kind == eventWarning {
		where = fmt.Sprintf("%s %s, %d%% of the limit of %s", c.Metric, text.Size(c.Value), share(c.Value, c.Limit), text.Size(c.Limit))
	}
	text := fmt.Sprintf("%s (%d of %d samples)", where, c.Votes, c.Of)
	if processes > 1 {
		text += fmt.Sprintf(" in %d processes", processes)
	}
	return event{kind: c.Kind, text: text + why.words(processes) + why.advice(c.Metric, of),
		members: limitMembers(c, "samples", c.Votes, "samples_of", c.Of, "processes", processes, "attribution", why)}
}

// share is value as a percentage of limit, rounded down.
func share(value, limit uint64) int { return int(float64(value) / float64(limit) * 100) }

// recovered is the end of a breach and its warning, or of a warning alone.
func recovered(c budget.Change) event {
	said := fmt.Sprintf("%s %s, below %d%% of the limit of %s", c.Metric, text.Size(c.Value), budget.RecoverPercent, text.Size(c.Limit))
	if c.Ended == eventWarning {
		said = fmt.Sprintf("%s %s, %d%% of the limit of %s; the warning has ended", c.Metric, text.Size(c.Value), share(c.Value, c.Limit), text.Size(c.Limit))
	}
	return event{kind: eventRecovered, text: said, ended: c.Ended, members: limitMembers(c, "ended", c.Ended)}
}

// acted is one step of an action, which was done, failed or was skipped. The event has the number of processes that got the
// signal, or null if there is no signal.
func acted(c budget.Change, action, signal string, processes int, message string, failed bool) event {
	sent := any(processes)
	if signal == "" {
		sent = nil
	}
	return event{kind: eventAction, text: message, failed: failed,
		members: limitMembers(c, "action", action, "signal", orNull(signal), "processes", sent, "failed", failed)}
}

// notNeeded is an action that was skipped, because the value was no longer over the limit. The breach ends too.
func notNeeded(c budget.Change, action string) event {
	text := fmt.Sprintf("%s was skipped: %s %s, no longer over the limit of %s", action, c.Metric, text.Size(c.Value), text.Size(c.Limit))
	return acted(c, action, "", 0, text, false)
}

// capMembers returns the JSON members of an event about the cap; 0 stands for an unknown number.
func capMembers(arenas, limit int) ordered.Object {
	return ordered.Object{"arenas", orNull(arenas), "cap", orNull(limit)}
}

// otherMembers returns the JSON members that name a process other than the target.
func otherMembers(pid int, name string) ordered.Object {
	return ordered.Object{"other_pid", pid, "other_name", name}
}

// capJudged reports whether the number of arenas of a process is within the cap.
func capJudged(pid, arenas, limit int) event {
	counted := kindWords(part{Kind: "arenas", Count: arenas})
	kind, text := eventCapVerified, fmt.Sprintf("%s, within the cap of %d", counted, limit)
	if arenas > limit {
		kind, text = eventCapNotKept, fmt.Sprintf("%s, over the cap of %d; run 'arenacap inspect %d' to see why", counted, limit, pid)
	}
	return event{kind: kind, text: text, members: capMembers(arenas, limit)}
}

// capSetOtherwise reports that the server's environment sets a cap other than the planned one.
func capSetOtherwise(set, limit int) event {
	text := fmt.Sprintf("the server's environment sets a cap of %d instead of the planned %d; a program that starts the server has changed MALLOC_ARENA_MAX or GLIBC_TUNABLES", set, limit)
	return event{kind: eventCapNotKept, text: text, members: capMembers(0, limit)}
}

// The method "of" makes a cap event refer to a descendant of the target.
func (e event) of(pid int, name string) event {
	e.text = fmt.Sprintf("%s[%d]: %s", name, pid, e.text)
	e.members = append(e.members, otherMembers(pid, name)...)
	return e
}

// holdsMore reports that a descendant has more address space than the target: size is the descendant's, own the target's, in
// bytes.
func holdsMore(pid int, name string, size, own uint64) event {
	text := fmt.Sprintf("descendant %s[%d] has %s of address space, this process %s; the budget counts only this process: write scope = \"tree\" in [budget]",
		name, pid, text.Size(size), text.Size(own))
	return event{kind: eventElsewhere, text: text, members: otherMembers(pid, name)}
}

// leftBehind reports a descendant that outlived the target and is not watched. With the given setting the watch would watch
// the descendant.
func leftBehind(pid int, name, setting string) event {
	text := fmt.Sprintf("the program has ended; its descendant %s[%d] still runs and is not watched; write %s", name, pid, setting)
	return event{kind: eventElsewhere, text: text, members: otherMembers(pid, name)}
}

// capCannotWork reports one of Config.Notices.
func capCannotWork(why string) event {
	return event{kind: eventCapNotKept, text: why, members: capMembers(0, 0)}
}

func watchFailed(message string) event { return event{kind: eventWatchFailed, text: message} }

// gap reports that no sample was taken for this long.
func gap(length, interval time.Duration) event {
	length = length.Round(time.Millisecond)
	text := fmt.Sprintf("no sample for %s, although the interval is %s; the watch was stopped, or the machine was asleep or too busy", length, interval)
	return event{kind: eventGap, text: text, members: ordered.Object{"gap_seconds", length.Seconds()}}
}

// logFailed reports how many lines of the log were lost, or if none was lost, that the log cannot be opened.
func logFailed(message string, lost int) event {
	return event{kind: eventLogFailed, text: message, members: ordered.Object{"lines_lost", lost}}
}

func linesLost(n int) event {
	return logFailed(fmt.Sprintf("number of lines that were lost because this log could not be written: %d", n), n)
}

// exited is the event at the end of the target. The parameter "remaining" is how many of the target's processes still
// run, and "watched" says whether the watch follows these processes.
func exited(o Outcome, remaining int, watched bool) event {
	text, members := summary(o, remaining)
	if remaining > 0 && watched {
		text += fmt.Sprintf("; processes that still run and are watched: %d", remaining)
	}
	return event{kind: eventExited, text: text, members: members}
}

// watchEnded is the end of a watch whose processes still run.
func watchEnded(o Outcome, remaining int, why string) event {
	text, members := summary(o, remaining)
	return event{kind: eventWatchEnded, text: why + "; the watched processes continue to run; " + text, members: members}
}

// summary is the summary at the end of a watch.
func summary(o Outcome, remaining int) (said string, members ordered.Object) {
	elapsed := o.Elapsed.Round(time.Millisecond)
	said = fmt.Sprintf("watched for %s", elapsed)
	var virtual, resident any // unknown without a sample
	if o.PeakVirtual != 0 {
		virtual, resident = o.PeakVirtual, o.PeakResident
		said += fmt.Sprintf("; peaks: virtual size %s, resident memory %s", text.Size(o.PeakVirtual), text.Size(o.PeakResident))
	}
	if o.Breaches > 0 {
		said += "; breaches: " + strconv.Itoa(o.Breaches)
	}
	return said, ordered.Object{"processes_remaining", remaining, "elapsed_seconds", float64(elapsed.Milliseconds()) / 1000,
		"peak_virtual_bytes", virtual, "peak_resident_bytes", resident, "breaches", o.Breaches}
}

// wanted reports whether an event is written. A JSON log contains every event. A text log contains problems and their
// end, actions and the end of the watch; with --verbose every event; with -q, which wins, only breaches and their end,
// actions, failures of the watch and its log, and the end of the watch.
func (c Config) wanted(e event) bool {
	if c.Log.Format == "json" {
		return true
	}
	switch e.kind {
	case eventStarted, eventCapVerified, eventExited:
		return c.Verbose && !c.Quiet
	case eventWarning, eventCapNotKept, eventElsewhere, eventGap:
		return !c.Quiet
	case eventRecovered:
		return !c.Quiet || e.ended == eventBreach
	}
	return true
}

// subject is the target of an event.
type subject struct {
	service, name string // name is the process's; it labels text lines if service is ""
	pid           int
}

// A service's name and an event's text, which may quote a path, have these limits, in bytes of JSON. With these limits each
// line fits maxLine, and a JSON line stays complete. The other members of an event have a bounded length.
const (
	maxService = 512
	maxWords   = 1536
)

// clipWords shortens a text so that it takes at most limit bytes in JSON, and marks the cut with "…".
func clipWords(s string, limit int) string {
	size := 0
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			size += 2
		case r < ' ' || r == utf8.RuneError || r == '\u2028' || r == '\u2029': // at most six bytes, encoding/json
			size += 6
		default:
			size += utf8.RuneLen(r)
		}
		if size > limit-len("…") {
			return s[:i] + "…"
		}
	}
	return s
}

// line formats an event as one line of text or one JSON object.
func (e event) line(format string, at time.Time, of subject) []byte {
	of.service, of.name = clipWords(of.service, maxService), clipWords(of.name, maxService)
	e.text = clipWords(e.text, maxWords)
	if format == "json" {
		return e.json(at, of)
	}
	label := oneLine(cmp.Or(of.service, of.name))
	if of.pid != 0 {
		label += fmt.Sprintf("[%d]", of.pid)
	}
	return fmt.Appendf(nil, "arenacap: %s: %s: %s\n", label, e.kind, oneLine(e.text))
}

// timestamp is RFC 3339 in UTC, with milliseconds.
func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// json formats the members that every event has, then the additional members of this event.
func (e event) json(at time.Time, of subject) []byte {
	all := ordered.Object{
		"time", timestamp(at),
		"service", orNull(of.service),
		"pid", orNull(of.pid), // null if no process of the service runs
		"event", e.kind,
		"message", e.text,
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(append(all, e.members...)); err != nil {
		panic("an event's members are plain values") // no NaN, no infinity, no cycles
	}
	return line.Bytes()
}

// oneLine replaces unprintable characters, such as newlines and terminal escapes: a process may set its name to any bytes.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
