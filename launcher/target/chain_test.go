package target

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// words splits a command line of these tests at blanks outside single quotes.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// TestCommandOfCarriers checks which command the table finds in the arguments of a carrier.
func TestCommandOfCarriers(t *testing.T) {
	for line, want := range map[string]string{
		"env -u A B=1 C=2 srv x": "srv x", "env -i - srv": "srv", "env -S 'A=1 srv -x' y": "srv -x y", "env --unset=A -C / srv": "srv", "env": "", "env A=1": "", "env --what srv": "",
		"nice srv -n": "srv -n", "nice -n 5 srv": "srv", "nice -5 srv": "srv", "nice --5 srv": "srv", "nice -n5 -- srv": "srv", "nice --adjustment 5 srv": "srv", "nice -n": "",
		"ionice -c 2 -n7 srv": "srv", "ionice -p 12": "", "chrt -f 10 srv": "srv", "chrt -p 12": "", "taskset -c 0-1 srv": "srv", "taskset 0x3 srv": "srv", "taskset -cp 0 1": "",
		"numactl -N 0 --interleave=all srv": "srv", "timeout -k 5 10 srv": "srv", "timeout --signal=KILL 5s srv a": "srv a", "timeout 5": "", "stdbuf -oL -e 0 srv": "srv",
		"setsid -f srv": "srv", "nohup srv": "srv", "prlimit --nofile=10:20 -c=1 srv": "srv", "prlimit -p 1": "", "setpriv --reuid 1 --clear-groups srv": "srv",
		"unshare -mp --fork --map-root-user srv": "srv", "nsenter -t 1 -n srv": "srv", "chroot --userspec=a / srv": "srv",
		"sudo -u nobody -H A=1 srv -u": "srv -u", "sudo -unobody srv": "srv", "sudo -l": "", "sudo --what srv": "", "doas -u nobody srv": "srv", "doas -s": "",
		"su nobody": "", "su - nobody -c srv": "text srv", "su -c 'srv x' nobody": "text srv x", "runuser -u nobody -- srv -l": "srv -l", "runuser -l nobody -c srv": "text srv",
		"gosu nobody srv": "srv", "su-exec nobody:nogroup srv": "srv", "chpst -u a:b -e /env -n 1 srv": "srv", "setuidgid nobody srv": "srv", "envdir /d srv": "srv",
		"s6-setuidgid nobody srv": "srv", "s6-envdir -I /d srv": "srv", "s6-softlimit -a 5 srv": "srv", "s6-applyuidgid -u 1 -g 2 srv": "srv", "runsv /etc/sv/x": "/etc/sv/x/run",
		"tini -s -- srv": "srv", "tini -g -e 143 srv": "srv", "dumb-init -c -r 15:3 srv": "srv", "catatonit -- srv": "srv",
		"bwrap --ro-bind / / --dev /dev --clearenv --setenv A 1 srv --x": "srv --x", "firejail --quiet --net=none srv": "srv",
		"docker run --rm -e A=1 -v /a:/b -it image:1 srv x": "srv x", "docker exec -u 1 box srv": "srv", "podman --log-level debug run": "", "docker ps": "", "nerdctl run image srv": "srv",
		"systemd-run --scope -p MemoryMax=1G srv": "srv", "systemd-run --unit=x -E A srv": "srv",
		"start-stop-daemon --start --chuid nobody --exec /opt/srv -- -x": "/opt/srv -x", "start-stop-daemon -S -x /a -a /b": "/b", "start-stop-daemon --stop --name x": "", "start-stop-daemon --start --name x": "",
		"supervisord -c x": "", "pm2 start app.js": "app.js", "sh -c srv": "text srv", "bash -ec 'srv x' a b": "text srv x", "sh -c": "", "sh": "", "sh -e srv.sh x": "srv.sh x", "bash --norc -l srv.sh": "srv.sh", "sh -s x": "",
		"busybox nice srv": "nice srv", "xargs -0 -n 1 srv": "srv", "find . -name x -exec srv {} ;": "srv {}", "find .": "",
		"strace -f -o /x -E A=1 srv": "srv", "strace -p 1": "", "ltrace -f srv": "srv", "gdb -q --args srv x": "srv x", "gdb srv": "", "valgrind --tool=massif srv": "srv",
		"perf record -g -o x srv": "srv", "perf top": "", "time -f %M srv": "srv", "script -qc srv /dev/null": "text srv", "script x": "",
		"flock -n /lock srv": "srv", "flock /lock -c 'srv x'": "text srv x", "flock 9": "", "ssh -p 22 host srv x": "text srv x", "ssh host": "",
		"arenacap run --arenas 2 -- srv run": "srv run", "arenacap -q run srv": "srv", "arenacap plan srv": "", "arenacap run --dry-run srv": "",
		"env '\x00' srv": "", "sudo -u '\x00' srv": "srv", "nice -n '\x00' '\x00'": "", "nice \xff\xfe srv": "\xff\xfe srv",
	} {
		args := words(line)
		r := carrierAt(args[0]).read(args[0], args[1:], func(string) string { return "" })
		got := strings.Join(r.command, " ")
		if r.isText {
			got = "text " + r.text
		}
		if got != want || (r.problem == "") != (want != "") {
			t.Errorf("%q: %q %q, want %q", line, got, r.problem, want)
		}
	}
}

