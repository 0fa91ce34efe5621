package watch

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// fill sets every field of a value, numbers to different values; texts are valid UTF-8.
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
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString("text\x00\"<é>" + string(rune('a'+*n%26)))
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

// full returns a configuration with all fields set, to values that the method "check" accepts.
func full() Config {
	var c Config
	fill(reflect.ValueOf(&c).Elem(), new(int64))
	c.Budget.WarnAt, c.Budget.Breach = 70, testConfig("").Budget.Breach
	for i := range c.Limits {
		c.Limits[i].Metric = "virtual"
	}
	return c
}

// TestWireKeepsEveryField encodes and decodes a configuration with all fields set, and one with few.
func TestWireKeepsEveryField(t *testing.T) {
	for _, want := range []Config{full(), testConfig("")} {
		if got, err := decodeConfig(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
	}
}

// TestWireKeepsEveryByte checks that the paths, command-line values and notices of a Config may contain any byte.
func TestWireKeepsEveryByte(t *testing.T) {
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	for i := range reflect.TypeFor[Config]().NumField() {
		want := testConfig("")
		field := reflect.TypeFor[Config]().Field(i)
		switch v := reflect.ValueOf(&want).Elem().Field(i).Addr().Interface().(type) {
		case *string:
			*v = string(every[:])
		case *[]string:
			*v = []string{string(every[:]), "", "\xff"}
		}
		if field.Name == "Mode" || field.Name == "OnUnenforceable" {
			continue
		}
		if got, err := decodeConfig(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", field.Name, err, got, want)
		}
	}
}

// TestWireIsExact checks that trailing data, unknown fields and invalid values are errors, with their messages.
func TestWireIsExact(t *testing.T) {
	data := string(testConfig("").Encode())
	for given, want := range map[string]string{
		data + "\x00":                       "1 trailing bytes",
		data + " \n":                        "2 trailing bytes",
		data + data:                         "trailing bytes",
		strings.Replace(data, "{", " {", 1): "",
		`{"Sevrice":"",` + data[1:]:         `unknown field "Sevrice"`,
		`{"Service":"é",` + data[1:]:        "illegal base64 data",
		"{}":                                "interval 0s is too short; the minimum is 1ms",
		"":                                  "EOF",
	} {
		_, err := decodeConfig([]byte(given))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", given, err, want)
		}
	}
}

// FuzzWire checks that a decoded configuration is the same after another encoding and decoding, and that no input
// makes the decoder panic.
func FuzzWire(f *testing.F) {
	f.Add(full().Encode())
	f.Add(testConfig("").Encode())
	f.Add([]byte(`{"Notices":[null,""],"Limits":[],"Budget":{"WarnAt":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeConfig(data)
		if err != nil {
			return
		}
		if again, err := decodeConfig(c.Encode()); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, c)
		}
	})
}
