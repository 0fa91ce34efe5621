package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"arenacap/policy/text"
)

// This file parses values, with one method for each kind.

// value is one value of the file. Its methods parse it. For an invalid value they report a problem, and the value that they
// return has no meaning: a policy with a problem is not used.
type value struct {
	l       *layer
	name    string // name of the key, such as "virtual"
	setting string // name of the setting, such as "budget.virtual"
	path    string // full path of the key, such as "service.x.budget.virtual"
	raw     any    // the value from the TOML parser
}

// wrong reports a problem at the position of the value.
func (v value) wrong(what, hint string) {
	p := v.l.said[v.setting]
	p.bad = true
	v.l.said[v.setting] = p
	v.l.doc.problem(v.l.doc.at[v.path].value, hinted{what, hint})
}

// wrongType reports a value of the wrong TOML type.
func (v value) wrongType(want, hint string) {
	v.wrong(fmt.Sprintf("the value of %q is %s, not %s", v.name, typeName(v.raw), want), hint)
}

func typeName(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "a list"
}

// capNumber accepts an integer from 1 to MaxCap.
func (v value) capNumber() int {
	n, ok := v.raw.(int64)
	hint := fmt.Sprintf("write a number from 1 to %d", MaxCap)
	if !ok {
		if s, isString := v.raw.(string); isString {
			if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= MaxCap {
				hint = fmt.Sprintf("write %s = %d, without quotes", v.name, n)
			}
		}
		v.wrongType("an integer", hint)
		return 0
	}
	if n < 1 || n > MaxCap {
		v.wrong(fmt.Sprintf("%s = %d is out of range", v.name, n), hint)
		return 0
	}
	return int(n)
}

func (v value) boolean() bool {
	b, ok := v.raw.(bool)
	if !ok {
		v.wrongType("true or false", "write "+v.name+" = true or "+v.name+" = false, without quotes")
	}
	return b
}

// text accepts a string.
func (v value) text(want, hint string) (string, bool) {
	s, ok := v.raw.(string)
	if !ok {
		v.wrongType(want, hint)
	}
	return s, ok
}

func (v value) word(allowed ...string) string {
	hint := "write " + quoteList(allowed)
	s, ok := v.text("a string in quotes", hint)
	if !ok || slices.Contains(allowed, s) {
		return s
	}
	if near := text.DidYouMean(s, allowed); near != "" {
		hint = near
	}
	v.wrong(fmt.Sprintf("%s = %q is not a valid value", v.name, s), hint)
	return ""
}

// number accepts an integer or a string, and returns it as text.
func (v value) number() (text string, ok bool) {
	switch raw := v.raw.(type) {
	case int64:
		return strconv.FormatInt(raw, 10), true
	case string:
		return raw, true
	}
	return "", false
}

// capForFloat is the hint for a cap that was written as a float.
func capForFloat(n float64) string {
	switch {
	case n < 1 || n > MaxCap || n != n: // n != n is true for nan
		return `write for example cap = 4 or cap = "1.5/core"`
	case n == math.Trunc(n):
		return fmt.Sprintf("write cap = %v", n)
	}
	return fmt.Sprintf(`write a factor in quotes: cap = "%v/core"`, n)
}

func (v value) cap() Cap {
	if raw, ok := v.raw.(float64); ok {
		v.wrong(`the value of "cap" is a float`, capForFloat(raw))
		return Cap{}
	}
	text, ok := v.number()
	if !ok {
		v.wrongType("a number or a string", `write for example cap = 4 or cap = "1/core"`)
		return Cap{}
	}
	c, err := parseCap(text)
	v.parsed(err)
	c.From = v.l.doc.origin(v.path)
	return c
}

// parsed reports the error of one of this package's parsers, if any.
func (v value) parsed(err error) {
	if h, ok := err.(hinted); ok {
		v.wrong(v.name+": "+h.what, h.hint)
	}
}

func (v value) cores() coreRule {
	from := v.l.doc.origin(v.path)
	if _, ok := v.raw.(int64); ok {
		return coreRule{N: v.capNumber(), From: from}
	}
	s, ok := v.text("a string or an integer", `write "auto", "online", "affinity" or a number such as 8`)
	if !ok {
		return coreRule{}
	}
	if n, digits := text.Decimal(s); digits && n > 0 {
		v.wrong(fmt.Sprintf("cores = %q is a number in quotes", s), fmt.Sprintf("write cores = %d, without quotes", n))
		return coreRule{}
	}
	return coreRule{Rule: v.word(coreSources...), From: from}
}

