package testenv

// This file runs a browser without a window.

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Chromium runs the browser without a window, with further flags and a page's address, and returns what it prints. The profile
// is a folder for its files.
func Chromium(t testing.TB, profile string, args ...string) []byte {
	t.Helper()
	Need(t, "chromium")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	flags := []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + profile}
	cmd := exec.CommandContext(ctx, "chromium", slices.Concat(flags, args)...)
	cmd.WaitDelay = 10 * time.Second // its child processes may keep the output open
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, problems.Bytes())
	}
	return out
}
