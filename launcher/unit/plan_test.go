package unit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// unitOf is a service with these lines in [Service].
func unitOf(t *testing.T, lines string) Unit {
	t.Helper()
	u := Unit{Name: "s.service", Own: ownFile}
	if err := u.add("s.service", "[Service]\n"+lines); err != nil {
		t.Fatal(err)
	}
	if err := u.parse(); err != nil {
		t.Fatal(err)
	}
	return u
}

// situation is what a plan is made of; the zero value is a plain one.
type situation struct {
	unit      string // lines of [Service]; "ExecStart=/bin/x" is added where there is none
	policy    string // lines of a policy file; "" is the built-in one
	supervise bool
	found     Found
}

func (s situation) plan(t *testing.T) (DropIn, error) {
	t.Helper()
	if !strings.Contains(s.unit, "ExecStart=") {
		s.unit += "\nExecStart=/bin/x"
	}
	if s.found.Own.Path == "" {
		s.found.Own = Own{Path: ownPath, Bits: 64}
	}
	return Plan(unitOf(t, s.unit), Wish{Flags: []string{"--service", "s"}, Supervise: s.supervise, Plan: planOf(t, s.policy)}, s.found)
}

func planOf(t *testing.T, text string) policy.Plan {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(policy.Lookup{Named: file})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Resolve(policy.Machine{Online: policy.Count{N: 2}})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

var (
	jemalloc = target.Target{CanCap: target.No, Why: []string{"x links jemalloc"}, Hints: []string{"for jemalloc, set narenas"}}
	glibc    = target.Target{CanCap: target.Yes, Why: []string{"x uses glibc"}, Bits: 64}
)

const budget = "[budget]\nvirtual = \"4GiB\"\n"

func TestWhatCannotBeDone(t *testing.T) {
	at := func(path string) Found { return Found{Own: Own{Path: path, Bits: 64}} }
	for name, c := range map[string]struct {
		situation
		want string
	}{
		"no cap works, no budget":         {situation{found: Found{Programs: []Program{{Target: jemalloc}}}}, "the cap cannot work, because x links jemalloc; for jemalloc, set narenas; there is no budget either"},
		"the shell's program":             {situation{found: Found{Programs: []Program{{Target: glibc, Script: jemalloc}}}}, "x links jemalloc"},
		"a start that is forbidden":       {situation{policy: budget + "[launch]\non_unenforceable = \"refuse\"", found: Found{Programs: []Program{{Target: jemalloc}}}}, "would forbid the start"},
		"nothing to do by the policy":     {situation{policy: "[arenas]\ncap = \"off\""}, "arenacap would do nothing"},
		"argv0 of several words":          {situation{unit: "ExecStart=@/bin/x $NAME a"}, "write ${NAME}"},
		"the user's shell":                {situation{unit: "ExecStart=|"}, "write the shell's path"},
		"home is hidden":                  {situation{unit: "ProtectHome=tmpfs", found: at("/home/a/arenacap")}, "ProtectHome=tmpfs hides /home/a/arenacap"},
		"tmp is private":                  {situation{unit: "PrivateTmp=disconnected", found: at("/var/tmp/arenacap")}, "PrivateTmp=disconnected hides"},
		"inaccessible":                    {situation{unit: "InaccessiblePaths=-/srv /opt"}, ""},
		"inaccessible, arenacap in there": {situation{unit: "InaccessiblePaths=-/srv /opt", found: at("/opt/bin/arenacap")}, "InaccessiblePaths hides"},
		"a tmpfs over it":                 {situation{unit: "TemporaryFileSystem=/usr:ro"}, "TemporaryFileSystem hides"},
		"a root without it":               {situation{unit: "RootDirectory=/srv/root"}, "RootDirectory=/srv/root has no /usr/bin/arenacap"},
		"a root with it":                  {situation{unit: "RootDirectory=/srv/root", found: Found{Own: Own{Path: ownPath, InRoot: true}}}, ""},
		"another user":                    {situation{unit: "User=x", found: Found{Own: Own{Path: "/root/arenacap", Closed: "/root"}}}, `with User=x arenacap cannot be started, since "/root" is not open`},
		"a dynamic user":                  {situation{unit: "DynamicUser=yes", found: Found{Own: Own{Path: "/root/arenacap", Closed: "/root"}}}, "with DynamicUser=yes arenacap cannot be started"},
		"root may":                        {situation{unit: "User=root", found: Found{Own: Own{Path: "/root/arenacap", Closed: "/root"}}}, ""},
		"a policy for root only":          {situation{unit: "User=x", found: Found{Policy: "/etc/x"}}, `cannot read its policy, since "/etc/x"`},
		"little address space":            {situation{unit: "LimitAS=512M"}, "LimitAS=512M is less address space than Go needs to start, 768M"},
		"a soft limit":                    {situation{unit: "LimitAS=512M:infinity"}, "LimitAS=512M:infinity"},
		"enough for 32 bits":              {situation{unit: "LimitAS=512M", found: Found{Own: Own{Path: ownPath, Bits: 32}}}, ""},
		"too little for 32 bits":          {situation{unit: "LimitAS=8M", found: Found{Own: Own{Path: ownPath, Bits: 32}}}, "16M"},
		"no limit":                        {situation{unit: "LimitAS=infinity"}, ""},
		"32 bits are forbidden":           {situation{unit: "SystemCallArchitectures=native", found: Found{Own: Own{Path: ownPath, Bits: 32}, Programs: []Program{{Target: glibc}}}}, "SystemCallArchitectures=native"},
		"outside of the sandbox":          {situation{unit: "User=x\nPrivateTmp=yes\nExecStart=+/bin/x", found: at("/tmp/arenacap")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := c.plan(t)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			case err != nil && d.Text != "":
				t.Errorf("a drop-in all the same:\n%s", d.Text)
			}
		})
	}
}

