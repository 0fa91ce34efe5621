package unit

// This file finds the environment variables of a service that affect a cap.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// capNames are the variables that affect a cap.
var capNames = [...]string{"LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST", "ARENACAP_POLICY", "ARENACAP_SERVICE"}

// Environment returns the variables of the unit's Environment= without those that UnsetEnvironment= removes.
func (u Unit) Environment() []string {
	return slices.DeleteFunc(u.words("Environment"), u.unsets)
}

// unsets reports whether UnsetEnvironment= removes a variable. entry is NAME=VALUE, or NAME if the value is not known. A
// word of UnsetEnvironment= is NAME, or NAME=VALUE, which removes the variable only if it has this value.
func (u Unit) unsets(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return slices.ContainsFunc(u.words("UnsetEnvironment"), func(w string) bool { return w == name || w == entry })
}

// passed returns the names in capNames that PassEnvironment= passes on from the service manager.
func (u Unit) passed() []string {
	return slices.DeleteFunc(u.words("PassEnvironment"), func(name string) bool {
		return !slices.Contains(capNames[:], name) || u.unsets(name)
	})
}

// envFile is a file of EnvironmentFile= and the names in capNames that it sets.
type envFile struct {
	File  string
	Names []string
}

// lookSettings returns the files of the unit's EnvironmentFile= lines, which may be glob patterns, that set a variable
// in capNames.
func (u Unit) lookSettings() []envFile {
	var all []envFile
	for _, s := range u.list("EnvironmentFile") {
		files, _ := filepath.Glob(u.expanded(strings.TrimPrefix(s.value, "-"))) // systemd ignores a malformed pattern
		for _, file := range files {
			if names := u.namesIn(file); len(names) > 0 {
				all = append(all, envFile{file, names})
			}
		}
	}
	return all
}

func (u Unit) namesIn(file string) (names []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	for _, name := range capNames {
		sets := func(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, blanks), name+"=") }
		if slices.ContainsFunc(lines, sets) && !u.unsets(name) {
			names = append(names, name)
		}
	}
	return names
}
