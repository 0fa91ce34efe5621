package watch

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// fill sets every field of a value to something of its own.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.String:
		v.SetString("text\x00\xff" + string(rune('a'+*n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(math.MaxInt32 - *n)
	case reflect.Uint64:
		v.SetUint(math.MaxUint64 - uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 7)
	default:
		panic(v.Type())
	}
}

// TestWireHasEveryField sends a configuration whose fields are all set, and one with none, there and back.
func TestWireHasEveryField(t *testing.T) {
	var full, got Config
	fill(reflect.ValueOf(&full).Elem(), new(int64))
	if rest, err := takeWire(appendWire(nil, reflect.ValueOf(full)), reflect.ValueOf(&got).Elem()); err != nil || len(rest) != 0 || !reflect.DeepEqual(got, full) {
		t.Errorf("%v, %d bytes are left\n got %+v\nwant %+v", err, len(rest), got, full)
	}
	got = Config{}
	if rest, err := takeWire(appendWire(nil, reflect.ValueOf(Config{})), reflect.ValueOf(&got).Elem()); err != nil || len(rest) != 0 || !reflect.DeepEqual(got, Config{}) {
		t.Errorf("the zero value: %v, %d bytes are left, %+v", err, len(rest), got)
	}
}

// FuzzWire: what is decoded survives another way there and back, and nothing makes the decoder fail otherwise than by
// an error.
func FuzzWire(f *testing.F) {
	var full Config
	fill(reflect.ValueOf(&full).Elem(), new(int64))
	f.Add(appendWire(nil, reflect.ValueOf(full)))
	f.Add(appendWire(nil, reflect.ValueOf(Config{})))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c, again Config
		if _, err := takeWire(data, reflect.ValueOf(&c).Elem()); err != nil {
			return
		}
		data = appendWire(nil, reflect.ValueOf(c))
		if rest, err := takeWire(data, reflect.ValueOf(&again).Elem()); err != nil || len(rest) != 0 || string(appendWire(nil, reflect.ValueOf(again))) != string(data) {
			t.Fatalf("%v, %d bytes are left\n got %+v\nwant %+v", err, len(rest), again, c)
		}
	})
}

// The first of a process is what a launch pays; -benchtime=1x shows it.
func BenchmarkEncode(b *testing.B) {
	var full Config
	fill(reflect.ValueOf(&full).Elem(), new(int64))
	b.Run("wire", func(b *testing.B) {
		for b.Loop() {
			full.Encode()
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(full)
		}
	})
}
