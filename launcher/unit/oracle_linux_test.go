package unit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/testenv"
	"arenacap/policy"
)

func TestMain(m *testing.M) {
	testenv.Reset()
	m.Run()
}

// write creates files below a directory. A name that ends in "->" makes a link, and its text is the target.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		link := strings.HasSuffix(name, "->")
		file := filepath.Join(dir, strings.TrimSuffix(name, "->"))
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil && link {
			err = os.Symlink(text, file)
		} else if err == nil {
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// systemdReads returns the drop-ins and the commands that systemd reads for each name in the search path.
// systemd-analyze(1) loads units as the manager does, and prints them on stdout if its log level is debug. The commands
// are as printed, with arguments quoted where needed.
func systemdReads(t testing.TB, search string, names ...string) (dropIns, commands map[string][]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-analyze", append([]string{"verify", "--man=no"}, names...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_UNIT_PATH=" + search}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil || len(out) == 0 {
		t.Fatalf("systemd-analyze verify: %v", err)
	}
	dropIns, commands = map[string][]string{}, map[string][]string{}
	unit, starting := "", false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "-> Unit "); ok {
			unit = strings.TrimSuffix(name, ":")
		}
		file, ok := strings.CutPrefix(line, "DropIn Path: ")
		if info, err := os.Stat(file); ok && err == nil && info.Mode().IsRegular() { // systemd also lists links to /dev/null, which hide drop-ins of the same name
			dropIns[unit] = append(dropIns[unit], file)
		}
		command, ok := strings.CutPrefix(line, "Command Line: ")
		if ok && starting {
			commands[unit] = append(commands[unit], command)
		}
		starting = ok && starting || line == "-> ExecStart:"
	}
	return dropIns, commands
}

// anyPlan is a plan with a cap and no budget.
func anyPlan() policy.Plan {
	p, err := policy.Builtin().Resolve(policy.Machine{Online: policy.Reading[int]{N: 2}})
	if err != nil {
		panic(err)
	}
	return p
}

const ownPath = "/usr/bin/arenacap"

// install plans a drop-in for a unit in a directory and writes it there.
func install(t testing.TB, dir, name string) DropIn {
	t.Helper()
	u, err := finder{dirs: []string{dir}}.load(name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Plan(u, Wish{Flags: []string{"--service", "x"}, Plan: anyPlan()}, Found{own: ownAt(ownPath, 64)})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{u.Name + ".d/" + u.own: d.Text})
	return d
}

const inFront = ownPath + " run --service x -- "

// situations are unit files with commands that a parser may easily read wrongly.
var situations = map[string]string{
	"plain":         "[Service]\nExecStart=/bin/echo a b",
	"continued":     "[Service]\nExecStart=/bin/echo a \\\n  b\\\nc \\\n\nType=simple",
	"comments":      "[Service]\n# x \\\nExecStart=/bin/echo a \\\n# no \\\n ; no\n  b \\\n#\n\tc",
	"quotes":        `[Service]` + "\n" + `ExecStart="/bin/echo" "a b" 'c d' e"f g"h 'i"j' "" x\x20y \s \\ "\"" '\''`,
	"prefix":        "[Service]\nExecStart=-/bin/echo a",
	"prefixes":      "[Service]\nExecStart=-:!!/bin/echo $a ${a}",
	"prefix quoted": `[Service]` + "\n" + `ExecStart="-/bin/echo" a` + "\n" + `ExecStart='-'/bin/echo a` + "\nType=oneshot",
	"escape prefix": `[Service]` + "\n" + `ExecStart=\x2d/bin/ec\x68o a`,
	"variables":     "[Service]\nExecStart=/bin/echo $HOME ${HOME} $$ $${X} a$b",
	"specifiers":    "[Service]\nExecStart=/bin/%p %n %% %%n %t/x %i-",
	"paths":         "[Service]\nType=oneshot\nExecStart=-%h/bin/a\nExecStart=/bin/true\nExecStart=%S/app/run %E ; %t/x ; %C/y %L ; \"%T/z\" ; %V/w ; %Y/y ; :%%x\nExecStart=-/bin/%i ; /bin/lost\nExecStart=-%H/x\nExecStart=-%q%\nExecStart=-%f/x ; %p ; -x%!y ; -/bin/a/%I b%! %; %j\nExecStart=-x%Zy\nExecStart=-/bin/a %Z ; /bin/lost",
	"several":       "[Service]\nType=oneshot\nExecStart=/bin/a ; /bin/b x ;; -/bin/c ;y \\; \";\" ; \nExecStart=/bin/d",
	"reset":         "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n[Unit]\nExecStart=/bin/c\n[Service]\nType=oneshot\nExecStart=/bin/d",
	"crlf":          "[Service]\r\nExecStart=/bin/a b \\\r\n c\r\n",
	"bom":           "\ufeff[Service]\nExecStart=/bin/a b",
	"backslashes":   "[Service]\nExecStart=/bin/a \\\\\nType=exec\n",
	"backslash":     "[Service]\nExecStart=/bin/a b\\ \nType=exec\n",
	"open end":      "[Service]\nExecStart=/bin/a b \\",
	"unknown":       "[Service]\nbogus\nExecStart=/bin/a \\q \\x0 b\n=x\nNo.Such = 3",
	"blanks":        "  [Service]  \n\t ExecStart \t=  /bin/a \t b  \n",
	"long":          "[Service]\nExecStart=/bin/a " + strings.Repeat("x", 5000) + " b",
	"relative":      "[Service]\nExecStart=echo a",
	"shell":         "[Service]\nExecStart=/bin/sh -c \"a; [ $? -eq 0 ] || exit 1; \\\n exec /bin/b $X\"",
	"nul":           "[Service]\nExecStart=/bin/a b\x00Type=oneshot\x00ExecStart=/bin/c",
}

