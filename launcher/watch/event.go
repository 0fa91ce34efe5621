package watch

// The events: their text and their JSON.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"arenacap/launcher/watch/journal"
	"arenacap/policy"
)

// The values of the JSON key "event".
const (
	eventStarted     = "started"
	eventCapVerified = "cap-verified"
	eventCapNotKept  = "cap-not-kept"
	eventWarning     = "warning"
	eventBreach      = "breach"
	eventAction      = "action"
	eventElsewhere   = "elsewhere"
	eventRecovered   = "recovered"
	eventGap         = "gap"
	eventLogFailed   = "log-failed"
	eventWatchEnded  = "watch-ended"
	eventWatchFailed = "watch-failed"
	eventExited      = "exited"
)

// head has the members of every event. Service is null if none is set.
type head struct {
	Time    string  `json:"time"` // RFC 3339 in UTC, with milliseconds
	Service *string `json:"service"`
	PID     *int    `json:"pid"` // null if no process of the service runs
	Event   string  `json:"event"`
	Message string  `json:"message"` // the text for people
}

// about has the members of events about one limit.
type about struct {
	Metric string `json:"metric"`
	Value  uint64 `json:"value_bytes"`
	Limit  uint64 `json:"limit_bytes"`
}

func (c change) about() about { return about{c.metric, c.value, c.limit} }

// event is one event: the text for people, with advice at its end, and the JSON members that follow those of head (nil:
// none).
type event struct {
	kind string
	text string
	body any
}

// priority is the event's priority in the journal.
func (e event) priority() journal.Priority {
	switch e.kind {
	case eventBreach, eventWatchFailed, eventLogFailed:
		return journal.Err
	case eventWarning, eventCapNotKept, eventElsewhere, eventGap:
		return journal.Warning
	case eventAction:
		if body, ok := e.body.(actionBody); ok && body.Failed {
			return journal.Err
		}
		return journal.Notice
	case eventRecovered, eventWatchEnded:
		return journal.Notice
	}
	return journal.Info
}

type startedBody struct {
	Mode     string        `json:"mode"`
	Scope    string        `json:"scope"`
	Interval float64       `json:"interval_seconds"`
	Settle   float64       `json:"settle_seconds"`
	Breach   string        `json:"breach"`
	Action   string        `json:"action"`
	Cap      *int          `json:"cap"`
	Limits   []limitMember `json:"limits"`
}

type limitMember struct {
	Metric string `json:"metric"`
	Limit  uint64 `json:"limit_bytes"`
}

