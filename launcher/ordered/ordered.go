// Package ordered writes JSON objects with their keys in a given order: the JSON of the commands and the events of the
// watch. A struct would not do, because some keys are known only at run time: a sweep's output has keys of its own for
// each metric, between the fixed keys.
package ordered

import (
	"bytes"
	"encoding/json"
)

// Object is a JSON object: keys and values in turn.
type Object []any

// MarshalJSON does not escape "<" and ">": the encoder that calls MarshalJSON escapes them, unless SetEscapeHTML(false) was
// called on it.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, v := range o {
		switch {
		case i%2 == 1:
			b.WriteByte(':')
		case i > 0:
			b.WriteByte(',')
		}
		if err := e.Encode(v); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