// With the drop-in, systemd passes the same arguments as before, after those of arenacap.
func TestSystemdReadsTheSameCommands(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	dir := t.TempDir()
	var names []string
	for situation, text := range situations {
		name := strings.ReplaceAll(situation, " ", "_") + suffix
		write(t, dir, map[string]string{name: text})
		names = append(names, name)
	}
	sameCommands(t, dir, names...)
}

// sameCommands puts arenacap in front of the units in a directory. systemd must read the same commands behind
// arenacap as before.
func sameCommands(t *testing.T, dir string, names ...string) {
	t.Helper()
	_, before := systemdReads(t, dir, names...)
	commands := map[string][]command{}
	for _, name := range names {
		u, err := finder{dirs: []string{dir}}.load(name)
		if err != nil {
			t.Fatal(err)
		}
		commands[name] = u.commands
		install(t, dir, name)
	}
	_, after := systemdReads(t, dir, names...)
	for _, name := range names {
		if n := len(commands[name]); len(before[name]) != n || len(after[name]) != n {
			t.Errorf("%s: %d commands; systemd reads %q, and with the drop-in %q", name, n, before[name], after[name])
			continue
		}
		for i, c := range commands[name] {
			if !keeps(c, before[name][i], after[name][i]) {
				t.Errorf("%s: systemd starts\n%s\nand with the drop-in\n%s", name, before[name][i], after[name][i])
			}
		}
	}
}

// The argv[0] after "@" is passed on with --argv0.
func TestSystemdReadsTheZerothArgument(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	dir := t.TempDir()
	const name = "named.service"
	write(t, dir, map[string]string{name: "[Service]\nExecStart=-@/bin/sh \"-b sh\" 'c d' $e"})
	_, before := systemdReads(t, dir, name)
	install(t, dir, name)
	_, after := systemdReads(t, dir, name)
	if want := `"-b sh" "c d" "\$e"`; len(before[name]) != 1 || before[name][0] != want {
		t.Errorf("systemd reads %q, want %q", before[name], want)
	}
	if want := ownPath + ` run --service x --argv0 "-b sh" -- /bin/sh "c d" "\$e"`; len(after[name]) != 1 || after[name][0] != want {
		t.Errorf("systemd reads %q, want %q", after[name], want)
	}
}