// started states the budgets.
func started(c Config) event {
	b := c.Budget
	body := startedBody{Mode: c.Mode, Scope: b.Scope, Interval: b.Interval.Seconds(), Settle: b.Settle.Seconds(),
		Breach: fmt.Sprintf("%d/%d", b.Breach.N, b.Breach.Of), Action: b.Action, Limits: []limitMember{}}
	if c.Cap != 0 {
		body.Cap = &c.Cap
	}
	var limits []string
	for _, l := range c.Limits {
		body.Limits = append(body.Limits, limitMember{l.Metric, l.Bytes})
		limits = append(limits, l.Metric+" "+policy.FormatSize(l.Bytes))
	}
	text := fmt.Sprintf("budget: %s; scope %s; interval %s, settle %s; breach: %d of %d samples over a limit; action: %s",
		strings.Join(limits, ", "), b.Scope, b.Interval, b.Settle, b.Breach.N, b.Breach.Of, actionWords(b))
	if len(limits) == 0 {
		text = "no budget"
	}
	return event{eventStarted, text, body}
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

type causeBody struct {
	about
	Samples     int          `json:"samples"`
	Of          int          `json:"samples_of"`
	Processes   int          `json:"processes"`
	Attribution *attribution `json:"attribution"`
}

// exceeded is a warning or a breach; why is nil if the attribution is unknown.
func exceeded(c change, processes, planned int, why *attribution) event {
	where := fmt.Sprintf("%s %s, over the limit of %s", c.metric, policy.FormatSize(c.value), policy.FormatSize(c.limit))
	if c.kind == eventWarning {
		where = fmt.Sprintf("%s %s, %d%% of the limit of %s", c.metric, policy.FormatSize(c.value), share(c.value, c.limit), policy.FormatSize(c.limit))
	}
	text := fmt.Sprintf("%s (%d of %d samples)", where, c.votes, c.of)
	if processes > 1 {
		text += fmt.Sprintf(" in %d processes", processes)
	}
	return event{c.kind, text + why.words(processes) + why.advice(c.metric, planned), causeBody{c.about(), c.votes, c.of, processes, why}}
}

// share is value as a percentage of limit, rounded down.
func share(value, limit uint64) int { return int(float64(value) / float64(limit) * 100) }

type recoveredBody struct {
	about
	Ended string `json:"ended"` // "warning" or "breach"
}

// recovered is the end of a breach and its warning, or of a warning alone.
func recovered(c change) event {
	text := fmt.Sprintf("%s %s, below %d%% of the limit of %s", c.metric, policy.FormatSize(c.value), recoverPercent, policy.FormatSize(c.limit))
	if c.ended == eventWarning {
		text = fmt.Sprintf("%s %s, %d%% of the limit of %s; the warning has ended", c.metric, policy.FormatSize(c.value), share(c.value, c.limit), policy.FormatSize(c.limit))
	}
	return event{eventRecovered, text, recoveredBody{c.about(), c.ended}}
}

type actionBody struct {
	about
	Action    string  `json:"action"` // "command", "signal" or "terminate"
	Signal    *string `json:"signal"`
	Processes *int    `json:"processes"` // how many were sent the signal
	Failed    bool    `json:"failed"`
}

// acted is one step of an action, done, failed or skipped.
func acted(c change, action, signal string, processes int, message string, failed bool) event {
	body := actionBody{about: c.about(), Action: action, Failed: failed}
	if signal != "" {
		body.Signal, body.Processes = &signal, &processes
	}
	return event{eventAction, message, body}
}

// notNeeded is an action that was skipped, because the value was no longer over the limit. The breach ends too.
func notNeeded(c change, action string) event {
	text := fmt.Sprintf("%s was skipped: %s %s, no longer over the limit of %s", action, c.metric, policy.FormatSize(c.value), policy.FormatSize(c.limit))
	return acted(c, action, "", 0, text, false)
}

// other names a process that is not the target. Its members are absent if the event is about the target.
type other struct {
	PID  int    `json:"other_pid,omitempty"`
	Name string `json:"other_name,omitempty"`
}

type capBody struct {
	Arenas *int `json:"arenas"`
	Cap    *int `json:"cap"`
	other
}

// capJudged reports whether the number of arenas is within the cap.
func capJudged(arenas, limit int) event {
	kind, words := eventCapVerified, "%s, within the cap of %d"
	if arenas > limit {
		kind, words = eventCapNotKept, "%s, over the cap of %d; run 'arenacap inspect' to see why"
	}
	text := fmt.Sprintf(words, kindWords(part{Kind: "arenas", Count: arenas}), limit)
	return event{kind, text, capBody{Arenas: &arenas, Cap: &limit}}
}

// capSetOtherwise reports that the server's environment sets a cap other than the planned one.
func capSetOtherwise(set, limit int) event {
	text := fmt.Sprintf("its environment sets a cap of %d instead of the planned %d; a program that starts it has changed MALLOC_ARENA_MAX or GLIBC_TUNABLES", set, limit)
	return event{eventCapNotKept, text, capBody{Cap: &limit}}
}

// of makes a cap event refer to a descendant of the target.
func (e event) of(pid int, name string) event {
	body := e.body.(capBody)
	body.other = other{pid, name}
	return event{e.kind, fmt.Sprintf("%s[%d]: %s", name, pid, e.text), body}
}

// holdsMore reports that a descendant has more address space than the target (size and own, in bytes).
func holdsMore(pid int, name string, size, own uint64) event {
	text := fmt.Sprintf("descendant %s[%d] has %s of address space, this process %s; the budget counts only this process: write scope = \"tree\" in [budget]",
		name, pid, policy.FormatSize(size), policy.FormatSize(own))
	return event{eventElsewhere, text, other{pid, name}}
}

// leftBehind reports a descendant that outlived the target and is not watched; write is the setting that would watch it.
func leftBehind(pid int, name, write string) event {
	text := fmt.Sprintf("the program has ended; its descendant %s[%d] still runs and is not watched; write %s", name, pid, write)
	return event{eventElsewhere, text, other{pid, name}}
}

// capCannotWork reports one of Config.Notices.
func capCannotWork(why string) event { return event{eventCapNotKept, why, capBody{}} }

func watchFailed(message string) event { return event{kind: eventWatchFailed, text: message} }

type gapBody struct {
	Gap float64 `json:"gap_seconds"`
}

// gap reports that no sample was taken for this long.
func gap(length, interval time.Duration) event {
	length = length.Round(time.Millisecond)
	text := fmt.Sprintf("no sample for %s, although the interval is %s; the watch was stopped, or the machine was asleep or too busy", length, interval)
	return event{eventGap, text, gapBody{length.Seconds()}}
}

type logFailedBody struct {
	Lost int `json:"lines_lost"`
}

// logFailed reports lost lines, or with lost 0 that the log cannot be opened.
func logFailed(message string, lost int) event {
	return event{eventLogFailed, message, logFailedBody{lost}}
}

func linesLost(n int) event {
	return logFailed(fmt.Sprintf("lines lost because this log could not be written: %d", n), n)
}

type seenBody struct {
	Remaining    int     `json:"processes_remaining"`
	Elapsed      float64 `json:"elapsed_seconds"`
	PeakVirtual  *uint64 `json:"peak_virtual_bytes"`
	PeakResident *uint64 `json:"peak_resident_bytes"`
	Breaches     int     `json:"breaches"`
}

// exited is the end of the target; remaining is how many of its processes still run, and watched says whether the watch
// follows them.
func exited(o Outcome, remaining int, watched bool) event {
	text, body := seen(o, remaining)
	if remaining > 0 && watched {
		text += fmt.Sprintf("; processes that still run and are watched: %d", remaining)
	}
	return event{eventExited, text, body}
}

// watchEnded is the end of a watch whose processes still run.
func watchEnded(o Outcome, remaining int, why string) event {
	text, body := seen(o, remaining)
	return event{eventWatchEnded, why + "; the watched processes continue to run; " + text, body}
}

// seen is the summary at the end of a watch.
func seen(o Outcome, remaining int) (string, seenBody) {
	body := seenBody{Remaining: remaining, Elapsed: float64(o.Elapsed.Round(time.Millisecond).Milliseconds()) / 1000, Breaches: o.Breaches}
	text := fmt.Sprintf("watched for %s", o.Elapsed.Round(time.Millisecond))
	if o.PeakVirtual != 0 {
		body.PeakVirtual, body.PeakResident = &o.PeakVirtual, &o.PeakResident
		text += fmt.Sprintf("; peak virtual %s, resident %s", policy.FormatSize(o.PeakVirtual), policy.FormatSize(o.PeakResident))
	}
	if o.Breaches > 0 {
		text += "; breaches: " + strconv.Itoa(o.Breaches)
	}
	return text, body
}

// wanted reports whether an event is written. JSON logs contain every event. Text logs contain problems and actions, with
// -q only errors, actions, the end of a breach and the end of the watch, with --verbose everything.
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
		body, _ := e.body.(recoveredBody)
		return !c.Quiet || body.Ended == eventBreach
	}
	return true
}

