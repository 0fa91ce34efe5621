// Package ordered is JSON whose keys have an order, as every command prints it, and are not all known when the program is
// written: each metric of a sweep has keys of its own between those of the rest.
package ordered

import (
	"bytes"
	"encoding/json"
)

// Object is a JSON object: keys and values in turn.
type Object []any

// MarshalJSON leaves "<" and ">" as they are: escaping them is for the encoder that it is called by.
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