// For commands of random pieces, the package rejects the commands that systemd rejects, and keeps all others.
func TestSystemdReadsRandomCommands(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	pieces := strings.Fields(`a b; ; \; " ' "" '' "c '" \x41 \101 \u00e9 \s \n \q \\ \" $X ${X} $$ %% %n %Z % - @ : ! / . ; é ~ # = [ ] \x00 \777 \U0001F600 \ud800`)
	random := rand.New(rand.NewPCG(1, 0))
	dir := t.TempDir()
	var names []string
	for i := range 200 {
		name := fmt.Sprintf("r%d.service", i)
		var b strings.Builder
		for range random.IntN(12) {
			b.WriteString(pieces[random.IntN(len(pieces))])
			if random.IntN(2) == 0 {
				b.WriteByte(' ')
			}
		}
		prefix := []string{"", "", "-", "!", ":-"}[random.IntN(5)]
		program := []string{"/bin/x", "/bin/x", "%h/x", "%f", "%i", "%t/", "x%%", "%Z", "%p", "%H/x", "a%", "%!"}[random.IntN(12)]
		write(t, dir, map[string]string{name: "[Service]\nType=oneshot\nExecStart=" + prefix + program + " " + b.String() + "\nExecStart=/bin/true\n"})
		names = append(names, name)
	}
	_, before := systemdReads(t, dir, names...)
	kept := 0
	for _, name := range names {
		u, err := finder{dirs: []string{dir}}.load(name)
		switch text, _ := os.ReadFile(filepath.Join(dir, name)); {
		case len(before[name]) != len(u.commands) || (err == nil) != (len(u.commands) > 0):
			t.Errorf("%ssystemd reads %q, here %d commands, %v", text, before[name], len(u.commands), err)
		case err == nil:
			install(t, dir, name)
			kept++
		}
	}
	_, after := systemdReads(t, dir, names...)
	for _, name := range names {
		u, _ := finder{dirs: []string{dir}}.load(name)
		for i, c := range u.commands {
			same := len(after[name]) == len(u.commands) && keeps(c, before[name][i], after[name][i])
			// The drop-in doubles a "$" in the program's name, so that after differs from before.
			if dollar := strings.Contains(c.program.value, "$"); !same && !dollar {
				text, _ := os.ReadFile(filepath.Join(dir, name))
				t.Errorf("%sbefore %q\nafter %q", text, before[name], after[name])
				break
			}
		}
	}
	if kept < len(names)/4 {
		t.Errorf("only %d of %d commands are valid", kept, len(names))
	}
}

// keeps reports whether systemd starts the same command with the drop-in as before. For a command with "@" systemd prints
// argv[0] in place of the program; the drop-in gives both argv[0] and the program to arenacap. If stderr is a socket, the
// drop-in adds -q.
func keeps(c command, before, after string) bool {
	after = strings.Replace(after, ownPath+" run --service x -q ", ownPath+" run --service x ", 1)
	if c.argv0 == nil {
		return after == inFront+before
	}
	word := regexp.MustCompile(`^("(\\.|[^"\\])*"|[^ ]*)`)
	argv0 := word.FindString(before)
	behind, named := strings.CutPrefix(after, ownPath+" run --service x --argv0 "+argv0+" -- ")
	return named && behind[len(word.FindString(behind)):] == before[len(argv0):]
}

