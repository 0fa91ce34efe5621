package unit

// Names of units: what a valid one is, instances and templates (systemd.unit(5)).

import (
	"fmt"
	"path"
	"strings"
)

// unitTypes are the suffixes of the other kinds of units.
const unitTypes = ".socket .target .timer .mount .automount .swap .path .slice .scope .device .snapshot "

// serviceName completes a name as systemctl(1) does.
func serviceName(name string) (string, error) {
	stem := strings.TrimSuffix(name, suffix)
	ext := path.Ext(name)
	switch {
	case ext != "" && strings.Contains(unitTypes, ext+" "):
		return "", fmt.Errorf("%q is no service, and only services have ExecStart=; write %q", name, strings.TrimSuffix(name, ext)+suffix)
	case strings.Trim(stem, ".@") == "" || strings.HasPrefix(stem, "@") || strings.ContainsFunc(name, notInName) || len(stem) > 255-len(suffix):
		return "", fmt.Errorf("%q is no unit's name (letters, digits and :-_.\\@; systemd-escape(1) writes others so)", name)
	}
	return stem + suffix, nil
}

// notInName is what no unit's name has (systemd.unit(5)).
func notInName(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(`:-_.\@`, r)
}

// fileName is the unit's name of a file. One that is no service's own file is refused.
func fileName(operand string) (string, error) {
	name, dir := path.Base(operand), path.Base(path.Dir(operand))
	if of, ok := strings.CutSuffix(dir, ".d"); ok && strings.HasSuffix(name, ".conf") {
		return "", fmt.Errorf("%q is a drop-in; ask for %q", operand, of)
	}
	if _, err := serviceName(name); err != nil {
		return "", err
	}
	if !strings.HasSuffix(name, suffix) {
		return "", fmt.Errorf("%q is no service's file: its name would end in %q", operand, suffix)
	}
	return name, nil
}

// template is the name of an instance's template, "foo@.service" for "foo@bar.service".
func template(name string) string {
	prefix, instance, ok := strings.Cut(name, "@")
	if !ok || instance == suffix {
		return name
	}
	return prefix + "@" + suffix
}

// ofTemplate is a real name with the instance of the alias that led to it.
func ofTemplate(real, alias string) string {
	_, instance, ok := strings.Cut(alias, "@")
	if before, after, isTemplate := strings.Cut(real, "@"); ok && isTemplate && after == suffix {
		return before + "@" + instance
	}
	return real
}

// generalNames are a name and those that stand for more units: for "foo-bar@x.service" the template's and its own, and
// "foo-@x.service" with its own (systemd.unit(5), "foo-.service.d/"). Of a template without an instance, "foo-@.service",
// systemd makes "foo-.service".
func generalNames(name string) []string {
	all := []string{name}
	prefix, instance, isInstance := strings.Cut(strings.TrimSuffix(name, suffix), "@")
	if isInstance = isInstance && instance != ""; isInstance {
		all = append(all, generalNames(prefix+"@"+suffix)...)
	}
	dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
	switch {
	case dash <= 0:
		return all
	case isInstance:
		return append(all, generalNames(prefix[:dash+1]+"@"+instance+suffix)...)
	}
	return append(all, generalNames(prefix[:dash+1]+suffix)...)
}
