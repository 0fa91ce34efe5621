package policy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// tricky holds the hard cases of finding keys. The integers and comments are the numbers of their lines, except 99,
// which is in text that is no key or whose position does not count.
const tricky = `a = 1
b.c = 2 # x = 99
[t] # [u]
"q u" = 4
'q.v'.w = 5
s = """
x = 99
[not.a.table] \"""" # 8
after = 9
r = '''
x = 99''''' # 11
list = [ # x = 99
  { i = 13, j = [ "]", '}' ] }, 2021-01-01 00:00:00,
  { i = 99 },
] # 15
in = { k = 16, l.m = 16, "n" = { o = 16, }, p = {
  q = 17 } }
  [ u . "v" ]
x=19
[[w]]
y = 21
[w.z]
k = 23
"\u0065sc\"\\" = 24
`

func TestLocate(t *testing.T) {
	d := parse("tricky.toml", []byte(tricky))
	if d.problems != nil {
		t.Fatal(d.problems)
	}
	for key, line := range map[string]int{
		"a": 1, "b": 2, "b.c": 2, "t": 3, `t."q u"`: 4, `t."q.v"`: 5, `t."q.v".w`: 5, "t.s": 6, "t.after": 9, "t.r": 10,
		"t.list": 12, "t.list.i": 13, "t.list.j": 13, "t.in": 16, "t.in.k": 16, "t.in.l": 16, "t.in.l.m": 16, "t.in.n": 16,
		"t.in.n.o": 16, "t.in.p": 16, "t.in.p.q": 17, "u": 18, "u.v": 18, "u.v.x": 19, "w": 20, "w.y": 21, "w.z": 22, "w.z.k": 23,
		`w.z."esc\"\\"`: 24,
	} {
		at, ok := d.at[key]
		if !ok || d.lineOf(at.key) != line {
			t.Errorf("%s: line %d (%v), want %d", key, d.lineOf(at.key), ok, line)
		}
		delete(d.at, key)
	}
	if len(d.at) != 0 {
		t.Errorf("found more: %v", d.at)
	}
}

func TestLocateValues(t *testing.T) {
	const text = "a . b  =\t1\n[c]\nd={e = 2}\n"
	d := parse("x.toml", []byte(text))
	for key, want := range map[string]span{"a": {0, 9}, "a.b": {0, 9}, "c": {11, 11}, "c.d": {15, 17}, "c.d.e": {18, 22}} {
		if d.at[key] != want {
			t.Errorf("%s: %v, want %v", key, d.at[key], want)
		}
	}
}

// FuzzLocate checks that in any text that the TOML parser accepts, the function "locate" finds each key at the right
// position, and that it returns for any other text.
func FuzzLocate(f *testing.F) {
	f.Add(tricky)
	for _, text := range corpus(f) {
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := parse("f.toml", []byte(text))
		if d.tree == nil {
			return
		}
		var tree any
		meta, err := toml.Decode(d.text, &tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range meta.Keys() {
			at, ok := d.at[key.String()]
			if !ok {
				t.Fatalf("%q: %s is not found", text, key)
			}
			if at.key >= len(d.text) || at.value < at.key || at.value > len(d.text) {
				t.Fatalf("%q: %s at %v", text, key, at)
			}
			if c := d.text[at.key]; c != '[' && c != '"' && c != '\'' && !isBare(c) {
				t.Fatalf("%q: %s at %q", text, key, c)
			}
		}
		for path, offset := range parserPlaces(t, d.text) {
			if got, want := d.lineOf(d.at[path].key), d.lineOf(offset); got != want {
				t.Fatalf("%q: %s in line %d, want %d", text, path, got, want)
			}
		}
	})
}

// refuser fails to unmarshal every value; the parser's error then has the position of the value.
type refuser struct{}

func (refuser) UnmarshalTOML(any) error { return errors.New("refused") }

// hasEmptyKey reports whether the value is an array of tables in which a table has the key "". The parser gives the array the
// type and the position of that key, because its function setType (parse.go) leaves an empty key out of the path.
func hasEmptyKey(meta toml.MetaData, value toml.Primitive) bool {
	var tables []map[string]toml.Primitive
	return meta.PrimitiveDecode(value, &tables) == nil && slices.ContainsFunc(tables, func(table map[string]toml.Primitive) bool {
		_, found := table[""]
		return found
	})
}

// parserPlaces returns the offsets that the TOML parser reports: that of each value or, in an inline table, that of
// its key. It leaves out tables.
func parserPlaces(t *testing.T, text string) map[string]int {
	var top map[string]toml.Primitive
	meta, err := toml.Decode(text, &top)
	if err != nil {
		t.Fatal(err)
	}
	places := make(map[string]int)
	var walk func(table map[string]toml.Primitive, prefix toml.Key)
	walk = func(table map[string]toml.Primitive, prefix toml.Key) {
		for key, value := range table {
			path := append(slices.Clip(prefix), key)
			var sub map[string]toml.Primitive
			if meta.PrimitiveDecode(value, &sub) == nil && sub != nil {
				walk(sub, path)
				continue
			}
			if hasEmptyKey(meta, value) {
				continue
			}
			var refused toml.ParseError
			if errors.As(meta.PrimitiveDecode(value, &refuser{}), &refused) && refused.Position.Line > 0 && !strings.HasSuffix(meta.Type(path...), "Hash") {
				places[path.String()] = refused.Position.Start
			}
		}
	}
	walk(top, nil)
	return places
}

// TestParserPlaces checks the number of positions that parserPlaces finds, with which FuzzLocate compares.
func TestParserPlaces(t *testing.T) {
	places := parserPlaces(t, tricky)
	if len(places) != 13 {
		t.Errorf("%d: %v", len(places), places)
	}
}

// FuzzCheck: no input causes a panic, a hang or a problem that does not fit into one printable line.
func FuzzCheck(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := parse("f.toml", data)
		d.settings()
		for _, p := range d.problems {
			if s := p.Error(); strings.ContainsAny(s, "\n\r\x1b\x00") {
				t.Fatalf("%q: %q", data, s)
			}
			if p.Line > len(d.lines) || p.Line != 0 && p.Column < 1 || p.Message == "" {
				t.Fatalf("%q: %+v", data, p)
			}
		}
		policy, err := read("f.toml", data, "x")
		if (err == nil) != (len(d.problems) == 0) {
			t.Fatalf("%q: Check gives %v, Load %v", data, d.problems, err)
		}
		if err == nil {
			resolveAnywhere(t, policy)
		}
	})
}

// resolveAnywhere checks the invariants of every plan of a valid policy.
func resolveAnywhere(t *testing.T, p Policy) {
	t.Helper()
	for _, cores := range []int{1, 2, 64, 8192} {
		m := Machine{Online: Reading[int]{N: cores, From: "test"}, Memory: Reading[uint64]{N: 1 << 34, From: "test"}}
		plan, err := p.Resolve(m)
		if err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		capped := plan.Mode == Fixed || plan.Mode == PerCore
		if capped != (plan.ArenaMax > 0) || plan.ArenaMax > MaxCap || plan.ArenaTest > max(1, plan.ArenaMax-1) || capped && plan.ArenaTest < 1 {
			t.Fatalf("%+v: %+v", p, plan)
		}
	}
}

// corpus returns the files of testdata.
func corpus(t testing.TB) [][]byte {
	files, err := filepath.Glob("testdata/*/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	var texts [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, data)
	}
	return texts
}