// The package finds the drop-ins that systemd uses, in systemd's order, from all directories.
func TestSystemdReadsTheSameDropIns(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	dir := t.TempDir()
	const set = "[Service]\nEnvironment=A=1\n"
	write(t, dir, map[string]string{
		"lib/foo-bar.service":                  "[Service]\nType=oneshot\nExecStart=/bin/a",
		"lib/foo-bar.service.d/a.conf":         set,
		"etc/foo-bar.service.d/b.conf":         "[Service]\nExecStart=/bin/b",
		"etc/foo-.service.d/c.conf":            set,
		"lib/service.d/d.conf":                 set,
		"lib/foo-bar.service.d/over.conf":      "[Service]\nExecStart=\nExecStart=/bin/wrong",
		"etc/foo-.service.d/over.conf":         "[Service]\nExecStart=/bin/over",
		"lib/foo-bar.service.d/masked.conf":    "[Service]\nExecStart=/bin/wrong",
		"etc/service.d/masked.conf->":          "/dev/null",
		"etc/foo-bar.service.d/gone.conf->":    "/nowhere/at/all",
		"etc/foo-bar.service.d/.hidden.conf":   "[Service]\nExecStart=/bin/wrong",
		"etc/foo-bar.service.d/dir.conf/x":     "",
		"etc/foo-bar.service.d/other":          "[Service]\nExecStart=/bin/wrong",
		"etc/alias.service->":                  "../lib/foo-bar.service",
		"etc/alias.service.d/e.conf":           "[Service]\nExecStart=/bin/alias",
		"etc/broken.service":                   "[Service]\nExecStart=/bin/a",
		"etc/broken.service.d/a.conf":          "[Service]\nEnvironment=B=1\n[Bad\nExecStart=\nExecStart=/bin/wrong",
		"lib/t@.service":                       "[Service]\nType=oneshot\nExecStart=/bin/t %i",
		"lib/t@.service.d/a.conf":              "[Service]\nExecStart=/bin/ta",
		"etc/t@i.service.d/b.conf":             "[Service]\nExecStart=/bin/tb",
		"etc/t@j.service.d/b.conf":             "[Service]\nExecStart=/bin/wrong",
		"etc/u@.service->":                     "../lib/t@.service",
		"etc/u@k.service.d/c.conf":             "[Service]\nExecStart=/bin/uc",
		"etc/u@i.service.d/c.conf":             "[Service]\nExecStart=/bin/ui",
		"lib/a-b-c@.service":                   "[Service]\nType=oneshot\nExecStart=/bin/a",
		"etc/a-b-@x.service.d/1.conf":          "[Service]\nExecStart=/bin/1",
		"etc/a-@.service.d/2.conf":             "[Service]\nExecStart=/bin/2",
		"etc/a-b-c@x.service.d/3.conf":         "[Service]\nExecStart=/bin/3",
		"etc/a-b-.service.d/4.conf":            "[Service]\nExecStart=/bin/wrong",
		"etc/dash-.service":                    "[Service]\nExecStart=/bin/a",
		"etc/dash-.service.d/1.conf":           set,
		"lib/linked.service->":                 "../elsewhere/linked.service",
		"elsewhere/linked.service":             "[Service]\nExecStart=/bin/linked",
		"elsewhere/linked.service.d/none.conf": "[Service]\nExecStart=/bin/wrong",
		"lib/other.service->":                  "../elsewhere/bar.service", // the link leads out of the search path, so the unit keeps its name
		"elsewhere/bar.service":                "[Service]\nExecStart=/bin/other",
		"etc/other.service.d/1.conf":           set,
		"etc/bar.service.d/1.conf":             "[Service]\nExecStart=/bin/wrong",
		"lib/real.service":                     "[Service]\nExecStart=/bin/vendor",
		"etc/real.service":                     "[Service]\nExecStart=/bin/admin",
		"lib/alia.service->":                   "real.service", // an alias: the target's name counts, not the file that the link leads to
		"etc/chain.service->":                  "../lib/alia.service",
		"etc/chain.service.d/1.conf":           set,
		"lib/v@.service":                       "[Service]\nExecStart=/bin/vendor",
		"etc/v@.service":                       "[Service]\nExecStart=/bin/v",
		"etc/v@i.service.d/1.conf":             set,
		"lib/w@.service->":                     "v@.service",
		"lib/w@i.service.d/2.conf":             set,
		"lib/self.service":                     "[Service]\nExecStart=/bin/self",
		"etc/self.service->":                   "../lib/self.service",
	})
	etc, lib := filepath.Join(dir, "etc"), filepath.Join(dir, "lib")
	asked := []string{"foo-bar.service", "broken.service", "t@i.service", "u@k.service", "a-b-c@x.service", "dash-.service", "linked.service", "other.service", "alia.service", "w@i.service", "self.service"}
	dropIns, commands := systemdReads(t, etc+":"+lib, asked...)
	for _, name := range append(asked, "alias.service", "chain.service", "v@i.service") {
		u, err := finder{dirs: []string{etc, lib}}.load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := strings.Join(u.Files[1:], "\n"), strings.Join(dropIns[u.Name], "\n"); got != want {
			t.Errorf("%s (%s): drop-ins\n%s\nbut systemd takes\n%s", name, u.Name, got, want)
		}
		got := commandTexts(u)
		if want := strings.ReplaceAll(strings.Join(commands[u.Name], "\n"), "t "+instance(u.Name), "t %i"); got != want || want == "" {
			t.Errorf("%s: commands\n%s\nbut systemd starts\n%s", name, got, want)
		}
	}
}

func commandTexts(u Unit) string {
	var all []string
	for _, c := range u.commands {
		all = append(all, c.text)
	}
	return strings.Join(all, "\n")
}

func instance(name string) string {
	_, rest, _ := strings.Cut(strings.TrimSuffix(name, suffix), "@")
	return rest
}
