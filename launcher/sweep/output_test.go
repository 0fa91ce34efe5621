package sweep

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

func TestOutputKeepsTheEnd(t *testing.T) {
	var o output
	for i := range 400_000 {
		_, _ = o.Write([]byte(strconv.Itoa(i) + "\n"))
	}
	text := o.bytes()
	if len(text) < keptOutput || len(text) > 2*keptOutput || !bytes.HasSuffix(text, []byte("\n399999\n")) {
		t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-10:])
	}
	if tail := o.tail(); strings.Count(tail, "\n") != tailLines-1 || !strings.HasSuffix(tail, "399998\n399999") {
		t.Errorf("the tail is %q", tail)
	}
	o = output{}
	_, _ = o.Write(append(bytes.Repeat([]byte("x"), 10_000), 0xff))
	if tail := o.tail(); len(tail) > tailBytes+2 || !strings.HasSuffix(tail, "x�") {
		t.Errorf("one long line has a tail of %d bytes", len(tail))
	}
}

// A metric that was printed before the last MiB is not found, and the error says so.
func TestOutputSearched(t *testing.T) {
	const told = "; only its last MiB was searched"
	m := Metric{Pattern: "rate (.*)"}
	for _, c := range []struct {
		after int
		text  string
		want  string
	}{
		{keptOutput - len("rate 5\n"), "rate 5\n", ""},
		{keptOutput, "rate 5\n", `nothing in the output matches "rate (.*)"` + told},
		{3 * keptOutput, "rate 5\n", `nothing in the output matches "rate (.*)"` + told},
		{keptOutput - 1, "\n", `nothing in the output matches "rate (.*)"`},
		{0, "rate x\n", `the match "x" is not a number; put only the number into the regular expression's first group`},
	} {
		var o output
		_, _ = o.Write([]byte(c.text))
		_, _ = o.Write(bytes.Repeat([]byte("\n"), c.after))
		v, err := o.find(m)
		if c.want == "" && (v != 5 || err != nil) || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%d bytes after %q: %g, %v, want %q", c.after, c.text, v, err, c.want)
		}
	}
}

// Control characters of a program's output do not reach a terminal.
func TestOutputIsShownAsText(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[2Jcleared\a": `\x1b[2Jcleared\a`, "a\tb\r\nc\rd\n": "a\tb\nc\\rd", "é ✓ 'it' \"is\"": "é ✓ 'it' \"is\"", "\u009b31m\u202eright to left\x00": `\u009b31m\u202eright to left\x00`,
	} {
		var o output
		_, _ = o.Write([]byte(text))
		if got := o.tail(); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	r := Run{Error: "it \x1b[1m", Tail: "says \x1b[0m\nand ends"} // a record read from a file may have such texts
	if what, tail := r.Failure(); what != `it \x1b[1m` || tail != "says \\x1b[0m\nand ends" {
		t.Errorf("%q, %q", what, tail)
	}
}
