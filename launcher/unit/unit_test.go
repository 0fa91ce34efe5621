package unit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"arenacap/launcher/target"
	"unicode/utf8"
)

func TestNoUnit(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"u/masked.service->":         "/dev/null",
		"u/empty.service":            "",
		"u/nothing.service":          "[Service]\nType=oneshot\nExecStop=/bin/x",
		"u/reset.service":            "[Service]\nExecStart=/bin/x\n",
		"u/reset.service.d/a.conf":   "[Service]\nExecStart=\n",
		"u/open.service":             "[Service]\n\nExecStart=/bin/x 'a\n",
		"u/section.service":          "[Service]\nExecStart=/bin/x\n[Ser\n",
		"u/latin.service":            "[Service]\nExecStart=/bin/x \xe9\n",
		"u/loop.service->":           "loop.service",
		"u/alias.service->":          "masked.service",
		"u/long.service":             "[Service]\nExecStart=/bin/x " + strings.Repeat("x", lineMax),
		"etc/init.d/old":             "#!/bin/sh\n",
		"etc/systemd/system/a/b":     "",
		"etc/systemd/system/is.d.sh": "",
	})
	for operand, want := range map[string]string{
		"masked":                   "masked.service is masked",
		"empty":                    "empty.service is masked",
		"nothing":                  "nothing.service has no ExecStart=",
		"reset.service":            "reset.service has no ExecStart= (" + dir + "/u/reset.service, " + dir + "/u/reset.service.d/a.conf)",
		"open":                     "open.service:3: ExecStart=/bin/x 'a: the quote ' is not closed",
		"section":                  `section.service:3: the line "[Ser" is not a section header`,
		"latin":                    "latin.service:2: ",
		"long":                     "has over 1048576 bytes",
		"loop":                     "loop.service was not found",
		"alias":                    "masked",
		"missing":                  "missing.service was not found in the directories that systemd searches",
		"old":                      "old.service has no unit file, only the init script " + dir + "/etc/init.d/old; run this on a system that runs systemd, because systemd generates a unit from the script; or put",
		"x.socket":                 `"x.socket" is not a service`,
		dir + "/u/none.service":    "no such file",
		dir + "/u":                 "is a directory",
		dir + "/u/masked.service":  "masked",
		dir + "/u/nothing.service": "has no ExecStart=",
	} {
		f := finder{dirs: []string{filepath.Join(dir, "u")}}
		if !strings.HasPrefix(operand, "/") {
			f = finder{root: dir, dirs: []string{"/u"}}
		}
		if _, err := f.load(operand); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", operand, err, want)
		}
	}
}

// On a host that runs systemd, the message about an init script proposes 'systemctl daemon-reload'. TestNoUnit checks
// the message on other hosts.
func TestNoUnitFromAnInitScript(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"etc/init.d/old": "#!/bin/sh\n", "run/systemd/system/x": ""})
	want := "systemd has generated no unit from it; install the service's package again if it was removed, or run 'systemctl daemon-reload' and then this command again; or put 'eval "
	if _, err := (finder{root: dir, dirs: []string{"/u"}}).load("old"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// An alias of a masked unit is masked too, although the file that the alias links to exists. The error says how to
// unmask a unit, if that is possible.
func TestMasked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"usr/lib/systemd/system/logind.service":        "[Service]\nExecStart=/bin/x",
		"usr/lib/systemd/system/dbus-login1.service->": "logind.service",
		"etc/systemd/system/logind.service->":          "/dev/null",
		"usr/lib/systemd/system/never.service->":       "/dev/null",
		"run/systemd/system/now.service->":             "/dev/null",
	})
	for operand, want := range map[string]string{
		"dbus-login1": "logind.service is masked (" + dir + "/etc/systemd/system/logind.service): systemd never starts it; run 'systemctl --root=" + dir + " unmask logind.service' first",
		"/usr/lib/systemd/system/dbus-login1.service": "logind.service is masked",
		"never": "never.service is masked (" + dir + "/usr/lib/systemd/system/never.service): systemd never starts it",
		"now":   "now.service is masked (" + dir + "/run/systemd/system/now.service): systemd never starts it; run 'systemctl --root=" + dir + " unmask --runtime now.service' first",
	} {
		if _, err := Load(dir, operand); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "unmask") != strings.Contains(want, "unmask") && operand[0] != '/' {
			t.Errorf("%s: %v, want %q", operand, err, want)
		}
	}
}