// limit parses a size or a percentage. "off" is the zero size, which also removes the limit of the layer below.
func (v value) limit(relative bool) size {
	text, ok := v.number()
	if !ok {
		v.wrongType("a size", `write a size such as "4GiB", bytes as an integer, or "off"`)
	}
	if !ok || text == "off" {
		return size{}
	}
	s, err := parseLimit(text)
	v.parsed(err)
	if s.Percent != 0 && !relative {
		v.wrong(fmt.Sprintf("%s = %q: only %s may be a percentage of the machine's memory", v.name, v.raw, relativeMetrics()), `write a size such as "4GiB"`)
		return size{}
	}
	if !s.isZero() {
		s.From = v.l.doc.origin(v.path)
	}
	return s
}

// duration parses a duration from least to most, in the syntax of time.ParseDuration.
func (v value) duration(least, most time.Duration) time.Duration {
	hint := fmt.Sprintf("write a duration with its unit, from %s to %s, such as \"500ms\", \"30s\" or \"1m30s\"", short(least), short(most))
	if n, isInt := v.raw.(int64); isInt {
		hint = durationHint(fmt.Sprint(n), hint)
	}
	s, ok := v.text("a duration in quotes", hint)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		v.wrong(fmt.Sprintf("%s = %q is not a duration", v.name, s), durationHint(s, hint))
	case d < least || d > most:
		v.wrong(fmt.Sprintf("%s = %q is out of range", v.name, s), fmt.Sprintf("write a duration from %s to %s", short(least), short(most)))
	}
	return d
}

// durationHint suggests a correction of s if s is one number with or without a unit; a number without a unit is taken as
// seconds. Otherwise it returns unknown.
func durationHint(s, unknown string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	number := strings.TrimRightFunc(s, unicode.IsLetter)
	unit := s[len(number):]
	switch {
	case unit == "" || strings.HasPrefix("seconds", unit):
		unit = "s"
	case strings.HasPrefix("minutes", unit):
		unit = "m"
	case strings.HasPrefix("hours", unit) || unit == "hrs":
		unit = "h"
	case strings.HasPrefix("milliseconds", unit) || unit == "msec":
		unit = "ms"
	}
	n, err := strconv.Atoi(number)
	if strings.HasPrefix("days", unit) && err == nil {
		number, unit = strconv.Itoa(24*n), "h"
	}
	if _, err := time.ParseDuration(number + unit); err != nil || strings.HasPrefix(number, "-") {
		return unknown
	}
	return fmt.Sprintf("write the duration as %q", number+unit)
}

// short formats a duration of one unit: "24h", not "24h0m0s".
func short(d time.Duration) string {
	return cmp.Or(strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m"), "0s")
}

func (v value) percent() int {
	hint := `write a whole percentage from "1%" to "100%"`
	if n, isInt := v.raw.(int64); isInt && n >= 1 && n <= 100 {
		hint = fmt.Sprintf(`write %s = "%d%%"`, v.name, n)
	}
	if f, isFloat := v.raw.(float64); isFloat && f >= 0.01 && f <= 1 {
		hint = fmt.Sprintf(`write %s = "%.0f%%"`, v.name, 100*f)
	}
	s, ok := v.text("a percentage in quotes", hint)
	if !ok {
		return 0
	}
	number, hasSign := strings.CutSuffix(s, "%")
	n, ok := text.Decimal(number)
	if ok && hasSign && n >= 1 && n <= 100 {
		return n
	}
	if meant, whole := text.Decimal(meantNumber(number)); whole && meant >= 1 && meant <= 100 { // "80 %", "80"
		hint = fmt.Sprintf(`write the percentage as "%d%%"`, meant)
	}
	v.wrong(fmt.Sprintf("%s = %q is not a percentage", v.name, s), hint)
	return 0
}

// maxWindow bounds the number of samples that the watch keeps.
const maxWindow = 60

func (v value) window() Window {
	hint := fmt.Sprintf(`write "N/M", N of the last M samples, N from 1 to M, M at most %d, such as "3/5"`, maxWindow)
	s, ok := v.text("a string", hint)
	if !ok {
		return Window{}
	}
	left, right, _ := strings.Cut(s, "/")
	n, okN := text.Decimal(left)
	of, okOf := text.Decimal(right)
	if meant := strings.Join(strings.Fields(strings.Replace(s, " of ", "/", 1)), ""); meant != s && strings.Count(meant, "/") == 1 {
		hint = fmt.Sprintf("write the rule as %q", meant)
	}
	if !okN || !okOf || n < 1 || n > of || of > maxWindow {
		v.wrong(fmt.Sprintf("%s = %q is not a breach rule", v.name, s), hint)
	}
	return Window{n, of}
}

// signalNames are the standard signals that an action may send, signal(7); isRealTime accepts the others. SIGKILL and
// SIGSTOP are left out, because a program cannot handle them; action "terminate" ends the target.
const signalNames = "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM " +
	"SIGSTKFLT SIGCHLD SIGCONT SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS"

func (v value) signal() string {
	s, ok := v.text("a signal name in quotes", `write a name such as "SIGUSR1"`)
	names := strings.Fields(signalNames)
	if !ok || slices.Contains(names, s) || isRealTime(s) {
		return s
	}
	hint := `write a name as in signal(7), such as "SIGUSR1" or "SIGRTMIN+1"`
	with := "SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")
	switch {
	case with == "SIGKILL" || with == "SIGSTOP":
		hint = `no program can handle this signal; to end the target write action = "terminate", and grace = "0s" to end it at once`
	case slices.Contains(names, with) || isRealTime(with):
		hint = text.DidYouMean(with, []string{with})
	default:
		if near := text.DidYouMean(with, names); near != "" {
			hint = near
		}
	}
	v.wrong(fmt.Sprintf("signal = %q is not a valid signal", s), hint)
	return ""
}

