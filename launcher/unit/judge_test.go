package unit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/environ"
	"arenacap/launcher/target"
	"arenacap/policy"
)

// unitOf returns a service with these lines in [Service].
func unitOf(t *testing.T, lines string) Unit {
	t.Helper()
	u := Unit{Name: "s.service", own: ownFile, etc: systemEtc}
	if err := u.add("s.service", "[Service]\n"+lines); err != nil {
		t.Fatal(err)
	}
	if err := u.parse(); err != nil {
		t.Fatal(err)
	}
	return u
}

// situation is the input of a plan; the zero value is a plain service with the built-in policy.
type situation struct {
	unit      string // lines of [Service]; "ExecStart=/bin/x" is added if there is none
	policy    string // lines of a policy file; "" for the built-in policy
	supervise bool
	found     Found
}

func (s situation) plan(t *testing.T) (DropIn, error) {
	t.Helper()
	if !strings.Contains(s.unit, "ExecStart=") {
		s.unit += "\nExecStart=/bin/x"
	}
	if s.found.own.Path == "" {
		s.found.own = ownAt(ownPath, 64)
	}
	u := unitOf(t, s.unit)
	return Plan(u, Wish{Flags: []string{"--service", "s"}, Supervise: s.supervise, Plan: planOf(t, s.policy, u.Environment()...)}, s.found)
}

func ownAt(path string, bits int) ownProgram {
	return ownProgram{neededFile: neededFile{Path: path}, Bits: bits}
}