// TestEnvironmentBehindCarriers checks whether the cap reaches the server, with sudoers and other settings read from
// a directory instead of /etc.
func TestEnvironmentBehindCarriers(t *testing.T) {
	root := publicDir(t)
	elf, err := os.ReadFile("/bin/true")
	must(t, err)
	tree(t, root, [][3]string{
		{"vars/MALLOC_ARENA_MAX", "644", "9\n"}, {"empty/A", "644", "1"}, {"bin/srv", "755", string(elf)}, {"lib64/ld-linux-x86-64.so.2", "755", string(elf)},
		{"etc/passwd", "644", "root:x:0:0:root:/root:/bin/bash\nclosed:x:9:9:a b:/:/usr/sbin/nologin\n"},
		{"etc/sudoers.d/site", "644", "Defaults env_keep += \"MALLOC_ARENA_MAX\"\n"}, {"etc/sudoers.d/off.bak", "644", "Defaults !env_reset\n"},
	})
	for _, carrier := range carriers {
		for name := range strings.SplitSeq(carrier.names, " ") {
			must(t, os.Symlink("srv", filepath.Join(root, "bin", name)))
		}
	}
	for _, c := range []struct {
		line    string
		sudoers string
		arrives Answer
		says    string
	}{
		{"env srv", "", Yes, ""},
		{"env -i srv", "", No, "env clears the environment; put arenacap behind it: env -i arenacap run … -- srv"},
		{"env -u MALLOC_ARENA_MAX srv", "", No, "env changes MALLOC_ARENA_MAX"},
		{"env MALLOC_ARENA_MAX=9 srv", "", No, "env changes"},
		{"env GLIBC_TUNABLES=glibc.malloc.arena_max=9 srv", "", No, "env changes"},
		{"env GLIBC_TUNABLES=glibc.pthread.rseq=1 srv", "", Yes, ""},
		{"env MALLOC_ARENA_MAX=2 srv", "", Yes, ""},
		{"env -i MALLOC_ARENA_MAX=2 srv", "", Yes, ""},
		{"nice env -i timeout 5 srv a", "", No, "put arenacap behind it: nice env -i arenacap run … -- timeout 5 srv a"},
		{"env -i env MALLOC_ARENA_MAX=2 srv", "", Yes, ""},
		{"sudo -u nobody srv", "", No, "sudo clears the environment; put arenacap behind it: sudo -u nobody arenacap run … -- srv"},
		{"sudo -E srv", "", Yes, ""}, {"sudo --preserve-env srv", "", Yes, ""},
		{"sudo --preserve-env=A,MALLOC_ARENA_MAX srv", "", Yes, ""}, {"sudo --preserve-env=A srv", "", No, "sudo clears"},
		{"sudo MALLOC_ARENA_MAX=2 srv", "", Yes, ""},
		{"sudo srv", "Defaults env_keep += \"A MALLOC_*\"\n", Yes, ""},
		{"sudo srv", "Defaults env_reset, env_keep = \"MALLOC_ARENA_MAX\", secure_path=\"/bin\"\n", Yes, ""},
		{"sudo srv", "Defaults env_keep += MALLOC_ARENA_MAX\nDefaults env_keep -= MALLOC_ARENA_MAX\n", No, ""},
		{"sudo srv", "Defaults !env_reset\n", Yes, ""},
		{"sudo srv", "Defaults:joe env_keep += MALLOC_ARENA_MAX\n", Unknown, "sudo's configuration decides which variables it keeps"},
		{"sudo srv", "@includedir /etc/sudoers.d\n", Yes, ""}, {"sudo srv", "@include /gone\n", Unknown, ""},
		{"sudo --what srv", "", Unknown, `it is unknown whether the cap arrives: arenacap does not know the flag "--what" of sudo`},
		{"doas srv", "", Unknown, "doas's configuration decides"},
		{"su - nobody -c srv", "", No, "su clears the environment; put arenacap behind it: su - nobody -c 'arenacap run … -- srv'"},
		{"su - closed -c srv", "", No, "su - closed -c 'arenacap run … -- srv'; add -s /bin/sh, because the shell of closed is /usr/sbin/nologin, which starts nothing"},
		{"su -s /bin/sh - closed -c srv", "", No, "su -s /bin/sh - closed -c 'arenacap run … -- srv'"},
		{"su nobody -c srv", "", Yes, ""}, {"runuser -l nobody -c srv", "", No, ""}, {"su -w MALLOC_ARENA_MAX -l nobody -c srv", "", Yes, ""},
		{"envdir /empty srv", "", Yes, ""}, {"envdir /vars srv", "", No, "envdir changes"}, {"chpst -e /vars srv", "", No, "chpst changes"},
		{"docker run image srv", "", No, "docker asks the container engine to start the program, so the program does not get this environment"},
		{"podman run --rm image", "", No, "podman asks the container engine to start the program"},
		{"podman run -e MALLOC_ARENA_MAX image", "", Yes, ""},
		{"docker run -e MALLOC_ARENA_MAX image srv", "", Yes, ""}, {"docker run -e MALLOC_ARENA_MAX=9 image srv", "", No, ""},
		{"systemd-run srv", "", No, "asks the service manager"}, {"systemd-run --scope srv", "", Yes, ""}, {"ssh host srv", "", No, "asks the other machine"},
		{"bwrap --clearenv srv", "", No, ""}, {"bwrap --setenv MALLOC_ARENA_MAX 2 srv", "", Yes, ""}, {"firejail --rmenv=MALLOC_ARENA_MAX srv", "", No, ""},
		{"strace -E MALLOC_ARENA_MAX srv", "", No, ""}, {"valgrind --tool=callgrind srv", "", Yes, ""}, {"ssh host env -i srv", "", No, "asks the other machine"}, {"nsenter -t \x00 -m env -i srv", "", No, "env clears"}, {"nsenter -a sudo srv", "", Unknown, "sudo's configuration decides"}, {"perf sched srv", "", Yes, ""},
		{"sh -c srv", "", Yes, ""}, {"sh -c 'env -i srv; :'", "", No, "put arenacap behind it in the script text of sh: env -i arenacap run … -- srv"}, {"sh -c 'MALLOC_ARENA_MAX=9 exec srv'", "", No, ""},
		{"sh -c 'export MALLOC_ARENA_MAX=9; exec srv'", "", No, "the script text of sh sets MALLOC_ARENA_MAX=9"},
		{"sh -c 'export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-9}; srv'", "", Yes, ""},
		{"sh -c 'MALLOC_ARENA_MAX=9 :; srv'", "", No, "sets MALLOC_ARENA_MAX=9"}, {"bash -c 'MALLOC_ARENA_MAX=9 :; srv'", "", Yes, ""}, {"sh -c 'MALLOC_ARENA_MAX=9 command :; srv'", "", Yes, ""}, {"sh -c 'MALLOC_ARENA_MAX=9 true; srv'", "", Yes, ""},
		{"env MALLOC_ARENA_MAX=02 srv", "", Yes, ""}, {"env MALLOC_ARENA_MAX=0x2 srv", "", No, "env changes"}, {"env MALLOC_ARENA_MAX=2x srv", "", No, "env changes"}, {"env MALLOC_ARENA_MAX=010 srv", "", No, "env changes"},
		{"sh -c 'env -i \"$0\"; :' srv", "", No, "env clears the environment"}, {"sh -c 'env -i $X'", "", No, "env clears"}, {"sh -c 'exec \"$@\"' x env -i srv", "", No, "env clears"},
		{"env MALLOC_ARENA_MAX=2 MALLOC_ARENA_MAX=9 srv", "", No, "env changes"}, {"sh -c 'MALLOC_ARENA_MAX=$(nproc) exec srv'", "", No, "sets MALLOC_ARENA_MAX=$(nproc)"},
		{"sh -c 'env MALLOC_ARENA_MAX=$(nproc) srv'", "", Unknown, "to a value that arenacap cannot determine"}, {"sh -c 'env MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4} srv'", "", Yes, ""},
		{"sh -c 'GLIBC_TUNABLES=glibc.malloc.arena_max=5:$GLIBC_TUNABLES srv'", "", No, "sets GLIBC_TUNABLES="}, {"sh -c 'export GLIBC_TUNABLES=glibc.malloc.arena_max=$N; srv'", "", No, "sets GLIBC_TUNABLES="},
		{"bash -c 'export -n MALLOC_ARENA_MAX; srv'", "", No, "unsets"}, {"bash -c 'declare +x A MALLOC_ARENA_MAX; srv'", "", No, "unsets"}, {"bash -c 'exec -a other env -i srv'", "", No, "env clears"},
		{"sh -c 'read MALLOC_ARENA_MAX; srv'", "", Unknown, "in some cases"}, {"bash -c 'printf -v MALLOC_ARENA_MAX 6; srv'", "", Unknown, "in some cases"}, {"bash -c 'printf %s $MALLOC_ARENA_MAX; srv'", "", Yes, ""},
		{"sh -c 'test -n x && unset MALLOC_ARENA_MAX; srv'", "", Unknown, "in some cases"},
		{"tini -- gosu nobody srv", "", Yes, ""}, {"sudo -u nobody arenacap run -- srv", "", Yes, ""}, {"arenacap run -- env -i srv", "", No, "env clears"}, {"sudo --what arenacap run -- srv", "", Unknown, ""}, {"arenacap run -- srv", "", Yes, ""},
	} {
		tree(t, root, [][3]string{{"etc/sudoers", "644", c.sudoers}})
		args := words(c.line)
		got := fsys{root}.judge("/bin/"+args[0], args, []string{"PATH=/bin", "MALLOC_ARENA_MAX=2"}, false)
		if got.Arrives != c.arrives || !strings.Contains(got.Problem(), c.says) || (got.Arrives == No) != (got.CanCap == No) {
			t.Errorf("%s (%q): arrives %v, can cap %v, %q, want %v %q", c.line, c.sudoers, got.Arrives, got.CanCap, got.Problem(), c.arrives, c.says)
		}
		bare := fsys{root}.judge("/bin/"+args[0], args, []string{"PATH=/bin"}, false)
		if !strings.Contains(c.line, "_MAX=2") && !strings.Contains(c.line, "_MAX=02") && !strings.Contains(c.line, "MAX 2") && bare.Arrives != c.arrives {
			t.Errorf("%s: without a cap: arrives %v, want %v", c.line, bare.Arrives, c.arrives)
		}
	}
}

