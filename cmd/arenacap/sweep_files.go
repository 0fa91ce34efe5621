package main

// This file checks the files that a sweep reads and writes, before the first run, because the report may be written
// hours later. It also writes the report.

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/page"
	"arenacap/launcher/sweep/verdict"
	"arenacap/policy"
	"arenacap/policy/text"
)

// place is where a path leads after its symbolic links: to a file, or to a free name in a folder.
type place struct {
	path         string
	file, folder fs.FileInfo // file is nil if it does not exist yet
}

// findPlace fails if the path cannot be looked up, or its folder does not exist.
func findPlace(path string) (place, error) {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return place{}, err
	}
	p := place{file: info}
	if p.path, err = resolveFinalLinks(path); err != nil {
		return place{}, err
	}
	p.folder, err = os.Stat(folderOf(p.path))
	return p, err
}

// resolveFinalLinks resolves the symbolic links at the end of a path, whose target need not exist. It does not clean
// the folder part of the path: filepath.Clean would remove "link/..", but the kernel follows the link first.
func resolveFinalLinks(path string) (string, error) {
	for links := 0; ; links++ {
		link, err := os.Readlink(path)
		if err != nil { // not a link, or it does not exist
			return path, nil
		}
		if links == 40 { // the kernel follows 40 links, and no more; path_resolution(7)
			return "", &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		if !filepath.IsAbs(link) {
			link = folderOf(path) + link
		}
		path = link
	}
}

// folderOf returns the folder of a path, with a slash at the end.
func folderOf(path string) string {
	if folder, _ := filepath.Split(path); folder != "" {
		return folder
	}
	return "./"
}

// p.is(other) reports whether p and other are the same file, or would be the same file once they exist.
func (p place) is(other place) bool {
	if p.file == nil || other.file == nil {
		return p.file == nil && other.file == nil && os.SameFile(p.folder, other.folder) && filepath.Base(p.path) == filepath.Base(other.path)
	}
	return os.SameFile(p.file, other.file)
}

// irregular names the kind of a file that is not regular, "" for a regular one.
func irregular(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// inUse is a file that an output must not replace. The field "what" describes the file, for the message.
type inUse struct {
	place
	what string
}

// planFiles checks the files of --resume and --html. It refuses a file that is not regular, or is used twice.
func planFiles(c *cli.Context, program string) (html string, err error) {
	taken := filesInUse(program)
	for _, flag := range []string{"resume", "html"} {
		path := c.String(flag)
		if path == "" {
			continue
		}
		p, err := findPlace(path)
		if err != nil {
			return "", fmt.Errorf("--%s: %w", flag, err)
		}
		if p.file != nil && irregular(p.file.Mode()) != "" {
			return "", badFlag(c, flag, fmt.Errorf("%q is %s; name a regular file", path, irregular(p.file.Mode())))
		}
		for _, other := range taken {
			if p.is(other.place) {
				return "", badFlag(c, flag, fmt.Errorf("%q is %s; name another file", path, other.what))
			}
		}
		taken = append(taken, inUse{p, "the file of --" + flag})
		if flag == "html" {
			html = p.path
		}
	}
	return html, nil
}

// filesInUse returns the file of the program and the files to which stdout and stderr go.
func filesInUse(program string) (list []inUse) {
	add := func(what string, info fs.FileInfo, err error) {
		if err == nil {
			list = append(list, inUse{place{file: info}, what})
		}
	}
	info, err := os.Stat(program)
	add("PROGRAM's own file", info, err)
	info, err = os.Stdout.Stat()
	add("the file that stdout goes to", info, err)
	info, err = os.Stderr.Stat()
	add("the file that stderr goes to", info, err)
	return list
}

// setting returns the build and the machine, which have to be equal in an earlier sweep that --resume continues.
func setting(program string, m policy.Machine, cores string) sweep.Setting {
	cpus := fmt.Sprintf("online %d, affinity %d, quota %g", m.Online.N, m.Affinity.N, m.Quota.N)
	if cores != "" {
		cpus += ", --cores " + cores
	}
	return sweep.Setting{Program: buildOf(program), Kernel: kernel(), CPUs: cpus}
}

// tellPrior reports the runs taken from the file of --resume, because they were measured at another time.
func (s *sweepPlan) tellPrior(v say.Voice, prior []sweep.Run) {
	if len(prior) == 0 {
		return
	}
	missing, more := s.experiment.Missing(prior), ""
	if s.experiment.Until > 0 {
		more = "at least "
	}
	first := slices.MinFunc(prior, func(a, b sweep.Run) int { return a.Start.Compare(b.Start) })
	v.Note("%s from %q are reused, the oldest from %s; %s%d are still to run", text.Count(len(prior), "run"), s.resume, first.Start.Local().Format("2006-01-02 15:04"), more, missing)
}

// buildOf identifies a build of a program by its content, because files with equal content may differ in their date.
func buildOf(path string) string {
	f, err := os.Open(path)
	if err != nil { // permission to execute does not include permission to read
		return "that cannot be read"
	}
	defer f.Close()
	sum := crc32.NewIEEE()
	size, err := io.Copy(sum, f)
	if err != nil {
		return "that cannot be read"
	}
	return fmt.Sprintf("of %d bytes, CRC-32 %08x", size, sum.Sum32())
}

func kernel() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // fails only for a bad address
	return unix.ByteSliceToString(name.Release[:])
}

// tryReport returns the error that writeReport would get from the folder of --html.
func (s *sweepPlan) tryReport() error { return s.report(canReplace) }

func (s *sweepPlan) writeReport(result verdict.Result) error {
	return s.report(func(path string) error {
		return replaceFile(path, 0, func(w io.Writer) error { return page.HTML(w, result, s.about()) })
	})
}

func (s *sweepPlan) report(do func(path string) error) error {
	if s.html == "" {
		return nil
	}
	if err := do(s.html); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return nil
}
