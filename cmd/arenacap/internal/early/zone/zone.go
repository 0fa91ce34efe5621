// Package zone keeps a start from reading /etc/localtime. The TOML parser asks for the local time zone when it is
// initialised, for dates without one, which a policy has not; that reads the file, 40 µs. This package is initialised
// before the parser, for the reason that package early gives, and has the zone be UTC for that while.
package zone

import "time"

var local = time.Local

func init() { time.Local = time.UTC }

// Restore makes the local time zone what it is. It is read when it is first needed.
func Restore() { time.Local = local }