// TestDoas checks that doas.conf gives an answer if all its permit rules agree, and Unknown if they differ or there are
// none.
func TestDoas(t *testing.T) {
	for rules, want := range map[string]Answer{
		"permit nopass root\n": No, "permit keepenv :wheel\n": Yes, "permit setenv { MALLOC_ARENA_MAX A=b } joe # no\n": Yes,
		"permit keepenv setenv { -MALLOC_ARENA_MAX } joe\n": No, "permit keepenv a\npermit b\n": Unknown, "deny x\n": Unknown, "permit nopass \\\n keepenv a\n": Yes,
	} {
		root := publicDir(t)
		tree(t, root, [][3]string{{"etc/doas.conf", "644", rules}})
		if got := (fsys{root}).doasKeeps(maxVariable); got != want {
			t.Errorf("%q: %v, want %v", rules, got, want)
		}
	}
}

// TestScriptsThatSet checks that a start script which changes the cap is reported with file and line, and that one
// which keeps the cap is not reported.
func TestScriptsThatSet(t *testing.T) {
	dir := publicDir(t)
	testenv.Need(t, "gcc")
	build(t, "gcc", "-o", dir+"/srv", "testdata/arenas.c", "-pthread")
	const head = "#!/bin/sh\n"
	for name, c := range map[string]struct {
		text    string
		can     Answer
		server  string // path of the server; "": the script itself
		says    string
		inherit string
	}{
		"plain":       {head + "exec DIR/srv -x \"$@\"\n", Yes, "DIR/srv", "", ""},
		"sets":        {head + "# start\nexport MALLOC_ARENA_MAX=4\nexec DIR/srv\n", No, "DIR/srv", "DIR/sets:3 sets MALLOC_ARENA_MAX=4; write MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4} in the script", ""},
		"same":        {head + "MALLOC_ARENA_MAX=2\nexec DIR/srv\n", Yes, "DIR/srv", "", ""},
		"special":     {head + "MALLOC_ARENA_MAX=4 set -e\nexec DIR/srv\n", No, "DIR/srv", "DIR/special:2 sets MALLOC_ARENA_MAX=4", ""},
		"not special": {"#!/bin/bash\nMALLOC_ARENA_MAX=4 set -e\nexec DIR/srv\n", Yes, "DIR/srv", "", ""},
		"unsets":      {head + "unset A MALLOC_ARENA_MAX\nDIR/srv\n", No, "", "DIR/unsets:2 unsets MALLOC_ARENA_MAX", "inherit the values that it sets"},
		"perhaps":     {head + "if test -f /x; then\n  export MALLOC_ARENA_MAX=4\nfi\nDIR/srv &\n", Unknown, "", "DIR/perhaps:3 sets MALLOC_ARENA_MAX=4 in some cases", ""},
		"default":     {head + "export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4}\nexec DIR/srv\n", Yes, "DIR/srv", "", ""},
		"computed":    {head + "export MALLOC_ARENA_MAX=$(nproc)\nDIR/srv\n", No, "", "DIR/computed:2 sets MALLOC_ARENA_MAX=$(nproc)", ""},
		"tunables":    {head + "export GLIBC_TUNABLES=glibc.malloc.arena_max=8\nDIR/srv\n", No, "", "DIR/tunables:2 sets GLIBC_TUNABLES=", ""},
		"function":    {head + "go() {\n  unset MALLOC_ARENA_MAX\n}\nDIR/srv\n", Unknown, "", ":3 unsets", ""},
		"here":        {head + "cat <<END\nexport MALLOC_ARENA_MAX=4\nEND\nDIR/srv\n", Yes, "", "", "inherit the cap"},
		"comment":     {head + "# MALLOC_ARENA_MAX=4\necho 'export MALLOC_ARENA_MAX=4'\nDIR/srv\n", Yes, "", "", "inherit the cap"},
		"case":        {head + "case $1 in\nstart) export MALLOC_ARENA_MAX=4;;\nesac\nDIR/srv\n", Unknown, "", ":3 sets", ""},
		"after":       {head + "exec DIR/srv\nexport MALLOC_ARENA_MAX=4\n", Yes, "DIR/srv", "", ""},
		"sources":     {head + ". DIR/conf/setenv.sh\nDIR/srv\n", No, "", "DIR/conf/setenv.sh:1 sets MALLOC_ARENA_MAX=4", ""},
		"beside":      {head + ". \"$(dirname \"$0\")/conf/setenv.sh\"\nDIR/srv\n", No, "", "DIR/conf/setenv.sh:1", ""},
		"elsewhere":   {head + ". $CONF/setenv.sh\nDIR/srv\n", Yes, "", "", "unless $CONF/setenv.sh, which it sources and arenacap did not read, sets another"},
		"clears":      {head + "exec env -i DIR/srv\n", No, "DIR/srv", "env clears the environment", ""},
		"two execs":   {head + "test $1 && exec DIR/srv\nexec DIR/srv -2\n", Yes, "", "", "inherit the cap"},
		"nothing":     {head, Yes, "", "", "inherit the cap"},
		"no bang":     {"export MALLOC_ARENA_MAX=4\nDIR/srv\n", No, "", "DIR/no bang:1 sets", ""},
		"env bash":    {"#!/usr/bin/env bash\nexport MALLOC_ARENA_MAX=4\nDIR/srv\n", No, "", "DIR/env bash:2 sets", ""},
		"loop":        {head + "exec DIR/loop\n", Unknown, "", "more than", ""},
		"ping":        {head + "exec sh DIR/pong\n", Unknown, "", "more than", ""},
		"pong":        {head + "exec nice DIR/ping\n", Unknown, "", "more than", ""},
		"not UTF-8":   {head + "A=\xff\xfe exec DIR/srv \xff\n", Yes, "DIR/srv", "", ""},
		"not closed":  {head + "echo \"${a `$( '\nexport MALLOC_ARENA_MAX=4\n", Yes, "", "", ""},
		"entry point": {head + "set -e\nexec \"$@\"\n", Yes, "DIR/srv", "", ""},
	} {
		tree(t, dir, [][3]string{{name, "755", strings.ReplaceAll(c.text, "DIR", dir)}})
		if _, err := os.Stat(dir + "/conf"); err != nil {
			tree(t, dir, [][3]string{{"conf/setenv.sh", "644", "export MALLOC_ARENA_MAX=4\n"}})
		}
		defer func() {
			path := dir + "/" + name
			want := strings.ReplaceAll(c.server, "DIR", dir)
			if want == "" && c.says != "more than" {
				want = path
			}
			got := Examine(path, []string{name, dir + "/srv"}, []string{"PATH=/usr/bin:/bin", "MALLOC_ARENA_MAX=2"})
			if got.CanCap != c.can || got.Server != want || !strings.Contains(strings.Join(append(got.Why, got.Hints...), "; "), strings.ReplaceAll(c.says, "DIR", dir)) {
				t.Errorf("%s: can cap %v, server %q, %q %q, want %v %q %q", name, got.CanCap, got.Server, got.Why, got.Hints, c.can, want, c.says)
			}
			if !strings.Contains(strings.Join(got.Notes, "\n"), c.inherit) {
				t.Errorf("%s: notes %q, want %q", name, got.Notes, c.inherit)
			}
		}()
	}
}

