package main

// This file has helpers for the JSON output of the commands.

import (
	"encoding/json"
	"io"
)

// known returns nil, which is null in JSON, for the zero value: unknown is null and never 0.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// knownIf returns nil for an unknown value: null in JSON, an empty cell in CSV.
func knownIf(known bool, value any) any {
	if !known {
		return nil
	}
	return value
}

// list turns nil into an empty list, so that JSON never has null for it.
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
