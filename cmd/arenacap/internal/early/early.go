// Package early launches the target before the libraries are initialised.
//
// Gain: a third of the time of a launch. A launch under the built-in policy delays the target's start by 1.4 ms instead of
// 2.0 ms; in a plain build ("go build" without the flags of .ci/release), by 1.4 ms instead of 2.4 ms (medians of 200,
// amd64, 2 cores). This avoids initialising urfave/cli, gopsutil, go-humanize, the charts, net/netip and, in a plain build,
// blackfriday. It also saves two descriptors: gopsutil reads /proc/stat during initialisation, for which Go starts its
// poller.
//
// Rule: among the packages whose imports are initialised, Go next initialises the package whose import path sorts first
// ("Package initialization", go.dev/ref/spec; since Go 1.21), and "arenacap/…" sorts before "github.com/…". So this
// package may import, directly or indirectly, only golang.org/x, the TOML parser, the standard library except net, and
// packages of arenacap with the same restriction. TestEarly asks the runtime which packages were initialised.
//
// Risk: a launch may need a library that is not initialised yet. This applies to gopsutil, for a percentage of the
// host's memory. Such a launch (run.ErrNoLibrary), and any command line other than an ordinary one of run, is left to
// package main, before anything is printed or done.
//
// To turn it off: -tags arenacap_no_early. Package main then launches through urfave/cli; .ci/full runs the tests that way.
package early
