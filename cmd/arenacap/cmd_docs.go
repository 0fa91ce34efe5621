//go:build !urfave_cli_no_docs

package main

// This file has the hidden command docs, which prints a manual page, the names of the commands that have one, or the
// completions of a shell.

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
)

// docsCommands returns the hidden command docs, which generates the man page and the completions from the definitions
// of the commands. Its code costs 1 ms of initialisation at every start except an ordinary launch (package early), so a
// release build omits it and ships the generated files.
//
// The completions are static text. Those of urfave/cli run the unfinished command line to complete it: "arenacap run
// reboot <TAB>" would reboot.
func docsCommands() []*cli.Command {
	return []*cli.Command{{
		Name:      "docs",
		Hidden:    true,
		Usage:     "print the man page or a shell's completions",
		UsageText: "arenacap docs man [COMMAND]|commands|bash|zsh|fish",
		Action:    docs,
	}}
}

func docs(c *cli.Context) error {
	app := newApp()
	app.Setup() // adds the library's own flags, as app.Run does
	var text string
	var err error
	switch kind := c.Args().First(); kind {
	case "man":
		text, err = manPageOf(app, c.Args().Get(1))
	case "commands":
		text = strings.Join(documented(app), "\n") + "\n"
	case "bash", "zsh", "fish":
		text, err = completion(app, kind)
	default:
		return say.Usage("docs", fmt.Sprintf("unknown kind %q; write man, commands, bash, zsh or fish", kind))
	}
	if err == nil {
		_, err = c.App.Writer.Write([]byte(text))
	}
	return err
}

// manPageOf returns the manual page of the command with this name, or the manual page of the program for the name "".
func manPageOf(app *cli.App, name string) (string, error) {
	if name == "" {
		return manPage(app, nil), nil
	}
	c := app.Command(name)
	if c == nil || c.Hidden {
		return "", say.Usage("docs", fmt.Sprintf("unknown command %q", name))
	}
	return manPage(app, c), nil
}

// documented returns the names of the commands that have a manual page.
func documented(app *cli.App) (names []string) {
	for _, c := range app.VisibleCommands() {
		if c.Name != "help" && c.Name != "version" {
			names = append(names, c.Name)
		}
	}
	return names
}