func planOf(t *testing.T, text string, env ...string) policy.Plan {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Lookup{Named: file}.Load()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Resolve(policy.Machine{Online: policy.Reading[int]{N: 2}, Memory: policy.Reading[uint64]{N: 1 << 30}, Inherited: environ.Inherited(env)})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

var (
	jemalloc = target.Target{Arrives: target.Yes, CanCap: target.No, Why: []string{"x links jemalloc"}, Hints: []string{"for jemalloc, set narenas"}}
	lost     = target.Target{Arrives: target.No, CanCap: target.No, Why: []string{"sudo clears the environment"}, Hints: []string{"put arenacap behind it"}}
	glibc    = target.Target{Arrives: target.Yes, CanCap: target.Yes, Why: []string{"x uses glibc"}, Bits: 64}
)

const (
	budget       = "[budget]\nvirtual = \"4GiB\"\n"
	halfOfMemory = "[budget]\nresident = \"50%\"\n"
)

func TestWhatCannotBeDone(t *testing.T) {
	at := func(path string) Found { return Found{own: ownAt(path, 64)} }
	for name, c := range map[string]struct {
		situation
		want string
	}{
		"no cap works, no budget":         {situation{found: Found{Programs: []Program{{Target: jemalloc}}}}, "the cap cannot work, because x links jemalloc; for jemalloc, set narenas; there is no budget either"},
		"a carrier that loses it":         {situation{found: Found{Programs: []Program{{Target: lost}}}}, "the cap cannot arrive, because sudo clears the environment; put arenacap behind it; there is no budget either"},
		"a start that is forbidden":       {situation{policy: budget + "[launch]\non_unenforceable = \"refuse\"", found: Found{Programs: []Program{{Target: jemalloc}}}}, "would forbid the start"},
		"nothing to do by the policy":     {situation{policy: "[arenas]\ncap = \"off\""}, "arenacap would do nothing"},
		"two commands":                    {situation{unit: "ExecStart=/bin/x\nExecStart=/bin/y"}, "the unit has 2 commands in ExecStart=, which systemd starts only with Type=oneshot"},
		"two commands, one is cleared":    {situation{unit: "ExecStart=/bin/x\nExecStart=\nExecStart=/bin/y"}, ""},
		"argv0 of several words":          {situation{unit: "ExecStart=@/bin/x $NAME a"}, "write ${NAME}"},
		"the user's shell":                {situation{unit: "ExecStart=|"}, "write the shell's path"},
		"home is hidden":                  {situation{unit: "ProtectHome=tmpfs", found: at("/home/a/arenacap")}, "ProtectHome=tmpfs hides /home/a/arenacap"},
		"tmp is private":                  {situation{unit: "PrivateTmp=disconnected", found: at("/var/tmp/arenacap")}, "PrivateTmp=disconnected hides"},
		"inaccessible":                    {situation{unit: "InaccessiblePaths=-/srv /opt"}, ""},
		"inaccessible, arenacap in there": {situation{unit: "InaccessiblePaths=-/srv /opt", found: at("/opt/bin/arenacap")}, "InaccessiblePaths= hides"},
		"a tmpfs over it":                 {situation{unit: "TemporaryFileSystem=/usr:ro"}, "TemporaryFileSystem= hides /usr/bin/arenacap (arenacap); add BindReadOnlyPaths=/usr/bin/arenacap to the unit"},
		"a root without it":               {situation{unit: "RootDirectory=/srv/root", found: Found{own: ownProgram{neededFile: neededFile{Path: ownPath, Absent: true}}}}, "RootDirectory=/srv/root has no /usr/bin/arenacap (arenacap); add BindReadOnlyPaths=/usr/bin/arenacap"},
		"a root with it":                  {situation{unit: "RootDirectory=/srv/root", found: Found{own: ownAt(ownPath, 64)}}, ""},
		"a budget at a connection":        {situation{unit: "StandardInput=socket", policy: budget}, "stderr is the connection to the client (socket), so the client would get the messages about breaches; write StandardError=journal"},
		"half of a memory that is hidden": {situation{unit: "ProcSubset=pid\nMemoryMax=infinity", policy: halfOfMemory}, "ProcSubset=pid hides /proc/meminfo, which a budget in percent needs; set the budget in bytes in the policy"},
		"half of a group that is hidden":  {situation{unit: "ProcSubset=pid\nMemoryMax=1G\nInaccessiblePaths=/sys", policy: halfOfMemory}, "ProcSubset=pid hides /proc/meminfo"},
		"half of no memory":               {situation{unit: "InaccessiblePaths=/proc\nMemoryMax=1G", policy: halfOfMemory}, "InaccessiblePaths= hides /proc/meminfo"},
		"another user":                    {situation{unit: "User=x", found: Found{own: ownProgram{neededFile: neededFile{Path: "/root/arenacap", Closed: "/root"}}}}, `with User=x arenacap cannot be started, because that user has no access to "/root"`},
		"a dynamic user":                  {situation{unit: "DynamicUser=yes", found: Found{own: ownProgram{neededFile: neededFile{Path: "/root/arenacap", Closed: "/root"}}}}, "with DynamicUser=yes arenacap cannot be started"},
		"root may":                        {situation{unit: "User=root", found: Found{own: ownProgram{neededFile: neededFile{Path: "/root/arenacap", Closed: "/root"}}}}, ""},
		"a policy for root only":          {situation{unit: "User=x", found: Found{policy: neededFile{Path: "/etc/x/p", Closed: "/etc/x"}}}, `cannot read its policy, because that user has no access to "/etc/x"`},
		"little address space":            {situation{unit: "LimitAS=512M"}, "LimitAS=512M: arenacap does not start with less than 690 MiB of address space; 768 MiB to 1 GiB, or 1.3 GiB and more, are enough; the 32-bit build (arenacap-386) needs less"},
		"address space in the gap":        {situation{unit: "LimitAS=1150M"}, "LimitAS=1150M: arenacap does not start with 1.1 GiB to 1.2 GiB of address space; 768 MiB to 1 GiB, or 1.3 GiB and more, are enough"},
		"in the gap, 32 bits":             {situation{unit: "LimitAS=1150M", found: Found{own: ownAt(ownPath, 32)}}, ""},
		"a soft limit":                    {situation{unit: "LimitAS=512M:infinity"}, "LimitAS=512M:infinity"},
		"enough for 32 bits":              {situation{unit: "LimitAS=512M", found: Found{own: ownAt(ownPath, 32)}}, ""},
		"too little for 32 bits":          {situation{unit: "LimitAS=8M", found: Found{own: ownAt(ownPath, 32)}}, "less than 17 MiB of address space"},
		"no limit":                        {situation{unit: "LimitAS=infinity"}, ""},
		"32 bits are forbidden":           {situation{unit: "SystemCallArchitectures=native", found: Found{own: ownAt(ownPath, 32), Programs: []Program{{Target: glibc}}}}, "SystemCallArchitectures=native"},
		"it is not there":                 {situation{found: Found{own: ownProgram{neededFile: neededFile{Path: ownPath}, Wrong: "does not exist"}}}, `"/usr/bin/arenacap" does not exist, so the service could not start`},
		"a policy in a hidden home":       {situation{unit: "ProtectHome=yes", found: Found{policy: neededFile{Path: "/root/p.toml"}}}, "ProtectHome=yes hides /root/p.toml (the policy file); put the file into a folder that the service sees"},
		"a policy in a home to be read":   {situation{unit: "ProtectHome=read-only", found: Found{policy: neededFile{Path: "/root/p.toml"}}}, ""},
		"a policy in another tmp":         {situation{unit: "PrivateTmp=yes", found: Found{policy: neededFile{Path: "/tmp/p.toml"}}}, "PrivateTmp=yes hides /tmp/p.toml"},
		"a dynamic user has its own tmp":  {situation{unit: "DynamicUser=yes", found: Found{policy: neededFile{Path: "/tmp/p.toml"}}}, "DynamicUser=yes hides /tmp/p.toml"},
		"a policy that is not in a root":  {situation{unit: "RootDirectory=/srv/c", found: Found{policy: neededFile{Path: "/etc/p.toml", Absent: true}}}, "RootDirectory=/srv/c has no /etc/p.toml (the policy file); add BindReadOnlyPaths=/etc/p.toml"},
		"a tmpfs, and what is bound":      {situation{unit: "TemporaryFileSystem=/\nBindReadOnlyPaths=/usr /etc/arenacap:/etc/arenacap", found: Found{policy: neededFile{Path: "/etc/arenacap/policy.toml"}}}, ""},
		"a tmpfs, and others bound":       {situation{unit: "TemporaryFileSystem=/\nBindReadOnlyPaths=/lib"}, "TemporaryFileSystem= hides /usr/bin/arenacap"},
		"inaccessible, whatever is bound": {situation{unit: "InaccessiblePaths=/usr\nBindReadOnlyPaths=/usr/bin"}, "InaccessiblePaths= hides"},
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
				t.Errorf("an error, and nevertheless a drop-in:\n%s", d.Text)
			}
		})
	}
}