// isRealTime accepts SIGRTMIN and SIGRTMIN+1 to SIGRTMIN+30, signals 34 to 64; glibc reserves 32 and 33.
func isRealTime(s string) bool {
	offset, ok := strings.CutPrefix(s, "SIGRTMIN")
	if !ok || offset == "" {
		return ok
	}
	digits, plus := strings.CutPrefix(offset, "+")
	n, ok := text.Decimal(digits)
	return plus && ok && n >= 1 && n <= 30
}

// command parses a program and its arguments, which go to execve(2) without a shell.
func (v value) command() []string {
	hint := `write a list such as ["/usr/local/bin/on-breach", "--pid", "{pid}"]`
	if line, isText := v.raw.(string); isText && len(strings.Fields(line)) > 0 {
		hint = fmt.Sprintf(`write a list: command = ["%s"]`, strings.Join(strings.Fields(line), `", "`))
	}
	raw, ok := v.raw.([]any)
	if !ok {
		v.wrongType("a list of strings", hint)
		return nil
	}
	var words []string
	for _, r := range raw {
		word, ok := r.(string)
		if !ok {
			v.wrong(fmt.Sprintf(`the list "command" contains %s, not only strings`, typeName(r)), "put every argument in quotes")
			return nil
		}
		words = append(words, word)
	}
	switch {
	case len(words) == 0:
		v.wrong(`the list "command" is empty`, hint)
	case !strings.HasPrefix(words[0], "/"):
		v.wrong(fmt.Sprintf("command %q is not an absolute path", words[0]), "write the full path: the command runs without a shell, in the folder /")
	case strings.Contains(strings.Join(words, ""), "\x00"):
		v.wrong(`the list "command" contains a NUL byte`, "remove that byte: an argument of a program cannot contain one")
	}
	return words
}

func (v value) logTo() string {
	hint := `write "stderr" or an absolute path such as "/var/log/arenacap.log"`
	s, ok := v.text("a path in quotes", hint)
	if !ok || s == "stderr" {
		return s
	}
	if !strings.HasPrefix(s, "/") || strings.Contains(s, "\x00") {
		v.wrong(fmt.Sprintf("to = %q in [log] is not an absolute path", s), hint)
	}
	return s
}

// filled accepts a string that is not empty and has no NUL byte.
func (v value) filled(want, hint string) string {
	s, ok := v.text(want, hint)
	if ok && (s == "" || strings.Contains(s, "\x00")) {
		v.wrong(fmt.Sprintf("%s = %q is empty or has a NUL byte", v.name, s), hint)
	}
	return s
}

func (v value) unit() string {
	const hint = `write the name of a service's unit such as "mariadb.service", or "postgresql@.service" for all of a template`
	s := v.filled("the name of a unit in quotes", hint)
	if strings.Contains(s, "/") {
		v.wrong(fmt.Sprintf("invalid unit %q", s), hint)
	}
	return s
}

func (v value) exe() string {
	const hint = `write the path of the program such as "/usr/sbin/mariadbd", as ls -l /proc/PID/exe shows it`
	s := v.filled("a path in quotes", hint)
	if s != "" && !strings.HasPrefix(s, "/") {
		v.wrong(fmt.Sprintf("exe = %q is not an absolute path", s), hint)
	}
	return s
}

// maxName is the longest name of a process in bytes: TASK_COMM_LEN less the NUL (proc_pid_comm(5)).
const maxName = 15

func (v value) processName() string {
	s := v.filled("a name in quotes", `write the name as "ps -o comm" shows it`)
	if len(s) > maxName {
		v.wrong(fmt.Sprintf("name = %q is longer than the %d bytes that the kernel keeps", s, maxName), fmt.Sprintf("write name = %q", strings.ToValidUTF8(s[:maxName], "")))
	}
	return s
}
