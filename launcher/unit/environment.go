package unit

// The variables that a service gets, as far as they matter to a cap.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// capNames are the variables that matter to a cap.
var capNames = [...]string{"LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST", "ARENACAP_POLICY", "ARENACAP_SERVICE"}

// Environment is what the unit's Environment= sets and UnsetEnvironment= leaves.
func (u Unit) Environment() []string {
	return slices.DeleteFunc(u.words("Environment"), u.unsets)
}

// unsets reports whether UnsetEnvironment= takes an assignment away: by its name, or where all of it is the same.
func (u Unit) unsets(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return slices.ContainsFunc(u.words("UnsetEnvironment"), func(w string) bool { return w == name || w == entry })
}

// passed are the variables that matter and have the value of the service manager.
func (u Unit) passed() []string {
	return slices.DeleteFunc(u.words("PassEnvironment"), func(name string) bool {
		return !slices.Contains(capNames[:], name) || u.unsets(name)
	})
}

// envFile are the names in a file of EnvironmentFile= that matter to a cap.
type envFile struct {
	File  string
	Names []string
}

// lookSettings reads the unit's EnvironmentFile=s, which may be patterns. Only which names they set matters here.
func (u Unit) lookSettings() []envFile {
	var all []envFile
	for _, s := range u.list("EnvironmentFile") {
		files, _ := filepath.Glob(u.expanded(strings.TrimPrefix(s.value, "-"))) // systemd ignores a pattern that is wrong
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
