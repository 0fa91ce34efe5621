package main

// This file serves the pages, and limits the requests.

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"

	"arenacap/launcher/version"
)

const (
	mostScrapes = 20               // scrapes at a time; further ones get status 503
	mostHeader  = 64 << 10         // bytes of a request's header
	slowClient  = 30 * time.Second // time for a client to send a request, and again to read the answer
)

// newServer serves the metrics at path and the landing page at "/".
func newServer(h *host, path string, log *slog.Logger) (*http.Server, error) {
	if !strings.HasPrefix(path, "/") || path == "/" || strings.ContainsAny(path, "{} ?#") {
		return nil, fmt.Errorf("--web.telemetry-path: %q is not a path below \"/\"; write for example /metrics", path)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(h)
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name: name, Description: "glibc's malloc arenas on this host", Version: version.Text(), Profiling: "false",
		Links: []web.LandingLinks{{Address: path, Text: "Metrics"}},
	})
	if err != nil {
		return nil, err
	}
	pages := http.NewServeMux()
	pages.Handle("GET "+path, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: mostScrapes,
	}))
	pages.Handle("GET /{$}", landing)
	return &http.Server{
		Handler: pages, ReadTimeout: slowClient, WriteTimeout: h.timeout + slowClient, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: mostHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}, nil
}
