package watch

// How the configuration of a separate watch process crosses the pipe to it: as JSON.

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxConfig bounds what is read from the pipe, in bytes. A policy file is at most 1 MiB.
const maxConfig = 2 << 20

// wire is a Config. Its own fields take the place of those that may have bytes that are not UTF-8, which JSON would
// replace: paths, what was given on the command line, and lines about both. The other texts are a policy's, and TOML
// is UTF-8; where a limit was said (policy.Limit.From) begins with a path too, but a watch has no use for it.
type wire struct {
	Config
	Service, Program, Server, PolicyFile, Path []byte
	Notices                                    [][]byte
}

// Encode is what Detached expects, without the length in front of it.
func (c Config) Encode() []byte {
	w := wire{Config: c, Service: []byte(c.Service), Program: []byte(c.Program), Server: []byte(c.Server), PolicyFile: []byte(c.PolicyFile), Path: []byte(c.Path)}
	for _, line := range c.Notices {
		w.Notices = append(w.Notices, []byte(line))
	}
	data, _ := json.Marshal(w) // fails for a fraction that is not finite, which no size has; Detached would refuse it
	return data
}

// decodeConfig reads what Encode wrote.
func decodeConfig(data []byte) (Config, error) {
	var w wire
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&w)
	if trailing := int64(len(data)) - d.InputOffset(); err == nil && trailing > 0 {
		err = fmt.Errorf("%d trailing bytes", trailing)
	}
	if err != nil {
		return Config{}, fmt.Errorf("the watch's configuration is not valid: %w", err)
	}
	c := w.Config
	c.Service, c.Program, c.Server, c.PolicyFile, c.Path = string(w.Service), string(w.Program), string(w.Server), string(w.PolicyFile), string(w.Path)
	for _, line := range w.Notices {
		c.Notices = append(c.Notices, string(line))
	}
	return c, c.check()
}
