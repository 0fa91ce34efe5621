package sweep

// This file keeps the end of a program's output, searches it for metrics, and shows it with an error.

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

const (
	keptOutput = 1 << 20 // metrics are searched in this many bytes at the end of the output
	tailLines  = 12      // at most this many lines are shown with an error
	tailBytes  = 2 << 10 // at most this many bytes are shown with an error
)

// output keeps the end of a program's output.
type output struct {
	mu    sync.Mutex
	text  []byte
	total int // bytes received
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total += len(p)
	o.text = append(o.text, p...)
	if len(o.text) > 2*keptOutput { // drops more bytes than it keeps, so that no byte is moved twice
		o.text = append(o.text[:0], o.text[len(o.text)-keptOutput:]...)
	}
	return len(p), nil
}

// bytes returns the end of the output, at most keptOutput bytes.
func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text[max(0, len(o.text)-keptOutput):])
}

// find returns the value of a metric in the output.
func (o *output) find(m Metric) (float64, error) {
	v, err := m.find(o.bytes())
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(err, errNoMatch) && o.total > keptOutput {
		err = fmt.Errorf("%w; only its last MiB was searched", err)
	}
	return v, err
}

// tail returns the last lines, as text that is safe on a terminal.
func (o *output) tail() string {
	text := bytes.TrimRight(o.bytes(), "\n")
	text = text[max(0, len(text)-tailBytes):]
	lines := bytes.Split(text, []byte("\n"))
	lines = lines[max(0, len(lines)-tailLines):]
	return shownText(strings.ToValidUTF8(string(bytes.Join(lines, []byte("\n"))), "�"))
}

// shownText makes a text of several lines safe on a terminal: control characters become Go escapes.
func shownText(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		text, end := strings.CutSuffix(line, "\n")
		for _, r := range strings.TrimSuffix(text, "\r") {
			if r == '\t' || unicode.IsGraphic(r) {
				b.WriteRune(r)
				continue
			}
			b.WriteString(strings.Trim(strconv.QuoteRuneToGraphic(r), "'"))
		}
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
