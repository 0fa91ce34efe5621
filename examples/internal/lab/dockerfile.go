package lab

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Stage is one stage of a Dockerfile: what makes its image, and how a container of it starts.
type Stage struct {
	From, Name string
	Steps      []Step // WORKDIR, COPY and RUN, in order
	User       string // "UID:GID"
	Entrypoint []string
	Cmd        []string
}

// Step is one instruction that changes the image.
type Step struct {
	Word string   // WORKDIR, COPY or RUN
	Args []string // RUN: the line for the shell; COPY: the sources and the place
	From string   // COPY --from: the name of the stage that is copied from; "" is the build's context
}

// ParseDockerfile reads the part of the Dockerfile format that the examples use: FROM … AS, WORKDIR, COPY, RUN, USER
// with numbers, ENTRYPOINT and CMD in their exec form. Whatever else stands there is an error with its line. A line
// ends with its newline, a comment is a line that begins with "#" (docs.docker.com/reference/dockerfile).
func ParseDockerfile(text string) ([]Stage, error) {
	var stages []Stage
	n := 0
	for line := range strings.Lines(text) {
		n++
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		if word == "" || word[0] == '#' {
			continue
		}
		if word == "FROM" {
			f := strings.Fields(rest)
			if len(f) != 1 && (len(f) != 3 || f[1] != "AS") {
				return nil, fmt.Errorf("line %d: %q: want FROM IMAGE [AS NAME]", n, rest)
			}
			stages = append(stages, Stage{From: f[0], Name: f[len(f)-1]})
			continue
		}
		if len(stages) == 0 {
			return nil, fmt.Errorf("line %d: %q before the first FROM", n, word)
		}
		if err := stages[len(stages)-1].add(word, rest); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(stages) == 0 {
		return nil, fmt.Errorf("no FROM")
	}
	return stages, nil
}

func (s *Stage) add(word, rest string) (err error) {
	if strings.HasSuffix(rest, `\`) {
		return fmt.Errorf("%s goes on in the next line, which is not read here", word)
	}
	if word == "RUN" && s.User != "" {
		return fmt.Errorf("RUN after USER: it would not be root that runs it")
	}
	switch word {
	case "ENTRYPOINT":
		s.Entrypoint, err = execForm(word, rest)
	case "CMD":
		s.Cmd, err = execForm(word, rest)
	case "USER":
		var uid, gid uint32
		if _, err := fmt.Sscanf(rest, "%d:%d", &uid, &gid); err != nil {
			return fmt.Errorf("USER %q: want UID:GID in numbers", rest)
		}
		s.User = rest
	case "WORKDIR", "RUN":
		if rest == "" {
			return fmt.Errorf("%s without anything", word)
		}
		s.Steps = append(s.Steps, Step{Word: word, Args: []string{rest}})
	case "COPY":
		step, err := copyStep(rest)
		if err != nil {
			return err
		}
		s.Steps = append(s.Steps, step)
	default:
		return fmt.Errorf("%q is not known here", word)
	}
	return err
}

func copyStep(rest string) (Step, error) {
	step := Step{Word: "COPY", Args: strings.Fields(rest)}
	if len(step.Args) > 0 {
		if from, ok := strings.CutPrefix(step.Args[0], "--from="); ok {
			step.From, step.Args = from, step.Args[1:]
		}
	}
	if len(step.Args) < 2 || slices.ContainsFunc(step.Args, func(s string) bool { return strings.HasPrefix(s, "-") }) {
		return step, fmt.Errorf("COPY %q: want COPY [--from=STAGE] SOURCE… PLACE", rest)
	}
	return step, nil
}

func execForm(word, rest string) (args []string, err error) {
	if err := json.Unmarshal([]byte(rest), &args); err != nil || len(args) == 0 {
		return nil, fmt.Errorf("%s %q: want the exec form, [\"PROGRAM\", \"ARG\"]", word, rest)
	}
	return args, nil
}