// subject is the target of an event.
type subject struct {
	service, name string // name is the process's; it labels text lines if service is ""
	pid           int
}

// Limits in bytes of JSON, so that each line fits maxLine and a JSON line stays complete: of a service's name, and of an
// event's text, which may quote a path. The other members have a bounded length.
const (
	maxService = 512
	maxWords   = 1536
)

// clipWords shortens a text to at most most bytes in JSON and marks the cut with "…".
func clipWords(s string, most int) string {
	size := 0
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			size += 2
		case r < ' ' || r == utf8.RuneError || r == '\u2028' || r == '\u2029': // six bytes, encoding/json
			size += 6
		default:
			size += utf8.RuneLen(r)
		}
		if size > most-len("…") {
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
	label := of.service
	if label == "" {
		label = of.name
	}
	if of.pid == 0 {
		return fmt.Appendf(nil, "arenacap: %s: %s: %s\n", oneLine(label), e.kind, oneLine(e.text))
	}
	return fmt.Appendf(nil, "arenacap: %s[%d]: %s: %s\n", oneLine(label), of.pid, e.kind, oneLine(e.text))
}

// timestamp is RFC 3339 in UTC, with milliseconds.
func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// json joins the members of head and body. Both are structs, so both begin with { and end with }.
func (e event) json(at time.Time, of subject) []byte {
	h := head{Time: timestamp(at), Event: e.kind, Message: e.text}
	if of.pid != 0 {
		h.PID = &of.pid
	}
	if of.service != "" {
		h.Service = &of.service
	}
	line, err1 := marshal(h)
	if e.body != nil {
		members, err2 := marshal(e.body)
		err1 = cmp.Or(err1, err2)
		line = append(append(line[:len(line)-1], ','), members[1:]...)
	}
	if err1 != nil {
		panic("an event's members are plain values") // no NaN, no infinity, no cycles
	}
	return append(line, '\n')
}

// marshal is json.Marshal without the escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
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