// TestManyCarriers checks that a long chain ends with an unknown verdict.
func TestManyCarriers(t *testing.T) {
	for _, line := range []string{strings.Repeat("env ", 100), strings.Repeat("nice ", 100) + "/bin/true", strings.Repeat("env -S ", 40), "sh -c '" + strings.Repeat("sh -c ", 100) + "'"} {
		got := Examine("/usr/bin/env", append([]string{"env"}, words(line)...), os.Environ())
		if got.CanCap != Unknown || got.Server != "" || len(got.Chain) > maxCarriers+1 {
			t.Errorf("%.20q…: %v %q, %d carriers", line, got.CanCap, got.Server, len(got.Chain))
		}
	}
}

// TestTableIsWhole checks the table of carriers: names are unique, flags are unique in their row, each flag's effect is
// in the list below, and a row with the fate "elsewhere" says who starts the program.
func TestTableIsWhole(t *testing.T) {
	effects := strings.Fields("stop clear keep list set unset pass assign split stays root shell text program user operands envdir bind hidden inside all target execs tool traces with")
	seen := map[string]bool{}
	for _, c := range carriers {
		for name := range strings.SplitSeq(c.names, " ") {
			if seen[name] || name == "" {
				t.Errorf("%q occurs twice", name)
			}
			seen[name] = true
		}
		flags := map[string]bool{}
		for entry := range strings.FieldsSeq(c.flags) {
			names, effect, has := strings.Cut(entry, ">")
			if has && !slices.Contains(effects, effect) {
				t.Errorf("%s: effect %q", c.names, effect)
			}
			for flag := range strings.SplitSeq(strings.TrimRight(names, "=?"), ",") {
				if flags[flag] || flag == "" {
					t.Errorf("%s: flag %q occurs twice", c.names, flag)
				}
				flags[flag] = true
			}
		}
		if c.env == elsewhere && c.who == "" {
			t.Errorf("%s: the field who is empty", c.names)
		}
	}
}

// FuzzCarrier checks that the parser ends, and returns either a problem or a command or shell text; the command of an
// image may be missing.
func FuzzCarrier(f *testing.F) {
	for _, seed := range []string{"env\n-S\n-S sh\n-c", "sudo\n-u\nx\nA=1\nsrv", "su\n-\nx\n-c\nexec env -i a", "sh\n-c\n( $(`) \" ' ${ <<E\nE", "docker\nrun\n-e\nA\ni\ns", "find\n-exec\nsh\n;", "nice\n\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		if len(args) > 1 {
			scanShell(args[len(args)-1])
		}
		row := carrierAt(args[0])
		if row == nil {
			return
		}
		r := row.read(args[0], args[1:], func(string) string { return "v w" })
		if r.problem == "" && len(r.command) == 0 && !r.isText && !row.has(ofImage) || r.problem != "" && (len(r.command) > 0 || r.isText) {
			t.Errorf("%q: %+v", args, r)
		}
		r.environment([]string{"A=1", "b"})
	})
}
