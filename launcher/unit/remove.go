package unit

// This file removes the drop-ins that arenacap made: it renames them.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"arenacap/launcher/proc"
)

// removed is appended to the name of a drop-in. systemd then ignores the file, because it reads only names that end
// in ".conf", and the settings that an operator added to it are not lost.
const removed = ".removed"

// Removal lists the drop-ins that --remove renames, and the commands that still start through arenacap afterwards.
type Removal struct {
	Units  []string // the services that have a drop-in of arenacap
	Files  []string // the paths of the drop-ins of Units; each path begins with the root
	ByHand []string // "FILE:LINE" of commands that start through arenacap, in files that arenacap did not make

	finder finder
}

// FindRemoval finds the drop-ins that arenacap made for a service, or for all system services if operand is "". root
// and operand mean the same as in Load, but the service itself need not exist any more.
func FindRemoval(root, operand string) (Removal, error) {
	r := Removal{finder: finder{root: strings.TrimSuffix(root, "/"), dirs: searchPath(root)}}
	names, err := r.names(operand)
	if err != nil {
		return r, err
	}
	for _, name := range names {
		if err := r.addOwn(name); err != nil {
			return r, err
		}
		if u, err := r.finder.load(name); err == nil {
			r.addByHand(u)
		}
	}
	return r, nil
}

// names returns the names of the services to look at.
func (r *Removal) names(operand string) ([]string, error) {
	if operand == "" {
		return r.finder.services(), nil
	}
	if strings.Contains(operand, "/") {
		name, err := fileName(operand)
		if err != nil {
			return nil, err
		}
		r.finder, operand = r.finder.ofUser(operand), name
	}
	name, err := serviceName(operand)
	if err != nil {
		return nil, err
	}
	if real, _, err := r.finder.fragment(name); err == nil && real != name {
		return []string{real, name}, nil
	}
	return []string{name}, nil
}

func (r *Removal) addOwn(name string) error {
	for _, dir := range r.finder.dirs {
		for _, file := range confFiles(r.finder.at(path.Join(dir, name+".d"))) {
			text, err := os.ReadFile(file)
			switch {
			case errors.Is(err, fs.ErrPermission):
				return closedTo(file, err)
			case err != nil || !isOwn(string(text)) || slices.ContainsFunc(r.Files, func(f string) bool { return proc.SameFile(f, file) }):
				continue // a broken link, a file that arenacap did not make, or a file already found through another name of its directory
			}
			r.Files = append(r.Files, file)
			r.Units = append(r.Units, name)
		}
	}
	r.Units = slices.Compact(r.Units)
	return nil
}

// confFiles returns the drop-ins in a directory; none if it cannot be read.
func confFiles(dir string) (files []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conf") {
			files = append(files, path.Join(dir, e.Name()))
		}
	}
	return files
}

// ownUnits are arenacap's own services. They run arenacap itself, so they are not listed in ByHand.
var ownUnits = []string{"arenacap-watch.service", "arenacap-exporter.service"}

func (r *Removal) addByHand(u Unit) {
	if slices.Contains(ownUnits, u.Name) {
		return
	}
	for _, c := range u.commands {
		if place := c.from.place(); c.inFront() && !slices.Contains(r.ByHand, place) {
			r.ByHand = append(r.ByHand, place)
		}
	}
}

// Do renames the drop-ins. It returns the files' new names.
func (r Removal) Do() (renamed []string, err error) {
	for _, file := range r.Files {
		err := setAside(file)
		var link *os.LinkError
		if errors.As(err, &link) {
			err = fmt.Errorf("the drop-in %q cannot be renamed, so it stays in force: %w", file, link.Err)
		}
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run this again as root", err)
		}
		if err != nil {
			return renamed, err
		}
		renamed = append(renamed, file+removed)
	}
	return renamed, nil
}

// setAside renames a drop-in. If an earlier removal left a file with another text under the new name, setAside first
// appends a number to the name of that earlier file.
func setAside(file string) error {
	aside := file + removed
	text, _ := os.ReadFile(file)
	if earlier, err := os.ReadFile(aside); !errors.Is(err, fs.ErrNotExist) && !bytes.Equal(text, earlier) {
		if err := os.Rename(aside, unused(aside)); err != nil {
			return err
		}
	}
	return os.Rename(file, aside)
}

// unused returns the first of file.1, file.2, … that does not exist.
func unused(file string) string {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.%d", file, n)
		if _, err := os.Lstat(name); err != nil {
			return name
		}
	}
}
