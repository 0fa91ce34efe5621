package watch

// This file encodes the configuration that a separate watch process receives through a pipe, as JSON.

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxConfig is the largest encoded configuration, in bytes: twice the largest policy file (1 MiB), from which most of
// the configuration comes.
const maxConfig = 2 << 20

// wire is a Config whose paths, command-line values and notices are []byte: they may contain bytes that are not valid
// UTF-8, which JSON would replace in a string. The other strings come from a policy, and TOML is UTF-8, or are
// constants. policy.Limit.From begins with a path too, but a watch does not use it.
type wire struct {
	Config
	Service, Program, Server, PolicyFile, Path []byte
	Notices                                    [][]byte
}

// Encode encodes c for Detached, without the length prefix.
func (c Config) Encode() []byte {
	w := wire{Config: c, Service: []byte(c.Service), Program: []byte(c.Program), Server: []byte(c.Server), PolicyFile: []byte(c.PolicyFile), Path: []byte(c.Path)}
	for _, line := range c.Notices {
		w.Notices = append(w.Notices, []byte(line))
	}
	data, _ := json.Marshal(w) // fails only for a NaN or an infinity; Detached then rejects the empty data
	return data
}

// decodeConfig is the inverse of Encode.
func decodeConfig(data []byte) (Config, error) {
	var w wire
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&w)
	if trailing := int64(len(data)) - d.InputOffset(); err == nil && trailing > 0 {
		err = fmt.Errorf("%d trailing bytes after the JSON text", trailing)
	}
	if err != nil {
		return Config{}, fmt.Errorf("the watch's configuration is invalid: %w", err)
	}
	c := w.Config
	c.Service, c.Program, c.Server, c.PolicyFile, c.Path = string(w.Service), string(w.Program), string(w.Server), string(w.PolicyFile), string(w.Path)
	for _, line := range w.Notices {
		c.Notices = append(c.Notices, string(line))
	}
	return c, c.check()
}
