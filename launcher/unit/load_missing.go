package unit

// What is said where a unit is masked or was not found.

import (
	"fmt"
	"os"
	"path"
	"strings"
)

func (f finder) masked(name, file string) error {
	unmask, systemctl := "", "systemctl"
	if f.root != "" {
		systemctl += " --root=" + f.root
	}
	switch {
	case strings.HasPrefix(file, systemEtc+"/"):
		unmask = fmt.Sprintf("; '%s unmask %s' first", systemctl, name)
	case strings.HasPrefix(file, "/run/systemd/system/"):
		unmask = fmt.Sprintf("; '%s unmask --runtime %s' first", systemctl, name)
	}
	return fmt.Errorf("%s is masked (%s): systemd never starts it%s", name, f.at(file), unmask)
}

// notFound says what there is instead: a template, or an init script, of which systemd makes a unit when it starts.
func (f finder) notFound(name string) error {
	short := strings.TrimSuffix(name, suffix)
	script := "/etc/init.d/" + short
	if _, _, ok := f.chain(short + "@" + suffix); ok {
		return fmt.Errorf("%s was not found, but there is the template %s@%s; write %q, or %q for one instance", name, short, suffix, short+"@", short+"@INSTANCE")
	}
	if home, err := os.UserHomeDir(); err == nil && f.home == "" {
		for _, dir := range userSearch(home) {
			if _, err := os.Lstat(f.at(path.Join(dir, name))); err == nil {
				return fmt.Errorf("%s is no unit of the system's, but one of users' managers; write %q", name, path.Join(dir, name))
			}
		}
	}
	if _, err := os.Stat(f.at(script)); err == nil {
		return fmt.Errorf("%s has no unit file, only the init script %s, of which systemd makes a unit while it runs: ask again there, or put 'eval \"$(arenacap env --service %s)\"' into the script or a file that it sources (/etc/default/%s)",
			name, f.at(script), short, short)
	}
	return fmt.Errorf("%s was not found in %d folders from %s to %s; 'systemctl list-unit-files' lists what is there, and a path with a slash is taken as a file",
		name, len(f.dirs), f.at(f.dirs[0]), f.at(f.dirs[len(f.dirs)-1]))
}
