package main

// This file builds the programs that the tests start, and checks the requirements of the tests.

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"arenacap/launcher/testenv"
)

// tools are the programs that the tests start: builds of arenacap, two helpers in C, and a copy of /bin/sh. The field
// "plain" is a build without extra flags, "release" is one with the flags of .ci/release. "checked" is for tests that do
// not need one of these: $ARENACAP_BINARY, else a build with the race detector if the test binary has the race detector,
// else the same as "plain".
type tools struct {
	dir                     string // folder of the programs
	plain, release, checked string
	release386              string // "release" for 386; "" on a machine other than amd64
	probe, setup            string // the helpers in C
	server                  string // the copy of /bin/sh, under a name that is not a carrier's
	err                     error
}

// early is true if the builds of arenacap have package early, which launches the target before the libraries are
// initialised. It is false if this test was built with -tags arenacap_no_early.
var early = true

// buildTags returns the flag -tags for a build of arenacap.
func buildTags(tags string) string {
	if !early {
		tags += ",arenacap_no_early"
	}
	return "-tags=" + tags
}

// releaseFlags returns the flags of .ci/release that change the program: without the parts of urfave/cli that make
// documents and suggest commands, and with the entry point of package origin.
func releaseFlags() []string {
	return []string{buildTags("urfave_cli_no_docs,urfave_cli_no_suggest"), "-trimpath", "-ldflags=-s -w -E arenacap/launcher/origin.entry"}
}

// toolsDir is the folder of the built programs, and of what testscript and go run need for a moment. TestMain removes it.
var toolsDir string

// builtTools builds the tools once for all tests of the package.
var builtTools = sync.OnceValue(func() tools {
	t := tools{dir: toolsDir}
	add := func(name string, make func(path string) error) string {
		path := filepath.Join(toolsDir, name)
		if t.err == nil {
			t.err = make(path)
		}
		return path
	}
	c := func(path string) error {
		return compile(path, nil, "gcc", "-O1", "-Wall", "-o", "OUT", "testdata/probe/"+filepath.Base(path)+".c")
	}
	arenacap := func(env []string, flags ...string) func(string) error {
		return func(path string) error { return testenv.Arenacap(path, env, flags...) }
	}
	t.probe, t.setup = add("probe", c), add("setup", c)
	t.server = add("server", func(path string) error { return compile(path, nil, "cp", "/bin/sh", "OUT") })
	t.plain = add("arenacap", arenacap(nil, buildTags("")))
	t.release = add("arenacap-release", arenacap([]string{"CGO_ENABLED=0"}, releaseFlags()...))
	if runtime.GOARCH == "amd64" {
		t.release386 = add("arenacap-386", arenacap([]string{"CGO_ENABLED=0", "GOARCH=386"}, releaseFlags()...))
	}
	t.checked = t.plain
	if given := os.Getenv("ARENACAP_BINARY"); given != "" {
		t.checked = given
	} else if raceDetector {
		t.checked = add("arenacap-race", arenacap(nil, buildTags(""), "-race"))
	}
	return t
})

// compile runs a command that makes a program; "OUT" among the arguments stands for its output file.
func compile(out string, env []string, args ...string) error {
	line := append([]string(nil), args...)
	for i := range line {
		if line[i] == "OUT" {
			line[i] = out
		}
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", line, err, text)
	}
	return nil
}

func requireTools(t *testing.T) tools {
	t.Helper()
	testenv.Need(t, "gcc")
	built := builtTools()
	if built.err != nil {
		why := "the programs to test were not built; another test that failed says why"
		sayBuildError.Do(func() { why = built.err.Error() })
		t.Fatal(why)
	}
	return built
}

// sayBuildError prints a compiler's long error in one test only, because all tests of the package need the programs.
var sayBuildError sync.Once

// patience limits most waits; only a failing test reaches it.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	testenv.Reset()
	// Many of these tests wait for a process, so twice as many as cores run at once. The flag -parallel still takes effect.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(inToolsDir(m.Run))
}

func inToolsDir(run func() int) int {
	var err error
	if toolsDir, err = testenv.Folder(); err != nil {
		panic(err)
	}
	defer os.RemoveAll(toolsDir)
	_ = os.Setenv("GOTMPDIR", toolsDir)
	return run()
}
