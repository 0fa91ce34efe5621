//go:build urfave_cli_no_docs

package main

import "github.com/urfave/cli/v2"

// docsCommands returns nothing in a release build; see cmd_docs.go.
func docsCommands() []*cli.Command { return nil }