func TestNotes(t *testing.T) {
	for name, c := range map[string]struct {
		situation
		note, line string // "" is that there is none
	}{
		"plain":                          {situation{}, "", ""},
		"no cap works, a budget":         {situation{policy: budget, found: Found{Programs: []Program{{Target: jemalloc}}}}, "x links jemalloc", ""},
		"what is known of a program":     {situation{found: Found{Programs: []Program{{Target: target.Target{CanCap: target.Yes, Notes: []string{"x calls mallopt"}}}}}}, "x calls mallopt", ""},
		"a cap for one of two":           {situation{unit: "Type=oneshot\nExecStart=/bin/x ; /bin/y", found: Found{Programs: []Program{{Target: jemalloc}, {Target: glibc}}}}, "x links jemalloc", ""},
		"a program that is not here":     {situation{found: Found{Programs: []Program{{Missing: true}}}}, "/bin/x was not found here; 'arenacap plan /bin/x' says", ""},
		"a cap of glibc's own":           {situation{policy: "[arenas]\ncap = \"glibc\"", found: Found{Programs: []Program{{Target: jemalloc}}}}, "", ""},
		"forking, no budget":             {situation{unit: "Type=forking"}, "", ""},
		"forking, a budget":              {situation{unit: "Type=forking\nPIDFile=/run/x", policy: budget}, `scope = "cgroup"`, ""},
		"forking, supervised":            {situation{unit: "Type=forking\nPIDFile=/run/x", supervise: true, policy: budget}, "leave supervising out", ""},
		"forking, supervised, no budget": {situation{unit: "Type=forking", policy: "[launch]\nmode = \"supervise\""}, "", ""},
		"forking, no PIDFile":            {situation{unit: "Type=forking", policy: budget + "scope = \"cgroup\""}, "write PIDFile=", ""},
		"notify":                         {situation{unit: "Type=notify\nKillMode=mixed", policy: budget}, "", ""},
		"notify, supervised":             {situation{unit: "Type=notify", supervise: true, policy: budget}, "its status is lost", ""},
		"notify, supervised, mixed":      {situation{unit: "Type=notify-reload\nKillMode=mixed", supervise: true, policy: budget}, "SIGKILL right behind SIGTERM", ""},
		"notify, supervised, terminate":  {situation{unit: "Type=notify\nRestart=on-failure", supervise: true, policy: budget + "action = \"terminate\""}, "which Restart=on-failure takes for a stop", "#Restart=always"},
		"forking, no guess":              {situation{unit: "Type=forking\nGuessMainPID=no", policy: budget + "scope = \"cgroup\""}, "", ""},
		"outside of the sandbox":         {situation{unit: "User=x\nExecStart=+/bin/x"}, `"+" at ExecStart=/bin/x`, ""},
		"may not execute all":            {situation{unit: "NoExecPaths=/\nExecPaths=/bin/x /usr/lib"}, "NoExecPaths=", "ExecPaths=" + ownPath},
		"may execute it":                 {situation{unit: "NoExecPaths=/\nExecPaths=-/usr/bin"}, "", ""},
		"a command at a breach":          {situation{unit: "NoExecPaths=/\nExecPaths=/usr/bin", policy: budget + "command = [\"/opt/on-breach\"]"}, "/opt/on-breach", "ExecPaths=/opt/on-breach"},
		"all calls of a service":         {situation{unit: "SystemCallFilter=@system-service\nSystemCallFilter=~ @privileged @resources"}, "", ""},
		"a list of calls":                {situation{unit: "SystemCallFilter=@basic-io @file-system @io-event read:EPERM"}, "SystemCallFilter=", "#SystemCallFilter=@ipc @process @signal"},
		"calls that are denied":          {situation{unit: "SystemCallFilter=~@clock @ipc:EPERM"}, "SystemCallFilter=", "#SystemCallFilter=@ipc"},
		"calls that are denied again":    {situation{unit: "SystemCallFilter=@system-service\nSystemCallFilter=~@process"}, "SystemCallFilter=", "#SystemCallFilter=@process"},
		"calls that do not matter":       {situation{unit: "SystemCallFilter=~@clock @debug"}, "", ""},
		"few threads":                    {situation{unit: "TasksMax=4"}, "TasksMax=4", ""},
		"a share of all threads":         {situation{unit: "TasksMax=99%"}, "", ""},
		"a file that sets LD_PRELOAD":    {situation{found: Found{Settings: []FileNames{{"/etc/default/x", []string{"LD_PRELOAD"}}}}}, "/etc/default/x sets LD_PRELOAD", ""},
		"a PATH of its own":              {situation{unit: "Environment=A=1 PATH=/opt/bin\nExecStart=x"}, "x is looked for in the PATH", ""},
		"a PATH, and a path":             {situation{unit: "Environment=A=1 PATH=/opt/bin"}, "", ""},
		"terminate":                      {situation{policy: budget + "action = \"terminate\""}, "which Restart=no takes for a stop", "#Restart=always"},
		"terminate, on-failure":          {situation{unit: "Restart=on-failure", policy: budget + "action = \"terminate\""}, "which Restart=on-failure takes", "#RestartPreventExitStatus=125 126 127"},
		"terminate, always":              {situation{unit: "Restart=always", policy: budget + "action = \"terminate\""}, "", "#RestartPreventExitStatus=125 126 127"},
		"terminate, supervised":          {situation{unit: "Restart=on-failure\nRestartPreventExitStatus=1", supervise: true, policy: budget + "action = \"terminate\""}, "", ""},
		"terminate, supervised, no":      {situation{supervise: true, policy: budget + "action = \"terminate\""}, "Restart=no", "#Restart=on-failure"},
		"terminate, oneshot":             {situation{unit: "Type=oneshot", policy: budget + "action = \"terminate\""}, "ask with --supervise", ""},
		"terminate, oneshot, supervised": {situation{unit: "Type=oneshot", supervise: true, policy: budget + "action = \"terminate\""}, "Restart=no", "#Restart=on-failure"},
		"what systemd ignores":           {situation{unit: "Type=oneshot\nExecStart=/bin/x\nExecStart=-/bin/y 'a"}, "systemd ignores that command", ""},
		"an image":                       {situation{unit: "RootImage=/srv/image"}, "has to be in that image", ""},
		"a setting that was taken away":  {situation{unit: "SystemCallFilter=@basic-io\nSystemCallFilter="}, "", ""},
		"limits that are larger than we": {situation{unit: "LimitAS=4G\nTasksMax=100\nLimitNPROC=500"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := c.plan(t)
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(d.Notes, "\n")
			if c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if c.line != "" && !strings.Contains(d.Text, "\n"+c.line+"\n") {
				t.Errorf("no line %q in\n%s", c.line, d.Text)
			}
			if more := beside(d.Text); c.line == "" && more != "" {
				t.Errorf("the drop-in sets %q too", more)
			}
		})
	}
}