// Names and files that are not services are rejected. The error says what to use instead, if that is known.
func TestNoName(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"x.service":          "[Service]\nExecStart=/bin/x",
		"x.service.d/o.conf": "[Service]\n",
		"x.socket":           "[Socket]\n",
		"t.socket":           "[Socket]\n",
		"mariadb.service":    "[Service]\nExecStart=/bin/x",
		"t@.service":         "[Service]\nExecStart=/bin/x",
		"big.service":        strings.Repeat("#\n", fileMax),
		"zero.service->":     "/dev/zero",
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.service"), 0o644); err != nil {
		t.Fatal(err)
	}
	for operand, want := range map[string]string{
		"":                          `"" is not a unit name`,
		".":                         `"." is not a unit name`,
		"..":                        `".." is not a unit name`,
		".service":                  `".service" is not a unit name`,
		"@i":                        `"@i" is not a unit name`,
		"a\nb":                      `"a\nb" is not a unit name`,
		strings.Repeat("a", 300):    "is not a unit name",
		"x.socket":                  `"x.socket" is not a service, and only services have ExecStart=; use the unit "x.service" instead`,
		"t":                         `write the name "t@", or "t@INSTANCE" for one instance`,
		"/dev/zero":                 `"/dev/zero" is not a regular file`,
		dir + "/zero.service":       "is not a regular file",
		dir + "/fifo.service":       "is not a regular file",
		dir + "/big.service":        "has over 1048576 bytes",
		"t.socket":                  `use the unit "t@.service" instead`,
		"init.scope":                `"init.scope" is not a service, and only services have ExecStart=; 'systemctl list-units --type=service'`,
		"mariadbd":                  `mariadbd.service was not found in the directories that systemd searches; did you mean "mariadb"?`,
		"MariaDB":                   `did you mean "mariadb"?`,
		dir + "/x.socket":           `use the unit "x.service" instead`,
		dir + "/x.service.d/o.conf": `is a drop-in; use the unit "x.service" instead`,
		"/etc/passwd":               `"/etc/passwd" is not a service's file`,
		dir:                         "is a directory",
	} {
		if _, err := (finder{dirs: []string{dir}}).load(operand); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", operand, err, want)
		}
	}
}

// Links are followed below the root. A unit that is given as the path of a file has the drop-ins beside that file and those
// of the system.
func TestRootAndFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"usr/lib/systemd/system/real@.service":         "[Service]\nExecStart=/bin/x",
		"etc/systemd/system/alias@.service->":          "/usr/lib/systemd/system/real@.service",
		"etc/systemd/system/real@a.service.d/o.conf":   "[Service]\nUser=o",
		"etc/systemd/system/real@a.service.d/p.conf->": "/opt/p.conf",
		"etc/systemd/system/real@a.service.d/q.conf->": "/dev/null",
		"opt/p.conf":                               "[Service]\nUser=p",
		"home/mine.service":                        "[Service]\nExecStart=/bin/mine",
		"home/mine.service.d/a.conf":               "[Service]\nUser=a",
		"etc/systemd/system/mine.service.d/b.conf": "[Service]\nGroup=b",
	})
	u, err := Load(dir, "alias@a")
	if err != nil || u.Name != "real@a.service" || u.last("User") != "p" || len(u.Files) != 3 || u.Service() != "real@" {
		t.Errorf("%+v, %v", u, err)
	}
	u, err = Load(dir, "/home/mine.service")
	if err != nil || u.last("User") != "a" || u.last("Group") != "b" || u.commands[0].program.value != "/bin/mine" {
		t.Errorf("%+v, %v", u, err)
	}
	t.Setenv("SYSTEMD_UNIT_PATH", filepath.Join(dir, "home")+":")
	if u, err = Load("", "mine"); err != nil || u.commands[0].program.value != "/bin/mine" {
		t.Errorf("%+v, %v", u, err)
	}
}