func TestNotes(t *testing.T) {
	for name, c := range map[string]struct {
		situation
		note, line string // "" for none
	}{
		"plain":                          {situation{}, "", ""},
		"no cap works, a budget":         {situation{policy: budget, found: Found{Programs: []Program{{Target: jemalloc}}}}, "x links jemalloc", ""},
		"what is known of a program":     {situation{found: Found{Programs: []Program{{Target: target.Target{Arrives: target.Yes, CanCap: target.Yes, Notes: []string{"x calls mallopt"}}}}}}, "x calls mallopt", ""},
		"a cap for one of two":           {situation{unit: "Type=oneshot\nExecStart=/bin/x ; /bin/y", found: Found{Programs: []Program{{Target: jemalloc}, {Target: glibc}}}}, "x links jemalloc", ""},
		"a program that is not here":     {situation{found: Found{Programs: []Program{{Missing: true}}}}, "the program /bin/x is not on this machine, so it is not known whether the cap works on it; run 'arenacap plan /bin/x' on", ""},
		"a cap of glibc's own":           {situation{policy: "[arenas]\ncap = \"glibc\"", found: Found{Programs: []Program{{Target: jemalloc}}}}, "", ""},
		"forking, no budget":             {situation{unit: "Type=forking"}, "", ""},
		"forking, a budget":              {situation{unit: "Type=forking\nPIDFile=/run/x", policy: budget}, `scope = "cgroup"`, ""},
		"forking, supervised":            {situation{unit: "Type=forking\nPIDFile=/run/x", supervise: true, policy: budget}, "without --supervise", ""},
		"forking, supervised, no budget": {situation{unit: "Type=forking", policy: "[launch]\nmode = \"supervise\""}, "", ""},
		"forking, no PIDFile":            {situation{unit: "Type=forking", policy: budget + "scope = \"cgroup\""}, "write PIDFile=", ""},
		"notify":                         {situation{unit: "Type=notify\nKillMode=mixed", policy: budget}, "", ""},
		"notify, supervised":             {situation{unit: "Type=notify", supervise: true, policy: budget}, "its exit status is lost", ""},
		"notify, supervised, mixed":      {situation{unit: "Type=notify-reload\nKillMode=mixed", supervise: true, policy: budget}, "SIGKILL right after SIGTERM", ""},
		"notify, supervised, terminate":  {situation{unit: "Type=notify\nRestart=on-failure", supervise: true, policy: budget + "action = \"terminate\""}, "Restart=on-failure does not restart it", "#Restart=always"},
		"forking, no guess":              {situation{unit: "Type=forking\nGuessMainPID=no", policy: budget + "scope = \"cgroup\""}, "", ""},
		"outside of the sandbox":         {situation{unit: "User=x\nExecStart=+/bin/x"}, `"+" at ExecStart=/bin/x`, ""},
		"may not execute all":            {situation{unit: "NoExecPaths=/\nExecPaths=/bin/x /usr/lib"}, "NoExecPaths=", "ExecPaths=" + ownPath},
		"may execute it":                 {situation{unit: "NoExecPaths=/\nExecPaths=-/usr/bin"}, "", ""},
		"a command at a breach":          {situation{unit: "NoExecPaths=/\nExecPaths=/usr/bin", policy: budget, found: Found{command: neededFile{Path: "/opt/on-breach"}}}, "/opt/on-breach", "ExecPaths=/opt/on-breach"},
		"a share of all threads":         {situation{unit: "TasksMax=99%"}, "", ""},
		"a file that sets LD_PRELOAD":    {situation{found: Found{settings: []envFile{{"/etc/default/x", []string{"LD_PRELOAD"}}}}}, "/etc/default/x sets LD_PRELOAD", ""},
		"a variable of the manager's":    {situation{unit: "PassEnvironment=A LD_PRELOAD MALLOC_ARENA_MAX\nUnsetEnvironment=MALLOC_ARENA_MAX"}, "PassEnvironment= passes on the service manager's LD_PRELOAD, which", ""},
		"variables that do not matter":   {situation{unit: "PassEnvironment=A LD_PRELOAD\nUnsetEnvironment=LD_PRELOAD"}, "", ""},
		"a security module":              {situation{unit: "AppArmorProfile=-x"}, "AppArmorProfile=-x was not checked; that setting must allow arenacap to start", ""},
		"a security module, outside":     {situation{unit: "SELinuxContext=x\nExecStart=+/bin/x"}, "", ""},
		"a cap of its own":               {situation{unit: "Environment=MALLOC_ARENA_MAX=1"}, "the unit's own cap of 1 ($MALLOC_ARENA_MAX) stays: no policy file sets another one", ""},
		"a cap of its own, kept":         {situation{unit: "Environment=MALLOC_ARENA_MAX=1", policy: "[arenas]\ncap = 2\ninherited = \"keep\""}, "stays: the policy says inherited", ""},
		"a cap of its own, unset":        {situation{unit: "Environment=MALLOC_ARENA_MAX=1\nUnsetEnvironment=MALLOC_ARENA_MAX"}, "", ""},
		"a PATH of its own":              {situation{unit: "Environment=A=1 PATH=/opt/bin\nExecStart=x"}, "looks for x in the PATH", ""},
		"a PATH, and a path":             {situation{unit: "Environment=A=1 PATH=/opt/bin"}, "", ""},
		"terminate":                      {situation{policy: budget + "action = \"terminate\""}, "Restart=no does not restart it", "#Restart=always"},
		"terminate, on-failure":          {situation{unit: "Restart=on-failure", policy: budget + "action = \"terminate\""}, "Restart=on-failure does not restart it", "#RestartPreventExitStatus=125 126 127"},
		"terminate, always":              {situation{unit: "Restart=always", policy: budget + "action = \"terminate\""}, "", "#RestartPreventExitStatus=125 126 127"},
		"terminate, supervised":          {situation{unit: "Restart=on-failure\nRestartPreventExitStatus=1", supervise: true, policy: budget + "action = \"terminate\""}, "", ""},
		"terminate, supervised, no":      {situation{supervise: true, policy: budget + "action = \"terminate\""}, "Restart=no", "#Restart=on-failure"},
		"terminate, oneshot":             {situation{unit: "Type=oneshot", policy: budget + "action = \"terminate\""}, "use --supervise", ""},
		"terminate, oneshot, supervised": {situation{unit: "Type=oneshot", supervise: true, policy: budget + "action = \"terminate\""}, "Restart=no", "#Restart=on-failure"},
		"what systemd ignores":           {situation{unit: "Type=oneshot\nExecStart=/bin/x\nExecStart=-/bin/y 'a"}, "systemd ignores that command", ""},
		"an image":                       {situation{unit: "RootImage=/srv/image"}, "that image must contain", ""},
		"simple, NotifyAccess=main":      {situation{unit: "NotifyAccess=main\nRestart=on-failure", supervise: true, policy: budget + "action = \"terminate\""}, "NotifyAccess=main: a supervising arenacap makes the program the main process", "#Restart=always"},
		"simple, NotifyAccess=none":      {situation{unit: "NotifyAccess=none", supervise: true}, "", ""},
		"simple, WatchdogSec":            {situation{unit: "WatchdogSec=30s\nNotifyAccess=none", supervise: true}, "WatchdogSec=30s: a supervising", ""},
		"simple, no WatchdogSec":         {situation{unit: "WatchdogSec=0", supervise: true}, "", ""},
		"simple, a store of descriptors": {situation{unit: "FileDescriptorStoreMax=3", supervise: true}, "FileDescriptorStoreMax=3: a supervising", ""},
		"a log that is hidden":           {situation{unit: "ProtectHome=yes", policy: budget, found: Found{log: neededFile{Path: "/root/log"}}}, "ProtectHome=yes hides /root/log (the log file)", ""},
		"a log that is read-only":        {situation{unit: "ProtectSystem=strict", policy: budget, found: Found{log: neededFile{Path: "/var/log/a/log"}}}, `ProtectSystem=strict keeps the service from writing the log file "/var/log/a/log"`, "#ReadWritePaths=/var/log/a"},
		"a log in its own folder":        {situation{unit: "ProtectSystem=strict\nLogsDirectory=a\nUser=x", policy: budget, found: Found{log: neededFile{Path: "/var/log/a/log", Closed: "/var/log/a"}}}, "", ""},
		"a log in a writable folder":     {situation{unit: "ProtectSystem=strict\nReadWritePaths=/var", policy: budget, found: Found{log: neededFile{Path: "/var/log/a/log"}}}, "", ""},
		"a log in a read-only path":      {situation{unit: "ReadWritePaths=/var\nReadOnlyPaths=/var/log", policy: budget, found: Found{log: neededFile{Path: "/var/log/a/log"}}}, "ReadOnlyPaths= keeps the service from writing", "#ReadWritePaths=/var/log/a"},
		"a log of another user's":        {situation{unit: "User=x", policy: budget, found: Found{log: neededFile{Path: "/var/log/log", Closed: "/var/log"}}}, `with User=x arenacap cannot write the log file "/var/log/log"`, ""},
		"a command that is hidden":       {situation{unit: "ProtectHome=yes", policy: budget, found: Found{command: neededFile{Path: "/root/cry"}}}, "ProtectHome=yes hides /root/cry (the budget's command)", ""},
		"a command of another user's":    {situation{unit: "User=x", policy: budget, found: Found{command: neededFile{Path: "/root/cry", Closed: "/root"}}}, "the budget's command /root/cry cannot be started", ""},
		"a tmpfs over a log":             {situation{unit: "TemporaryFileSystem=/var", policy: budget, found: Found{log: neededFile{Path: "/var/log/a/log"}}}, "TemporaryFileSystem= hides /var/log/a/log (the log file); add BindPaths=/var/log/a to the unit", ""},
		"no /proc":                       {situation{unit: "TemporaryFileSystem=/:ro\nBindReadOnlyPaths=/usr", policy: budget}, "TemporaryFileSystem= hides /proc or /dev/null, so arenacap cannot watch the program; write MountAPIVFS=yes in the unit to make them visible", ""},
		"no /dev/null":                   {situation{unit: "TemporaryFileSystem=/:ro\nBindReadOnlyPaths=/usr /proc", policy: budget}, "write MountAPIVFS=yes in the unit to make them visible", ""},
		"devices of its own":             {situation{unit: "TemporaryFileSystem=/:ro\nBindReadOnlyPaths=/usr /proc\nPrivateDevices=yes", policy: budget}, "", ""},
		"no /proc, for good":             {situation{unit: "InaccessiblePaths=/proc\nMountAPIVFS=yes", policy: budget}, "so arenacap cannot watch the program", ""},
		"no /proc, no budget":            {situation{unit: "InaccessiblePaths=/proc"}, "", ""},
		"a /proc of its own":             {situation{unit: "TemporaryFileSystem=/:ro\nBindReadOnlyPaths=/usr\nMountAPIVFS=yes", policy: budget}, "", ""},
		"half of a group's memory":       {situation{unit: "ProcSubset=pid\nMemoryMax=1G", policy: halfOfMemory}, "", ""},
		"stderr is thrown away":          {situation{unit: "StandardError=null", policy: budget}, "stderr is null, so breaches are not in the journal", ""},
		"stderr is stdout's file":        {situation{unit: "StandardOutput=append:/var/log/x\nStandardError=inherit", policy: budget}, "stderr is append:/var/log/x", ""},
		"a connection":                   {situation{unit: "StandardInput=socket\nUser=x"}, "stderr is the connection to the client (socket), so the drop-in has -q, and arenacap writes no warnings", "ExecStart=/usr/bin/arenacap run --service s -q -- /bin/x"},
		"a connection, a log":            {situation{unit: "StandardOutput=fd:c\nStandardError=inherit", policy: budget + "[log]\nto = \"/var/log/x\""}, "the drop-in has -q", "ExecStart=/usr/bin/arenacap run --service s -q -- /bin/x"},
		"a connection, output elsewhere": {situation{unit: "StandardInput=socket\nStandardOutput=journal", policy: budget}, "", ""},
		"a connection, errors elsewhere": {situation{unit: "StandardInput=socket\nStandardError=journal", policy: budget}, "", ""},
		"data":                           {situation{unit: "StandardInput=data\nStandardOutput=inherit", policy: budget}, "", ""},
		"a terminal":                     {situation{unit: "StandardInput=tty-force", policy: budget}, "stderr is tty-force, so breaches are not in the journal", ""},
		"stderr is the journal":          {situation{unit: "StandardOutput=null\nStandardError=journal", policy: budget}, "", ""},
		"stderr is nobody's, no budget":  {situation{unit: "StandardError=null"}, "", ""},
		"several programs":               {situation{unit: "Type=oneshot\nExecStart=/bin/x ; /bin/y"}, "will have the identifier arenacap", ""},
		"a program that is not known":    {situation{unit: "ExecStart=/bin/%H"}, "will have the identifier arenacap", ""},
		"a name of its own":              {situation{unit: "SyslogIdentifier=y\nExecStart=/bin/%H"}, "", ""},
		"the same program twice":         {situation{unit: "Type=oneshot\nExecStart=-/bin/x%%y 1 ; @/sbin/x%%y z"}, "", "SyslogIdentifier=x%%y"},
		"a program of some folder":       {situation{unit: "ExecStart=/opt/%i/x"}, "", "SyslogIdentifier=x"},
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
			if more := firstAddition(d.Text); c.line == "" && more != "" {
				t.Errorf("the drop-in sets %q too", more)
			}
		})
	}
}

