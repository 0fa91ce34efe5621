// Arenacap starts a server under a cap on glibc's malloc arenas and watches its virtual size against a budget. Each
// command has its own file with its flags and its output; package launcher and the packages below it do the work.
//
// The go:debug directive below makes Go's runtime close the files of its control group at the start. Otherwise a
// watch would keep the files open, and their file system mounted, for as long as its server runs.
//
//go:debug containermaxprocs=0
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	_ "arenacap/cmd/arenacap/internal/early"
	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/version"
)

// The main goroutine stays on the first thread, because the exec has to be called from that thread (launcher.Exec).
func init() { runtime.LockOSThread() }

// Package early handles ordinary launches and their watches. They get here only in a build without that package.
func main() {
	run.BecomeWatch(os.Args)
	err := newApp().Run(os.Args)
	say.Report(err)
	os.Exit(say.Status(err))
}

func newApp() *cli.App {
	app := &cli.App{
		Name:      "arenacap",
		Usage:     "start a server under a cap on glibc's malloc arenas, and watch its virtual size",
		UsageText: "arenacap [--policy FILE] [--service NAME] COMMAND …\n   arenacap run [--policy FILE] [--service NAME] [--] PROGRAM [ARG…]",
		Description: "arenacap sets MALLOC_ARENA_MAX and MALLOC_ARENA_TEST for a program, from a\n" +
			"policy and the number of cores.\n\n" +
			"Programs with another allocator (jemalloc, tcmalloc, musl, Go without cgo, …),\n" +
			"set-uid programs and programs with file capabilities are not affected;\n" +
			"'arenacap plan PROGRAM' shows whether a cap works.",
		Flags: append(commonFlags(""), cli.HelpFlag), // the library adds it only if no command has the name help
		Commands: []*cli.Command{
			runCommand(), envCommand(), planCommand(), checkCommand(), inspectCommand(), psCommand(), watchCommand(), sweepCommand(), unitCommand(), copyToCommand(),
		},
		Action:                    orVersion(noCommand),
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Compiled:                  time.Unix(0, 0), // otherwise the app reads the date of its binary at every start
		OnUsageError:              wrongUse,
		ExitErrHandler:            func(*cli.Context, error) {}, // main maps errors to statuses
		CustomAppHelpTemplate:     appHelp,
	}
	for _, c := range app.Commands {
		c.Flags = slices.Concat(commonFlags(c.Name), c.Flags)
	}
	app.Commands = slices.Concat(app.Commands, helpCommands(), docsCommands())
	for _, c := range app.Commands {
		c.Action = orVersion(c.Action)
		c.OnUsageError = wrongUse // urfave/cli v2 inherits none of these from the app
		c.HideHelpCommand = true  // otherwise "run -- help" would print help
		c.CustomHelpTemplate = commandHelp
	}
	return app
}

// orVersion wraps an action: with --version it prints the version instead, and it refuses a flag that took "--" as its
// value (refuseDashes).
func orVersion(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		if asked, _ := lineOf(c).Text("version"); asked == "true" {
			return printVersion(c)
		}
		if err := refuseDashes(c); err != nil {
			return err
		}
		return action(c)
	}
}

func printVersion(c *cli.Context) error {
	_, err := c.App.Writer.Write([]byte("arenacap " + version.Text() + "\n"))
	return err
}

// noCommand reports a missing or unknown command.
func noCommand(c *cli.Context) error {
	name := c.Args().First()
	if name == "" {
		return say.Usage("", "no command given; to start a program write 'arenacap run PROGRAM'")
	}
	return unknownCommand(c, name)
}

func unknownCommand(c *cli.Context, name string) error {
	var names []string
	for _, command := range c.App.VisibleCommands() {
		names = append(names, command.Name)
	}
	if meant := synonyms[name]; meant != "" {
		return say.Usage("", fmt.Sprintf("unknown command %q; did you mean %q?", name, meant))
	}
	return say.Usage("", unknown("command", name, names))
}

// synonyms maps the names of commands in other tools to those here.
var synonyms = map[string]string{
	"validate": "check", "lint": "check", "verify": "check", "test": "check", "status": "ps", "list": "ps", "ls": "ps", "top": "ps",
	"exec": "run", "start": "run", "launch": "run", "show": "inspect", "info": "inspect", "attach": "watch", "monitor": "watch",
	"explain": "plan", "install": "unit", "systemd": "unit", "bench": "sweep", "benchmark": "sweep", "export": "env",
	"copy": "copy-to", "cp": "copy-to",
}
