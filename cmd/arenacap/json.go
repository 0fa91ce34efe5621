package main

// What the commands print as JSON: what all of it has in common.

import (
	"encoding/json"
	"io"
)

// known is a pointer to a value, nil for the zero value: JSON's null, never 0.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// knownIf is a value where it is known, else JSON's null and an empty cell of CSV.
func knownIf(known bool, value any) any {
	if !known {
		return nil
	}
	return value
}

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
