package policy

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the .want files")

// TestCheckFiles compares the problems of each testdata/check/NAME.toml with NAME.want, one line per problem.
func TestCheckFiles(t *testing.T) {
	t.Chdir("testdata/check")
	files, _ := filepath.Glob("*.toml")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := render(checkText(file, data))
			golden := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func render(found problems) string {
	var b strings.Builder
	for _, p := range found {
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}

// Check reports problems that Load accepts.
func TestCheckSaysWhatWouldFailLater(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/text", "")
	write(t, dir+"/log", "")
	write(t, dir+"/run", "#!/bin/sh\n")
	for _, do := range []error{os.Chmod(dir+"/run", 0o755), os.Symlink(dir+"/none/log", dir+"/leads-nowhere"), os.Symlink("later.log", dir+"/leads-to-later")} {
		if do != nil {
			t.Fatal(do)
		}
	}
	for text, want := range map[string]string{
		`budget.virtual = 4096`:             `1:18: virtual = 4096 has no unit, so it means 4 KiB; write the unit: virtual = "4096MiB" or "4096GiB"`,
		`budget.resident = "512"`:           `1:19: resident = 512 has no unit, so it means 512 B; write the unit: resident = "512MiB" or "512GiB"`,
		`service.a.budget.arenas = 1048575`: `1:27: arenas = 1048575 has no unit, so it means 1 MiB; write the unit: arenas = "1048575MiB" or "1048575GiB"`,
		`budget.virtual = 1048576`:          ``,
		`budget.virtual = "4KiB"`:           ``,
		`budget.virtual = "off"`:            ``,
		`arenas.max_reserved = "1KiB"`: `1:23: max_reserved = 1KiB leaves room for the main arena only: each other arena reserves 64 MiB, or 1 MiB in a 32-bit program; ` +
			`write for example max_reserved = "1GiB", or cap = 1 for the main arena alone`,
		`arenas.max_reserved = "1MiB"`:                                          ``,
		`arenas.max_reserved = "1%"`:                                            ``,
		`arenas.max_reserved = "off"`:                                           ``,
		`budget.command = ["DIR/none"]`:                                         `1:18: command "DIR/none" does not exist; write the path of a program that is installed here`,
		`budget.command = ["DIR/text"]`:                                         `1:18: command "DIR/text" is not executable; type chmod +x DIR/text`,
		`budget.command = ["DIR"]`:                                              `1:18: command "DIR" is not a file; write the path of a program`,
		`budget.command = ["DIR/text/run"]`:                                     `1:18: command "DIR/text/run": not a directory; write the path of a program`,
		`budget.command = ["DIR/run"]`:                                          ``,
		`budget.action = "terminate"`:                                           `1:17: action = "terminate" has no effect without a limit; add for example budget.virtual = "4GiB"`,
		`budget.action = "report"`:                                              ``,
		"budget.action = \"terminate\"\n[service.a]\nbudget.data = \"1GiB\"":    ``,
		"budget.virtual = \"1GiB\"\n[service.a]\nbudget.action = \"terminate\"": ``,
		"budget.virtual = \"1GiB\"\n[service.a.budget]\nvirtual = \"off\"\naction = \"terminate\"":         `4:10: action = "terminate" has no effect without a limit; add for example budget.virtual = "4GiB"`,
		`budget.command = ["/opt/{service}/on-breach"]`:                                                    ``,
		`budget.command = ["DIR/run", "{pid}", "{}", "{a,b}", "{value}/{limit}:{service}{event}{metric}"]`: ``,
		`budget.command = ["DIR/run", "--pid={pdi}"]`:                                                      `1:18: command has the unknown placeholder {pdi}; did you mean "{pid}"?`,
		`budget.command = ["DIR/run", "{pid} {PID}"]`:                                                      `1:18: command has the unknown placeholder {PID}; did you mean "{pid}"?`,
		`budget.command = ["DIR/run", "${HOSTNAME}"]`:                                                      `1:18: command runs without a shell, which would expand "${HOSTNAME}"; the placeholders are {pid}, {service}, {event}, {metric}, {value}, {limit}`,
		`budget.command = ["DIR/run", "$PID"]`:                                                             `1:18: command runs without a shell, which would expand "$PID"; the placeholders are {pid}, {service}, {event}, {metric}, {value}, {limit}`,
		`log.to = "DIR/none/arenacap.log"`:                                                                 `1:10: to = "DIR/none/arenacap.log" in [log]: the folder "DIR/none" does not exist; type mkdir -p DIR/none`,
		`log.to = "DIR/leads-nowhere"`:                                                                     `1:10: to = "DIR/none/log" in [log]: the folder "DIR/none" does not exist; type mkdir -p DIR/none`,
		`log.to = "DIR"`:                                                                                   `1:10: to = "DIR" in [log] is a folder; name a file in this folder, such as DIR/arenacap.log`,
		`log.to = "DIR/text/log"`:                                                                          `1:10: to = "DIR/text/log" in [log] cannot be opened by uid UID: not a directory; name a file that this user may write`,
		`log.to = "DIR/log"`:                                                                               ``,
		`log.to = "DIR/new"`:                                                                               ``,
		`log.to = "DIR/leads-to-later"`:                                                                    ``,
		`log.to = "/dev/null"`:                                                                             ``,
		"log.to = \"DIR\"\nservice.a.log.format = \"json\"\n":                                              `1:10: to = "DIR" in [log] is a folder; name a file in this folder, such as DIR/arenacap.log`,
		"budget.virtual = \"x\"\nbudget.command = [\"DIR/none\"]\n": `1:18: virtual: "x" is not a size; write bytes or a number with KiB, MiB, GiB or TiB (K, M, G, T for short), for example "4GiB"` + "\n" +
			`2:18: command "DIR/none" does not exist; write the path of a program that is installed here`,
	} {
		text = strings.ReplaceAll(text, "DIR", dir)
		var got []string
		for _, p := range checkText("p.toml", []byte(text)) {
			line, _, _ := strings.Cut(strings.TrimPrefix(p.Error(), "p.toml:"), " | ")
			got = append(got, line)
		}
		want = strings.NewReplacer("DIR", dir, "UID", strconv.Itoa(os.Geteuid())).Replace(want)
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, strings.Join(got, "\n"), want)
		}
		if _, err := read("p.toml", []byte(text), ""); err != nil && !strings.Contains(text, `"x"`) {
			t.Errorf("a launch refuses %s: %v", text, err)
		}
	}
	if _, err := os.Lstat(dir + "/new"); err == nil {
		t.Error("check made the log file")
	}
}
