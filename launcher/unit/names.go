package unit

// This file checks unit names, and converts between instances and templates (systemd.unit(5)).

import (
	"fmt"
	"path"
	"strings"
)

// unitTypes are the suffixes of all unit types except services.
const unitTypes = ".socket .target .timer .mount .automount .swap .path .slice .scope .device .snapshot "

// serviceName adds ".service" to a name, as systemctl(1) does, and rejects other unit types and invalid names.
func serviceName(name string) (string, error) {
	stem := strings.TrimSuffix(name, suffix)
	switch {
	case otherType(name) != "":
		return "", fmt.Errorf("%q is not a service, and only services have ExecStart=", name)
	case strings.Trim(stem, ".@") == "" || strings.HasPrefix(stem, "@") || strings.ContainsFunc(name, notInName) || len(stem) > 255-len(suffix):
		return "", fmt.Errorf("%q is not a unit name; use letters, digits and :-_.\\@ (systemd-escape(1) escapes other characters)", name)
	}
	return stem + suffix, nil
}

// otherType returns the stem of a name that has the suffix of a unit type other than service, and "" for any other name.
func otherType(name string) string {
	if ext := path.Ext(name); ext != "" && strings.Contains(unitTypes, ext+" ") {
		return strings.TrimSuffix(name, ext)
	}
	return ""
}

// serviceName does what the function serviceName does. In addition, the error for a unit of another type, such as a socket,
// names the service of that unit.
func (f finder) serviceName(name string) (string, error) {
	service, err := serviceName(name)
	if stem := otherType(name); err != nil && stem != "" {
		for _, of := range []string{stem + suffix, stem + "@" + suffix} {
			if _, _, ok := f.chain(of); ok {
				return "", fmt.Errorf("%w; use the unit %q instead", err, of)
			}
		}
		err = fmt.Errorf("%w; 'systemctl list-units --type=service' lists the services", err)
	}
	return service, err
}

// notInName reports whether a character is invalid in a unit name (systemd.unit(5)).
func notInName(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(`:-_.\@`, r)
}

// fileName returns the unit name of a service's file, and rejects other files.
func fileName(operand string) (string, error) {
	name, dir := path.Base(operand), path.Base(path.Dir(operand))
	if of, ok := strings.CutSuffix(dir, ".d"); ok && strings.HasSuffix(name, ".conf") {
		return "", fmt.Errorf("%q is a drop-in; use the unit %q instead", operand, of)
	}
	if _, err := serviceName(name); err != nil {
		return "", err
	}
	if !strings.HasSuffix(name, suffix) {
		return "", fmt.Errorf("%q is not a service's file; the name of such a file ends in %q", operand, suffix)
	}
	return name, nil
}

// template is the name of an instance's template: "foo@.service" for "foo@bar.service".
func template(name string) string {
	prefix, instance, ok := strings.Cut(name, "@")
	if !ok || instance == suffix {
		return name
	}
	return prefix + "@" + suffix
}

// ofTemplate inserts the alias's instance into a real name that is a template.
func ofTemplate(real, alias string) string {
	_, instance, ok := strings.Cut(alias, "@")
	if before, after, isTemplate := strings.Cut(real, "@"); ok && isTemplate && after == suffix {
		return before + "@" + instance
	}
	return real
}

// generalNames returns a name and the more general names whose drop-ins apply to it too (systemd.unit(5),
// "foo-.service.d/"). For "foo-bar@x.service" these are the template "foo-bar@.service" and the shorter "foo-@x.service",
// each followed by its own general names. systemd shortens a template "foo-bar@.service" to "foo-.service", not to
// "foo-@.service".
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
