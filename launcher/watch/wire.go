package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
)

// The configuration crosses the pipe as the values of its fields in their order: a number as a varint of
// encoding/binary, a fraction as eight bytes, a text with its length before it, a list with its length and one more
// (0 is none at all). Both ends are the same program, so nothing has a name or a version. encoding/json would do,
// but the start of the target waits for it: 0.1 ms until it has learnt the types, and the watch keeps what it learnt.

// appendWire puts a value behind b.
func appendWire(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			b = appendWire(b, v.Field(i))
		}
	case reflect.Slice:
		if v.IsNil() {
			return append(b, 0)
		}
		b = binary.AppendUvarint(b, uint64(v.Len())+1)
		for i := range v.Len() {
			b = appendWire(b, v.Index(i))
		}
	case reflect.String:
		return append(binary.AppendUvarint(b, uint64(v.Len())), v.String()...)
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int64:
		return binary.AppendVarint(b, v.Int())
	case reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint())
	case reflect.Float64:
		return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float()))
	default:
		panic(fmt.Sprintf("the watch's configuration has a %s in it", v.Type())) // TestWireHasEveryField
	}
	return b
}

var errWire = errors.New("it ends early or has a length that cannot be")

// takeWire sets a value from the beginning of b and gives what follows.
func takeWire(b []byte, v reflect.Value) (rest []byte, err error) {
	switch v.Kind() {
	case reflect.Struct:
		for i := 0; i < v.NumField() && err == nil; i++ {
			b, err = takeWire(b, v.Field(i))
		}
		return b, err
	case reflect.Slice:
		n, b, err := takeUvarint(b)
		if err != nil || n == 0 {
			return b, err
		}
		if n-1 > uint64(len(b)) { // every element takes a byte at least
			return nil, errWire
		}
		v.Set(reflect.MakeSlice(v.Type(), int(n-1), int(n-1)))
		for i := 0; i < v.Len() && err == nil; i++ {
			b, err = takeWire(b, v.Index(i))
		}
		return b, err
	case reflect.String:
		n, b, err := takeUvarint(b)
		if err != nil || n > uint64(len(b)) {
			return nil, errWire
		}
		v.SetString(string(b[:n]))
		return b[n:], nil
	case reflect.Int, reflect.Int64:
		n, size := binary.Varint(b)
		if size <= 0 || v.OverflowInt(n) {
			return nil, errWire
		}
		v.SetInt(n)
		return b[size:], nil
	case reflect.Float64:
		if len(b) < 8 {
			return nil, errWire
		}
		v.SetFloat(math.Float64frombits(binary.BigEndian.Uint64(b)))
		return b[8:], nil
	}
	n, b, err := takeUvarint(b)
	if v.Kind() == reflect.Bool {
		v.SetBool(n == 1)
	} else {
		v.SetUint(n)
	}
	return b, err
}

func takeUvarint(b []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, errWire
	}
	return n, b[size:], nil
}
