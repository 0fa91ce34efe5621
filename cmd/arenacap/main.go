// Arenacap starts a server under a cap on glibc's malloc arenas and has its virtual size watched against
// a budget. Each command has a file of its own, with its flags and what it prints; package launcher and
// the packages below it do the work.
//
// The directive has the runtime close the files of its control group at the start; else a watch would hold them open, and
// so keep that file system mounted, for as long as its server runs.
//
//go:debug containermaxprocs=0
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	_ "arenacap/cmd/arenacap/internal/early"
	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
)

// The main goroutine stays on the process's first thread, from which the exec must come (launcher.Exec).
func init() { runtime.LockOSThread() }

// An ordinary launch, and a watch, come here only in a build without package early.
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
		Description: "It sets MALLOC_ARENA_MAX and MALLOC_ARENA_TEST for a program by a policy and\n" +
			"the cores it finds.\n\n" +
			"Programs with another allocator (jemalloc, tcmalloc, musl, Go without cgo, …),\n" +
			"set-uid programs and programs with file capabilities are not affected;\n" +
			"'arenacap plan PROGRAM' tells.",
		Flags: append(commonFlags(""), cli.HelpFlag), // the library adds it only where no command is called help
		Commands: []*cli.Command{
			runCommand(), envCommand(), planCommand(), checkCommand(), inspectCommand(), psCommand(), watchCommand(), sweepCommand(), unitCommand(),
		},
		Action:                    orVersion(noCommand),
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Compiled:                  time.Unix(0, 0), // or the app looks for its own file's date at every start
		OnUsageError:              wrongUse,
		ExitErrHandler:            func(*cli.Context, error) {}, // main alone turns errors into statuses
		CustomAppHelpTemplate:     appHelp,
	}
	for _, c := range app.Commands {
		c.Flags = slices.Concat(commonFlags(c.Name), c.Flags)
	}
	app.Commands = slices.Concat(app.Commands, helpCommands(), docsCommands())
	for _, c := range app.Commands {
		c.Action = orVersion(c.Action)
		c.OnUsageError = wrongUse // like the rest here, urfave/cli v2 does not inherit it from the app
		c.HideHelpCommand = true  // or "run -- help" would print help
		c.CustomHelpTemplate = commandHelp
	}
	return app
}

// orVersion prints the version instead where --version was given.
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
	_, err := c.App.Writer.Write([]byte("arenacap " + version() + "\n"))
	return err
}

// noCommand runs where no command was named.
func noCommand(c *cli.Context) error {
	name := c.Args().First()
	if name == "" {
		return say.Usage("", "no command; the main one is 'arenacap run PROGRAM'")
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

// synonyms are what other tools call the commands.
var synonyms = map[string]string{
	"validate": "check", "lint": "check", "verify": "check", "test": "check", "status": "ps", "list": "ps", "ls": "ps", "top": "ps",
	"exec": "run", "start": "run", "launch": "run", "show": "inspect", "info": "inspect", "attach": "watch", "monitor": "watch",
	"explain": "plan", "install": "unit", "systemd": "unit", "bench": "sweep", "benchmark": "sweep", "export": "env",
}

// version is the module's, with "+dirty" where files were changed, and the commit unless it is a part of that.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if commit := s.Value[:min(12, len(s.Value))]; s.Key == "vcs.revision" && !strings.Contains(v, commit) {
			v += " " + commit
		}
	}
	return strings.Join([]string{v, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}, " ")
}