// beside is the first line of the section that is not ExecStart=.
func beside(text string) string {
	_, section, _ := strings.Cut(text, "[Service]\n")
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "ExecStart=") {
			return line
		}
	}
	return ""
}

// The whole text, as people see it.
func TestText(t *testing.T) {
	u := unitOf(t, "Restart=on-failure\nNoExecPaths=/\nExecStart=!!@/bin/sh \"-a b\" -c 'echo $0 %% %i ${X} \\\n ; a comment\n  x'\nExecStart=:/opt/a$b/x \\; $X ; -\"/opt/$c d\"\nExecStart=-/usr/bin/arenacap run -- y ;\nType=oneshot")
	u.Name, u.Files, u.Own = "foo@.service", []string{"/lib/systemd/system/foo@.service", "/etc/systemd/system/foo@.service.d/a.conf"}, "zz-arenacap.conf"
	w := Wish{Command: "arenacap unit foo@", Flags: []string{"--policy", "/etc/a b/100%.toml", "--service", "$x"}, Plan: planOf(t, "")}
	d, err := Plan(u, w, Found{Own: Own{Path: "/opt/my tools/arenacap"}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/text.golden")
	if err != nil {
		t.Fatal(err)
	}
	if d.Text != string(want) {
		t.Errorf("got\n%s\nwant\n%s", d.Text, want)
	}
	if d.Place != "/etc/systemd/system/foo@.service.d/zz-arenacap.conf" {
		t.Errorf("place %q", d.Place)
	}
}

func TestNothingToDo(t *testing.T) {
	for _, line := range []string{"/usr/bin/arenacap run -- x", "-/opt/arenacap-386 run x", "/bin/sh -c 'exec /usr/bin/arenacap run -- x'"} {
		d, err := situation{unit: "ExecStart=" + line}.plan(t)
		if err != nil || d.Text != "" || !strings.Contains(d.Nothing, "already (s.service:2)") {
			t.Errorf("%s: %+v, %v", line, d, err)
		}
	}
}
