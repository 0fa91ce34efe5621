// Package early launches before the libraries are initialised.
//
// Gain: a third of a launch. One under the built-in policy adds 1.4 ms to its target's start instead of 2.0, in a plain
// build 1.4 instead of 2.4 (medians of 200, amd64, 2 cores): what urfave/cli, gopsutil, go-humanize, the charts,
// net/netip and in a plain build blackfriday do when they are initialised. It also needs two descriptors less: gopsutil
// reads /proc/stat then, for which Go starts its poller.
//
// Rule: Go initialises packages in the order of their import paths, always the first of those whose imports are ready
// ("Package initialization", go.dev/ref/spec; in force since Go 1.21), and "arenacap/…" comes before "github.com/…". So
// this package may import, by whatever way, nothing but the standard library without net, golang.org/x, the TOML parser
// and what of ours keeps to the same. TestEarly asks the runtime which packages were initialised.
//
// Risk: what a launch needs of a library that is not initialised yet. That is gopsutil, for a share of the host's memory:
// such a launch is left to package main (run.ErrNoLibrary), as is every command line that is not an ordinary one of run.
// Nothing was said or done then.
//
// Without: -tags arenacap_no_early. Package main then launches through urfave/cli; .ci/full runs the tests that way.
package early
