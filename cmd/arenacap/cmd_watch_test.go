package main

// These tests run the command watch at a terminal.

import (
	"os"
	"strconv"
	"testing"
)

// At a terminal a watch prints what it watches and, at Ctrl-C, what it saw; it names the log if that is a file.
func TestWatchAtATerminal(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	t.Run("stderr", func(t *testing.T) {
		policy := writeFile(t, t.TempDir()+"/policy.toml", "budget = {virtual = \"1KiB\", settle = \"0s\", breach = \"1/1\"}\n")
		s := startBelow(t, requireTools(t).checked, "watch", "--policy", policy, pid)
		s.expect("[" + pid + "]: started: budget: virtual 1 KiB; scope process; ")
		s.expect("breach: virtual ") // the watch has taken a sample
		s.write("\x03")
		s.expect("watch-ended: SIGINT has ended the watch; the watched processes continue to run; watched for ")
		s.expect("; peaks: virtual size ")
		s.expect("status=1\r\n")
	})
	t.Run("a log file", func(t *testing.T) {
		dir := t.TempDir()
		policy := writeFile(t, dir+"/policy.toml", "budget.virtual = \"1TiB\"\nlog.to = \""+dir+"/log\"\n")
		startTerminal(t, requireTools(t).checked, "watch", "--policy", policy, pid).expect("the events go to " + dir + "/log")
	})
}
