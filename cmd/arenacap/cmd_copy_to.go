package main

// This file has the command copy-to.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
)

func copyToCommand() *cli.Command {
	return &cli.Command{
		Name:      "copy-to",
		Usage:     "copy this program into a folder, for images that have no cp",
		UsageText: "arenacap copy-to DIR",
		Description: "Writes DIR/arenacap, with mode 0755, for example from an init container into a\n" +
			"volume that the server's container mounts too. The file is complete at every\n" +
			"moment, needs no other file, and is not written again if it is already the\n" +
			"same.",
		Action: copyTo,
	}
}

func copyTo(c *cli.Context) error {
	if err := refuseFlags(c); err != nil {
		return err
	}
	folder := c.Args().First()
	switch {
	case c.NArg() != 1:
		return say.Usage("copy-to", fmt.Sprintf("copy-to takes one DIR, not %d", c.NArg()))
	case folder == "":
		return say.Usage("copy-to", "the folder name is empty")
	}
	path := filepath.Join(folder, "arenacap")
	program, err := os.ReadFile("/proc/self/exe") // works even if the program's file was removed or replaced since the start
	if err != nil {
		return fmt.Errorf("cannot read this program: %w", err)
	}
	if isProgram(path, program) {
		speaker(c).Explain("%s is up to date", path)
		return nil
	}
	err = replaceFile(path, programMode, func(w io.Writer) error { _, err := w.Write(program); return err })
	if err != nil {
		return cannotCopy(path, len(program), err)
	}
	if speaker(c).Quiet {
		return nil
	}
	_, err = fmt.Fprintf(c.App.Writer, "wrote %s\n", path)
	return err
}

const programMode fs.FileMode = 0o755

// isProgram reports whether path is a file with these contents and programMode.
func isProgram(path string, program []byte) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != programMode || info.Size() != int64(len(program)) {
		return false
	}
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, program)
}

// cannotCopy returns the error for a copy that failed: it names path instead of the temporary file, and for the common
// causes says what to do.
func cannotCopy(path string, size int, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		hint = "; DIR has to be an existing folder, such as the mountPath of an emptyDir"
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.EEXIST):
		hint = "; a folder has this name: remove it, or choose another DIR"
	case errors.Is(err, syscall.EROFS):
		hint = "; mount the volume without readOnly in this container"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = fmt.Sprintf("; the copy needs %d MiB", size>>20+1)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("cannot write %q: %w%s", path, err, hint)
}