// The drop-in's name must sort after the other drop-ins that set ExecStart=. In an earlier drop-in of arenacap, only
// the settings that an operator added apply.
func TestOwnName(t *testing.T) {
	const own = ownBegin + "a.service. Made by:\n"
	dir := t.TempDir()
	load := func(want, behind, program string) Unit {
		t.Helper()
		u, err := finder{dirs: []string{dir}}.load("a")
		if err != nil || u.own != want || u.behind != behind || u.commands[0].program.value != program {
			t.Errorf("%q behind %q, %+v, %v; want %q behind %q for %q", u.own, u.behind, u.commands, err, want, behind, program)
		}
		return u
	}
	write(t, dir, map[string]string{
		"a.service":                 "[Service]\nExecStart=/bin/x",
		"a.service.d/arenacap.conf": own + "[Service]\nExecStart=\nExecStart=/usr/bin/arenacap run -- /bin/old\n",
		"a.service.d/limits.conf":   "[Service]\nLimitNOFILE=100",
	})
	load("arenacap.conf", "", "/bin/x")
	write(t, dir, map[string]string{
		"a.service.d/override.conf":    "[Service]\nExecStart=\nExecStart=/bin/y",
		"a.service.d/zz-arenacap.conf": own + "[Unit]\nAfter=x.target\n[Service]\nExecStart=\nRestart=always\n#Nice=1\nSyslogIdentifier=y\n",
	})
	u := load("zz-arenacap.conf", "override.conf", "/bin/y")
	if u.last("Restart") != "always" || u.last("SyslogIdentifier") != "" || len(u.kept) != 2 || len(u.older) != 2 {
		t.Errorf("kept %+v of %q", u.kept, u.older)
	}
	for _, c := range []struct{ last, want string }{
		{"zzz.conf", "zzz_arenacap.conf"},
		{"~last.conf", "~last_arenacap.conf"},
		{"überschreiben.conf", "überschreiben_arenacap.conf"},
	} {
		write(t, dir, map[string]string{"a.service.d/" + c.last: "[Service]\nExecStart=\nExecStart=/bin/z"})
		load(c.want, c.last, "/bin/z")
	}
	write(t, dir, map[string]string{"a.service.d/arenacap.conf": "[Service]\nExecStart=\nExecStart=/bin/theirs", "a.service.d/\xff.conf": "[Service]\nExecStart=\nExecStart=/bin/last"})
	load("\xff_arenacap.conf", "\xff.conf", "/bin/last")
}

func TestQuoteIsReadBack(t *testing.T) {
	for _, s := range []string{"plain", "", "a b", `a"b'c\d`, ";", "%n", "$X", "é", "\x01\n\t\x7f", "\xff\xfe", "-x", `\;`} {
		w, rest, err := cutWord(quote(s, true))
		got := strings.NewReplacer("%%", "%", "$$", "$").Replace(w.value)
		if err != nil || rest != "" || got != s || !utf8.ValidString(w.raw) {
			t.Errorf("%q: written %q, read %q, %v", s, w.raw, got, err)
		}
	}
}

