// Arenacap-exporter shows Prometheus what glibc's arenas do on this host: the series of package metrics, by default at
// /metrics. It is a program of its own, so that no launch by arenacap pays for its libraries. It only reads: no request
// changes anything.
//
// This file has the flags, host.go reads the host, web.go has the pages.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/urfave/cli/v2"

	"arenacap/launcher/metrics"
	"arenacap/launcher/version"
	"arenacap/launcher/watch/statefile"
)

const name = "arenacap-exporter"

// defaultAddress is reachable from this machine only. The port is above the used part of the range that begins at 9100
// in Prometheus's list of default ports of exporters.
const defaultAddress = "127.0.0.1:10664"

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// usageError is a mistake on the command line.
type usageError struct{ error }

// run returns the exit status: 0, 1 for a failure, 2 for wrong use.
func run(args []string, stdout, stderr io.Writer) int {
	err := newApp(stdout, stderr).Run(args)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	if _, wrong := err.(usageError); wrong {
		fmt.Fprintf(stderr, "Try '%s --help'.\n", name)
		return 2
	}
	return 1
}

func newApp(stdout, stderr io.Writer) *cli.App {
	wrong := func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	return &cli.App{
		Name: name, Usage: "show Prometheus what glibc's malloc arenas do on this host", UsageText: name + " [flags]",
		Flags: flags(), Action: serve, Writer: stdout, ErrWriter: stderr, OnUsageError: wrong,
		HideHelpCommand: true, HideVersion: true, DisableSliceFlagSeparator: true, Compiled: time.Unix(0, 0),
		ExitErrHandler: func(*cli.Context, error) {},
	}
}

func flags() []cli.Flag {
	text := func(name, value, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Value: value, Usage: usage}
	}
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "web.listen-address", Value: cli.NewStringSlice(defaultAddress), Usage: "listen on `ADDRESS`; may be repeated"},
		&cli.BoolFlag{Name: "web.systemd-socket", Usage: "listen on the sockets that systemd passes, instead of --web.listen-address", DisableDefaultText: true},
		text("web.config.file", "", "turn on TLS or authentication as `FILE` says (exporter-toolkit, docs/web-configuration.md)"),
		text("web.telemetry-path", "/metrics", "serve the metrics at `PATH`"),
		text("policy", "", "read the policy from `FILE` (default: $ARENACAP_POLICY, then the user's and the system's)"),
		text("state", statefile.Path, "read the counters of 'arenacap watch --services' from `FILE`"),
		text("group-by", metrics.GroupBys[0], "group by `KEY`: service, unit or name; processes without a service are grouped by unit, without a unit by name"),
		&cli.IntFlag{Name: "max-groups", Value: metrics.DefaultMaxGroups, Usage: "print at most `N` groups, and the sum of the others as \"other\""},
		&cli.DurationFlag{Name: "scrape-timeout", Value: 8 * time.Second, Usage: "end a scrape after `TIME`, with the processes that were read by then"},
		text("log.level", "info", "log messages from `LEVEL` on: debug, info, warn or error"),
		text("log.format", "logfmt", "write the log in `FORMAT`: logfmt or json"),
		&cli.BoolFlag{Name: "version", Usage: "print the version, and exit", DisableDefaultText: true},
	}
}

func serve(c *cli.Context) error {
	if c.Bool("version") {
		_, err := fmt.Fprintln(c.App.Writer, name, version.Text())
		return err
	}
	if c.NArg() > 0 {
		return usageError{fmt.Errorf("the exporter takes no operands; remove %q", c.Args().First())}
	}
	log, err := newLog(c)
	if err != nil {
		return usageError{err}
	}
	h := newHost(c.String("policy"), c.Duration("scrape-timeout"), log)
	h.options = metrics.Options{GroupBy: c.String("group-by"), MaxGroups: c.Int("max-groups"), State: c.String("state")}
	if err := h.check(); err != nil {
		return usageError{err}
	}
	if _, err := h.plans(); err != nil {
		return err
	}
	server, err := newServer(h, c.String("web.telemetry-path"), log)
	if err != nil {
		return usageError{err}
	}
	log.Info("starting", "version", version.Text())
	addresses, socket, config := c.StringSlice("web.listen-address"), c.Bool("web.systemd-socket"), c.String("web.config.file")
	return web.ListenAndServe(server, &web.FlagConfig{WebListenAddresses: &addresses, WebSystemdSocket: &socket, WebConfigFile: &config}, log)
}

// newLog returns the log on stderr, in the formats of Prometheus's exporters.
func newLog(c *cli.Context) (*slog.Logger, error) {
	var level slog.Level
	switch text := c.String("log.level"); text {
	case "debug", "info", "warn", "error":
		if err := level.UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("--log.level: unknown level %q; write debug, info, warn or error", text)
	}
	options := &slog.HandlerOptions{Level: level}
	switch text := c.String("log.format"); text {
	case "logfmt":
		return slog.New(slog.NewTextHandler(c.App.ErrWriter, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.App.ErrWriter, options)), nil
	default:
		return nil, fmt.Errorf("--log.format: unknown format %q; write logfmt or json", text)
	}
}
