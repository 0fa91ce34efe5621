package target

// This file reads the configuration of sudo and doas, to find out whether they keep an environment variable.

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sudoKeeps reports whether sudo keeps a variable by default (sudoers(5)). The answer is Unknown if a file is unreadable or
// a setting holds only for some users, hosts or commands.
func (fs fsys) sudoKeeps(variable string) Answer {
	s := sudoers{fs: fs, variable: variable}
	s.read("/etc/sudoers", 0)
	if s.unread || s.some {
		return Unknown
	}
	return answer(s.keeps || s.open)
}

type sudoers struct {
	fs       fsys
	variable string
	keeps    bool // env_keep lists the variable
	open     bool // !env_reset: sudo keeps all variables
	some     bool // a setting holds only for some users, hosts or commands
	unread   bool // a file could not be read
}

// read parses the lines "Defaults[@:!>LIST] SETTING[, SETTING…]" and follows includes.
func (s *sudoers) read(file string, depth int) {
	text, err := s.fs.readFile(file)
	if err != nil || depth > 8 {
		s.unread = true
		return
	}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch {
		case strings.HasPrefix(word, "Defaults"):
			s.defaults(rest, word != "Defaults")
		case word == "@include" || word == "#include":
			s.read(within(file, rest), depth+1)
		case word == "@includedir" || word == "#includedir":
			for _, included := range s.fs.sudoFolder(within(file, rest)) {
				s.read(included, depth+1)
			}
		}
	}
}

func within(file, name string) string {
	if name = strings.Trim(name, `"`); path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(file), name)
}

// sudoFolder lists the files of a directory that sudo includes: names without "." and without a final "~".
func (fs fsys) sudoFolder(dir string) []string {
	names, _ := filepath.Glob(fs.path(dir) + "/*")
	names = slices.DeleteFunc(names, func(n string) bool {
		return strings.Contains(path.Base(n), ".") || strings.HasSuffix(n, "~")
	})
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], fs.root)
	}
	return names
}

func (s *sudoers) defaults(settings string, some bool) {
	quoted := false
	for _, setting := range strings.FieldsFunc(settings, func(r rune) bool {
		quoted = quoted != (r == '"')
		return r == ',' && !quoted
	}) {
		name, value, _ := strings.Cut(strings.TrimSpace(setting), "=")
		name = strings.TrimSpace(name)
		listed := slices.ContainsFunc(strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)), func(pattern string) bool {
			pattern, _, _ = strings.Cut(pattern, "=")
			ok, _ := path.Match(pattern, s.variable)
			return ok
		})
		switch operation := name[max(0, len(name)-1):]; {
		case strings.TrimRight(name, "+- ") == "env_keep" && (listed || operation == "p"):
			s.some = s.some || some
			s.keeps = listed && operation != "-"
		case name == "env_reset" || name == "!env_reset":
			s.some = s.some || some
			s.open = name[0] == '!'
		}
	}
}

// doasKeeps reports whether doas keeps a variable (doas.conf(5)). The answer is Unknown if doas.conf is unreadable or has
// no permit rule, or if only some of its permit rules keep the variable.
func (fs fsys) doasKeeps(variable string) Answer {
	text, err := fs.readFile("/etc/doas.conf")
	if err != nil {
		return Unknown
	}
	var answers []Answer
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ").Replace(line))
		if len(words) == 0 || words[0] != "permit" {
			continue
		}
		keeps := slices.Contains(words, "keepenv") || slices.Contains(words, variable) || slices.Contains(words, variable+"=$"+variable)
		if slices.Contains(words, "-"+variable) {
			keeps = false
		}
		answers = append(answers, answer(keeps))
	}
	if answers = slices.Compact(answers); len(answers) == 1 {
		return answers[0]
	}
	return Unknown
}