// firstAddition returns the first line of [Service] that a plain drop-in does not have: one other than ExecStart= and
// the identifier.
func firstAddition(text string) string {
	_, section, _ := strings.Cut(text, "[Service]\n")
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "ExecStart=") && line != "SyslogIdentifier=x\n" && !strings.HasPrefix(line, "# The identifier of") {
			return line
		}
	}
	return ""
}

// Limits and denied system calls: a plan refuses if arenacap cannot start, and has a note if it is possible that arenacap does
// not start.
func TestNeeds(t *testing.T) {
	const allow, list = "SystemCallFilter=@basic-io @file-system @io-event ", "SystemCallFilter="
	for name, c := range map[string]struct {
		situation
		refusal, note string
	}{
		"two tasks":                  {situation{unit: "TasksMax=2"}, "TasksMax=2: arenacap does not start with less than 4 tasks; 8 are enough", ""},
		"four tasks, supervised":     {situation{unit: "TasksMax=4", supervise: true}, "TasksMax=4: arenacap does not start with less than 5 tasks", ""},
		"few tasks":                  {situation{unit: "TasksMax=5"}, "", "TasksMax=5: this limit may be too low for arenacap itself, which runs under the same limit; 8 tasks are enough"},
		"few tasks, a budget":        {situation{unit: "TasksMax=16", policy: budget}, "", "24 tasks are enough"},
		"enough tasks":               {situation{unit: "TasksMax=24", policy: budget}, "", ""},
		"a share of all tasks":       {situation{unit: "TasksMax=1%"}, "", ""},
		"one task of a user's":       {situation{unit: "User=x\nLimitNPROC=1"}, "LimitNPROC=1: arenacap does not start with less than 4 tasks", ""},
		"one task of a dynamic user": {situation{unit: "DynamicUser=yes\nLimitNPROC=1"}, "LimitNPROC=1", ""},
		"root is not bound":          {situation{unit: "LimitNPROC=1"}, "", ""},
		"little memory":              {situation{unit: "LimitDATA=16M"}, "LimitDATA=16M: arenacap does not start with less than 38 MiB of memory", ""},
		"little memory, 32 bits":     {situation{unit: "LimitDATA=16M", found: Found{own: ownAt(ownPath, 32)}}, "", ""},
		"maybe too little memory":    {situation{unit: "LimitDATA=40M"}, "", "LimitDATA=40M: this limit may be too low for arenacap itself, which runs under the same limit; 64 MiB of memory are enough"},
		"maybe too little space":     {situation{unit: "LimitAS=700M"}, "", "too low for arenacap itself, which runs under the same limit; 768 MiB to 1 GiB, or 1.3 GiB and more, of address space are enough"},
		"space before the gap":       {situation{unit: "LimitAS=1G"}, "", ""},
		"space at the gap's end":     {situation{unit: "LimitAS=1250M"}, "", "too low for arenacap itself"},
		"space after the gap":        {situation{unit: "LimitAS=1300M"}, "", ""},
		"few descriptors":            {situation{unit: "LimitNOFILE=4"}, "LimitNOFILE=4: arenacap does not start with less than 5 file descriptors", ""},
		"few descriptors at first":   {situation{unit: "LimitNOFILE=4:1024"}, "", ""},
		"a list of calls":            {situation{unit: allow + "read:EPERM"}, "add SystemCallFilter=@process @signal madvise to the unit", ""},
		"a list of calls, a budget":  {situation{unit: allow, policy: budget}, "to start and watch; add SystemCallFilter=pipe2 process_vm_readv sendmsg @process @signal madvise ioctl setsid to", ""},
		"a list of calls, notified":  {situation{unit: allow + "@process @signal @ipc madvise ioctl setsid\nType=notify", supervise: true}, "SystemCallFilter=sendmsg setsockopt socket to", ""},
		"a list of calls, a log":     {situation{unit: allow + "@process @signal @ipc madvise ioctl setsid\nStandardError=append:/x", policy: budget}, "", "stderr is append:/x"},
		"all calls of a service":     {situation{unit: list + "@system-service\nSystemCallFilter=~ @privileged @resources", policy: budget}, "", ""},
		"denied, with an error":      {situation{unit: list + "~@ipc:EPERM @clock", policy: budget}, "SystemCallFilter=pipe2 to", ""},
		"an error that is harmless":  {situation{unit: list + "~ptrace process_vm_readv prctl\nSystemCallErrorNumber=EPERM", policy: budget}, "", ""},
		"killed all the same":        {situation{unit: list + "~prctl:kill\nSystemCallErrorNumber=EPERM"}, "SystemCallFilter=prctl to", ""},
		"an error that is not":       {situation{unit: list + "@system-service\nSystemCallFilter=~@process\nSystemCallErrorNumber=EPERM"}, "SystemCallFilter=clone to", ""},
		"denied again":               {situation{unit: list + "@system-service\nSystemCallFilter=~@process"}, "SystemCallFilter=@process to", ""},
		"denied, and allowed":        {situation{unit: list + "~@process\nSystemCallFilter=@process"}, "", ""},
		"the watch's, no budget":     {situation{unit: list + "~@ipc @clock"}, "", ""},
		"one call":                   {situation{unit: list + "~clone3 clone"}, "SystemCallFilter=clone to", ""},
		"a call of @default":         {situation{unit: list + "~sched_getaffinity"}, "SystemCallFilter=sched_getaffinity to", ""},
		"not in a list":              {situation{unit: list + "@system-service\nSystemCallFilter=~nanosleep exit_group"}, "SystemCallFilter=nanosleep to", ""},
		"not in a list, a budget":    {situation{unit: list + "@system-service\nSystemCallFilter=~nanosleep exit_group", policy: budget}, "SystemCallFilter=nanosleep exit_group to", ""},
		"an error is harmless":       {situation{unit: list + "~sched_getaffinity:EPERM gettid:EPERM", policy: budget}, "", ""},
		"two calls of groups":        {situation{unit: list + "~pidfd_open process_vm_readv", policy: budget}, "SystemCallFilter=process_vm_readv pidfd_open to", ""},
		"calls that do not matter":   {situation{unit: list + "~@clock @debug mount", policy: budget}, "", ""},
		"outside of the sandbox":     {situation{unit: list + "read\nExecStart=+/bin/x"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := c.plan(t)
			if (err == nil) != (c.refusal == "") || err != nil && !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("%v, want %q", err, c.refusal)
			}
			if notes := strings.Join(d.Notes, "\n"); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// The list of known limits in launcher/README.md names, for each row of Needs, the amounts that are enough for arenacap.
func TestReadmeHasTheNeeds(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sentence, _ := strings.Cut(string(text), "\n- `arenacap` itself needs ")
	sentence, _, _ = strings.Cut(sentence, "\n")
	for _, n := range Needs {
		for _, amount := range []uint64{n.launch.enough, n.stay.enough, n.gap.from, n.gap.enough} {
			if amount != 0 && !strings.Contains(sentence, n.Format(amount)) {
				t.Errorf("%s: no %s in %q", n.Setting, n.Format(amount), sentence)
			}
		}
	}
}

// TestText compares the complete text of a drop-in.
func TestText(t *testing.T) {
	u := unitOf(t, "Restart=on-failure\nNoExecPaths=/\nExecStart=!!@/bin/sh \"-a b\" -c 'echo $0 %% %i ${X} \\\n ; a comment\n  x'\nExecStart=:/opt/a$b/x \\; $X ; -\"/opt/$c d\"\nExecStart=-/usr/bin/arenacap run -- y ;\nType=oneshot")
	u.Name, u.Files, u.own = "foo@.service", []string{"/lib/systemd/system/foo@.service", "/etc/systemd/system/foo@.service.d/a.conf"}, "zz-arenacap.conf"
	w := Wish{Command: "arenacap unit foo@", Flags: []string{"--policy", "/etc/a b/100%.toml", "--service", "$x"}, Plan: planOf(t, "")}
	d, err := Plan(u, w, Found{own: ownAt("/opt/my tools/arenacap", 64)})
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

// No Restart= is proposed for a service instance that serves one connection.
func TestOneConnection(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a@.service": "[Service]\nExecStart=/bin/x", "a.socket": "[Socket]\nAccept=yes",
		"b@.service": "[Service]\nExecStart=/bin/x", "b.socket": "[Socket]\nAccept=no",
	})
	for name, want := range map[string]bool{"a@1": false, "a@": false, "b@1": true} {
		u, err := finder{dirs: []string{dir}}.load(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Plan(u, Wish{Plan: planOf(t, budget+"action = \"terminate\"")}, Found{own: ownAt(ownPath, 64)})
		if err != nil || strings.Contains(d.Text, "#Restart=always") != want {
			t.Errorf("%s: %v\n%s", name, err, d.Text)
		}
	}
}

// Settings that an operator added to the drop-in apply and are written again; an older drop-in under another name is
// replaced.
func TestKept(t *testing.T) {
	const own = ownBegin + "a.service. Made by:\n[Service]\nExecStart=\nExecStart=/bin/old\n"
	root := t.TempDir()
	write(t, root, map[string]string{
		"etc/systemd/system/a.service":                 "[Service]\nType=forking\nExecStart=/bin/x",
		"etc/systemd/system/a.service.d/override.conf": "[Service]\nExecStart=\nExecStart=/bin/y",
		"etc/systemd/system/a.service.d/arenacap.conf": own + "Restart=always\n# RestartPreventExitStatus=1\nPIDFile=/run/a\\\n b \\\\\n[Unit]\nAfter=b\nSyslogIdentifier=old\n",
		"run/systemd/system/a.service.d/arenacap.conf": own, // hidden by the one in /etc
		"run/systemd/system/a.service.d/zzz.conf":      own,
	})
	u, err := Load(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Plan(u, Wish{Root: root, Plan: planOf(t, budget+"action = \"terminate\"\nscope = \"cgroup\"")}, Found{own: ownAt(ownPath, 64)})
	if err != nil {
		t.Fatal(err)
	}
	const want = "\nRestart=always\nPIDFile=/run/a  b \\\\\nExecStart=\nExecStart=/usr/bin/arenacap run -- /bin/y\n[Unit]\nAfter=b\nSyslogIdentifier=old\n"
	if !strings.HasSuffix(d.Text, want) || strings.Contains(d.Text, "#Restart=") || !strings.Contains(d.Text, "\n#RestartPreventExitStatus=") {
		t.Errorf("%s\nwant at its end %s", d.Text, want)
	}
	dir := filepath.Join(root, systemEtc, "a.service.d")
	if d.Place != filepath.Join(dir, "zz-arenacap.conf") || len(d.Older) != 1 || d.Older[0] != filepath.Join(dir, "arenacap.conf") {
		t.Errorf("%q instead of %q", d.Place, d.Older)
	}
	if notes := strings.Join(d.Notes, "\n"); !strings.Contains(notes, "zzz.conf earlier, and systemd reads that drop-in after this one") || strings.Contains(notes, "PIDFile") {
		t.Errorf("%s", notes)
	}
}

// A drop-in for the template stays in place beside the one for an instance, which overrides it.
func TestKeptOfATemplate(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"etc/systemd/system/a@.service":                 "[Service]\nExecStart=/bin/x",
		"etc/systemd/system/a@.service.d/arenacap.conf": ownBegin + "a@.service. Made by:\n[Service]\nNice=1\n",
	})
	u, err := Load(root, "a@i")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Plan(u, Wish{Root: root, Plan: planOf(t, "")}, Found{own: ownAt(ownPath, 64)})
	if err != nil || d.Place != filepath.Join(root, systemEtc, "a@i.service.d", ownFile) || len(d.Older)+len(d.Notes) > 0 || !strings.Contains(d.Text, "\nNice=1\n") {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestNoNameIsLeft(t *testing.T) {
	u := unitOf(t, "ExecStart=/bin/x")
	u.own, u.behind = ownName([]string{strings.Repeat("~", 250) + ".conf"})
	if _, err := Plan(u, Wish{Plan: planOf(t, "")}, Found{own: ownAt(ownPath, 64)}); err == nil || !strings.HasSuffix(err.Error(), "a shorter name") {
		t.Error(err)
	}
}

func TestNothingToDo(t *testing.T) {
	for _, line := range []string{"/usr/bin/arenacap run -- x", "-/opt/arenacap-386 run x", "/bin/sh -c 'exec /usr/bin/arenacap run -- x'",
		"/usr/bin/sudo -u x /usr/bin/arenacap run -- x", "/usr/bin/nice -n 5 /usr/bin/env A=%i B=$C /usr/bin/arenacap run x"} {
		d, err := situation{unit: "ExecStart=" + line}.plan(t)
		if err != nil || d.Text != "" || !strings.Contains(d.Nothing, "already (s.service:2)") {
			t.Errorf("%s: %+v, %v", line, d, err)
		}
	}
	for _, line := range []string{"/usr/bin/sudo -u arenacap /bin/x run", "/usr/bin/grep x arenacap run", "/usr/bin/sudo --what /usr/bin/arenacap run x"} {
		if d, err := (situation{unit: "ExecStart=" + line}).plan(t); err != nil || d.Text == "" {
			t.Errorf("%s: %+v, %v", line, d, err)
		}
	}
}
