package unit

// This file finds the drop-ins of a unit, in the order in which they apply.

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// dropIns lists the drop-ins of a unit in the order in which they apply: by file name. Of several files with the same
// name the one in the first directory hides the others, even if it is a link to /dev/null or a broken link (v252:
// src/shared/dropin.c, unit_file_find_dropin_paths).
func (f finder) dropIns(name, alias string) ([]string, error) {
	byName := map[string]string{}
	for _, dir := range f.dropInDirs(name, alias) {
		entries, err := os.ReadDir(f.at(dir))
		if errors.Is(err, fs.ErrPermission) {
			return nil, closedTo(f.at(dir), err)
		}
		for _, e := range entries {
			base := e.Name()
			if _, taken := byName[base]; !taken && strings.HasSuffix(base, ".conf") && base[0] != '.' {
				byName[base] = path.Join(dir, base)
			}
		}
	}
	var files []string
	for _, base := range slices.Sorted(maps.Keys(byName)) {
		file, err := f.follow(byName[base])
		if err != nil || file == "/dev/null" {
			continue
		}
		if info, err := os.Stat(f.at(file)); err == nil && info.Mode().IsRegular() {
			files = append(files, byName[base])
		}
	}
	return files, nil
}

// dropInDirs lists the directories of drop-ins, highest priority first: for the unit's name, its aliases, all services.
func (f finder) dropInDirs(name, alias string) []string {
	var dirs []string
	for _, n := range append([]string{name, alias}, f.aliases(name)...) {
		for _, dir := range f.dirs {
			for _, general := range generalNames(n) {
				dirs = append(dirs, path.Join(dir, general+".d"))
			}
		}
	}
	for _, dir := range f.dirs {
		dirs = append(dirs, path.Join(dir, "service.d"))
	}
	return dirs
}
