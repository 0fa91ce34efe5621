package lab

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseDockerfile(t *testing.T) {
	got, err := ParseDockerfile(`# a comment
FROM golang:1.26 AS build
WORKDIR /src
COPY . .

FROM debian
COPY --from=build /a /b /usr/bin/
RUN echo "a  b" && true
USER 1:2
ENTRYPOINT ["/a", "x y"]
CMD ["z"]
`)
	want := []Stage{
		{From: "golang:1.26", Name: "build", Steps: []Step{{"WORKDIR", []string{"/src"}, ""}, {"COPY", []string{".", "."}, ""}}},
		{From: "debian", Name: "debian", Steps: []Step{{"COPY", []string{"/a", "/b", "/usr/bin/"}, "build"}, {"RUN", []string{`echo "a  b" && true`}, ""}},
			User: "1:2", Entrypoint: []string{"/a", "x y"}, Cmd: []string{"z"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
}

// What the examples do not use is not read as something else.
func TestParseDockerfileRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "no FROM",
		"RUN true":                        `line 1: "RUN" before the first FROM`,
		"FROM a b":                        "want FROM IMAGE [AS NAME]",
		"FROM a\n\nADD b c":               `line 3: "ADD" is not known here`,
		"FROM a\nCMD run me":              "want the exec form",
		"FROM a\nENTRYPOINT []":           "want the exec form",
		"FROM a\nCOPY b":                  "want COPY [--from=STAGE] SOURCE… PLACE",
		"FROM a\nCOPY --chown=1:1 b c":    "want COPY [--from=STAGE] SOURCE… PLACE",
		"FROM a\nRUN a && \\\n  b":        "goes on in the next line",
		"FROM a\nUSER nobody":             "want UID:GID in numbers",
		"FROM a\nUSER 1:2\nRUN something": "RUN after USER",
	} {
		if stages, err := ParseDockerfile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %q", text, stages, err, want)
		}
	}
}

func FuzzParseDockerfile(f *testing.F) {
	f.Add("FROM a AS b\nCOPY --from=b c d\nRUN e\nUSER 1:2\nCMD [\"f\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		stages, err := ParseDockerfile(text)
		if (err == nil) != (len(stages) > 0) {
			t.Errorf("%d stages, %v", len(stages), err)
		}
	})
}