func TestSpecifiers(t *testing.T) {
	for _, c := range []struct {
		unit, home, text, want string
		known                  bool
	}{
		{"a-b@c-d\\x2de.service", "", "%p %i %I %f %n %N %j %J %P", "a-b c-d\\x2de c/d-e /c/d-e a-b@c-d\\x2de.service a-b@c-d\\x2de b b a/b", true},
		{"a-b.service", "", "%i%I%f %% 5% %! %", "/a/b % 5% %! %", true},
		{"s.service", "", "%h %t %S %E %u %U", "/root /run /var/lib /etc root 0", true},
		{"s.service", "/home/x", "%h", "/home/x", true},
		{"s.service", "/home/x", "%t/y", "/%t/y", false},
		{"t@.service", "", "%i %n", "%i t@%i.service", false},
		{"s.service", "", "%H", "%H", false},
		{"s.service", "", "%Z", "", false},
	} {
		got, known, err := Unit{Name: c.unit, Home: c.home}.expand(c.text)
		if got != c.want || known != c.known || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q is %q, %t, %v; want %q, %t", c.unit, c.text, got, known, err, c.want, c.known)
		}
	}
	u := unitOf(t, "ExecStart=-%h/bin/backup.sh\nExecStart=/bin/true\nExecStart=%S/x ; %t/y\nInaccessiblePaths=%E/x %Z")
	if len(u.commands) != 4 || len(u.remarks) > 0 || u.hiddenBy("/etc/x/y").setting == "" {
		t.Errorf("%+v", u)
	}
}

