//go:build urfave_cli_no_docs

package main

// This file replaces cmd_docs.go in a build without the command docs.

import "github.com/urfave/cli/v2"

// docsCommands returns nothing in a release build; see cmd_docs.go.
func docsCommands() []*cli.Command { return nil }