// TestArgumentsAsGiven checks that values that only systemd knows become target.Opaque.
func TestArgumentsAsGiven(t *testing.T) {
	for line, want := range map[string]string{
		`/bin/a b "c d" %% $$X`: "/bin/a|b|c d|%|$X", `/bin/a $X`: "/bin/a|?", `/bin/a ${X}y x%H%n %n`: "/bin/a|?y|x??|s.service", `/bin/sh -c "exec b $X"`: "/bin/sh|-c|exec b $X", "/bin/a ${": "/bin/a|?",
	} {
		c, _, err := Unit{Name: "s.service"}.parseCommand(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.Join((Unit{Name: "s.service"}).argv(*c), "|"), target.Opaque, "?"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestLookHere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.env": "# LD_PRELOAD=no\n LD_PRELOAD=x\nA=1\n", "b.env": "MALLOC_ARENA_MAX=1\nGLIBC_TUNABLES=x", "closed/arenacap": ""})
	if err := os.Chmod(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	u := unitOf(t, "Type=oneshot\nEnvironmentFile=-"+dir+"/*.env\nUnsetEnvironment=GLIBC_TUNABLES\nEnvironmentFile=/nowhere\nExecStart=sh -c 'exec /bin/cat'\nExecStart=/no/such/program\nExecStart=/bin/%H")
	f := Look(u, Wish{}, filepath.Join(dir, "closed/arenacap"), os.Environ())
	if len(f.settings) != 2 || !slices.Equal(f.settings[0].Names, []string{"LD_PRELOAD"}) || !slices.Equal(f.settings[1].Names, []string{"MALLOC_ARENA_MAX"}) {
		t.Errorf("%+v", f.settings)
	}
	if !strings.HasSuffix(f.Programs[0].Target.Path, "bin/sh") || f.Programs[0].Target.Server != "/bin/cat" || f.Programs[0].Missing {
		t.Errorf("%+v", f.Programs[0])
	}
	if !f.Programs[1].Missing || f.Programs[2].Missing || f.Programs[2].Target.Path != "" {
		t.Errorf("%+v", f.Programs[1:])
	}
	if f.own.Closed == "" {
		t.Errorf("%+v", f.own)
	}
}

// A user unit has its drop-ins in other directories, and another command to type.
func TestUsersUnit(t *testing.T) {
	root := t.TempDir()
	t.Setenv("HOME", "/home/me")
	write(t, root, map[string]string{
		"home/me/.local/share/systemd/user/mine.service":        "[Service]\nExecStart=/bin/x",
		"home/me/.config/systemd/user/mine.service.d/o.conf":    "[Service]\nNice=1",
		"etc/systemd/user/mine.service.d/p.conf":                "[Service]\nExecStart=\nExecStart=/bin/y",
		"etc/systemd/system/mine.service.d/o.conf":              "[Service]\nNice=2",
		"usr/lib/systemd/user/theirs.service":                   "[Service]\nExecStart=/bin/x",
		"home/me/.config/systemd/user/default.target.wants/any": "",
	})
	for operand, place := range map[string]string{
		"/home/me/.local/share/systemd/user/mine.service": "/home/me/.config/systemd/user/mine.service.d/zz-arenacap.conf",
		"/usr/lib/systemd/user/theirs.service":            "/etc/systemd/user/theirs.service.d/arenacap.conf",
	} {
		u, err := Load(root, operand)
		if err != nil || u.Home != "/home/me" || u.AsRoot() || u.last("Nice") == "2" || !strings.HasPrefix(u.Next(), "systemctl --user daemon-reload && systemctl --user restart ") {
			t.Errorf("%s: %+v, %v", operand, u, err)
		}
		d, err := Plan(u, Wish{Root: root, Plan: planOf(t, "")}, Found{own: ownProgram{neededFile: neededFile{Path: ownPath, Closed: "/"}}, policy: neededFile{Path: "/home/me/p", Closed: "/home/me"}})
		if err != nil || d.Place != root+place {
			t.Errorf("%s: %q, %v", operand, d.Place, err)
		}
	}
	if _, err := Load(root, "theirs"); err == nil || !strings.Contains(err.Error(), `is a user unit, not a system unit; write its path "/usr/lib/systemd/user/theirs.service"`) {
		t.Error(err)
	}
}

// Paths are looked up as the unit sees them: below RootDirectory= and through bind mounts.
func TestLookBelowARoot(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"c/usr/bin/there": "", "bound/p.toml": "", "away/log": ""})
	u := unitOf(t, "RootDirectory="+dir+"/c\nBindReadOnlyPaths="+dir+"/bound:/etc/arenacap -"+dir+"/away\nExecStart=/bin/sh")
	for file, want := range map[string]string{
		"/usr/bin/there": dir + "/c/usr/bin/there", "/etc/arenacap/p.toml": dir + "/bound/p.toml", "/etc/arenacap": dir + "/bound", dir + "/away/log": dir + "/away/log",
	} {
		if got := u.Outside(file); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
		if f := u.lookFile(identity{}, file, mayRead); f.Absent || f.Path != file {
			t.Errorf("%+v", f)
		}
	}
	f := Look(u, Wish{PolicyFile: "/etc/arenacap/none.toml"}, "/usr/bin/arenacap", nil)
	if !f.own.Absent || !f.policy.Absent || f.Programs[0].Missing || f.Programs[0].Target.Path != "" {
		t.Errorf("%+v", f)
	}
}

// A service has access to a file through its user or one of its groups.
func TestLookAsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	// Other users need access to dir and to its parent, which t.TempDir makes too.
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, map[string]string{"p": "", "closed/p": ""})
	own := func(name string, mode os.FileMode, uid, gid int) {
		t.Helper()
		if err := os.Chown(filepath.Join(dir, name), uid, gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	own("closed", 0o750, 0, 9999)
	for _, c := range []struct {
		unit     string
		mode     os.FileMode
		uid, gid int
		open     bool
	}{
		{"User=daemon", 0o644, 0, 0, true},
		{"User=daemon", 0o640, 0, 0, false},
		{"User=1", 0o400, 1, 0, true},
		{"User=daemon", 0o044, 1, 0, false}, // for the owner only the owner's bits count
		{"User=daemon\nGroup=9999", 0o640, 0, 9999, true},
		{"User=daemon\nSupplementaryGroups=5 9999", 0o640, 0, 9999, true},
		{"DynamicUser=yes\nSupplementaryGroups=sys", 0o640, 0, 3, true},
		{"User=daemon\nSupplementaryGroups=5", 0o640, 0, 9999, false},
		{"User=nobody-of-this-name", 0o640, 0, 9999, false},
	} {
		own("p", c.mode, c.uid, c.gid)
		u := unitOf(t, c.unit+"\nExecStart=/bin/x")
		if at := u.identity().closed(filepath.Join(dir, "p"), mayRead); (at == "") != c.open {
			t.Errorf("%q, mode %o of %d and %d: closed at %q", c.unit, c.mode, c.uid, c.gid, at)
		}
		if at := u.identity().closed(filepath.Join(dir, "closed/p"), mayRead); (at == "") != strings.Contains(c.unit, "9999") {
			t.Errorf("%q: closed at %q", c.unit, at)
		}
	}
}

// FuzzParse puts arenacap and its arguments in front of each command of a unit file and reads the new line. The command must
// be unchanged, whatever the unit file contains.
func FuzzParse(f *testing.F) {
	for _, text := range situations {
		f.Add(text)
	}
	f.Add("[Service]\nExecStart=@/bin/x \"y z\" ; |x")
	f.Add("[Service]\nExecStart=|;")
	f.Add("[Service]\nExecStart=/bin/x \\  ; /bin/y")
	f.Fuzz(func(t *testing.T, text string) {
		u := Unit{Name: "s.service"}
		if u.add("f", text) != nil || u.parse() != nil {
			return
		}
		for _, c := range u.commands {
			if c.viaShell() && c.program.value == "" {
				continue
			}
			line := c.withArenacap(ownPath, []string{"--service", "x"})
			settings, err := parse("f", "[Service]\nExecStart="+line+"\nUser=x\n")
			if err != nil || len(settings) != 2 {
				t.Fatalf("%q: %v, %v", line, settings, err)
			}
			again, remark, err := u.parseCommands(settings[0])
			if err != nil || remark != "" || len(again) != 1 {
				t.Fatalf("%q: %v, %q, %v", line, again, remark, err)
			}
			if got, want := again[0].values(), append([]string{ownPath, "run", "--service", "x"}, c.expected()...); !slices.Equal(got, want) {
				t.Errorf("%q: read %q, want %q", line, got, want)
			}
		}
	})
}

func (c command) values() []string {
	all := []string{c.program.value}
	for _, a := range c.args {
		all = append(all, a.value)
	}
	return all
}

// expected returns the arguments that arenacap must get in the drop-in to start the command.
func (c command) expected() []string {
	all := c.values()
	if !c.literal() {
		all[0] = strings.ReplaceAll(all[0], "$", "$$")
	}
	all = append([]string{"--"}, all...)
	if c.argv0 != nil {
		all = append([]string{"--argv0", c.argv0.value}, all...)
	}
	return all
}

// TestNext checks the command that 'arenacap unit' tells the user to type. The command does not restart a system unit on
// which login sessions depend. It restarts a user manager's unit with the same name, because no session depends on it.
func TestNext(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Unit{Name: "a.service"}.Next(), "systemctl daemon-reload && systemctl restart a.service"},
		{Unit{Name: "dbus.service"}.Next(), "systemctl daemon-reload"},
		{Unit{Name: "user@1000.service"}.Next(), "systemctl daemon-reload"},
		{Unit{Name: "dbus.service", Home: "/home/me"}.Next(), "systemctl --user daemon-reload && systemctl --user restart dbus.service"},
		{Removal{Units: []string{"a.service", "dbus.service"}}.Next(), "systemctl daemon-reload && systemctl try-restart a.service"},
		{Removal{Units: []string{"user@.service"}}.Next(), "systemctl daemon-reload"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestNoteOnSessions(t *testing.T) {
	u := unitOf(t, "ExecStart=/usr/bin/dbus-daemon")
	u.Name = "dbus.service"
	d, err := Plan(u, Wish{Plan: planOf(t, "")}, Found{own: ownAt(ownPath, 64)})
	if err != nil || !slices.ContainsFunc(d.Notes, func(n string) bool { return strings.HasPrefix(n, "a restart of dbus.service would end sessions") }) {
		t.Errorf("notes %q, %v", d.Notes, err)
	}
}
