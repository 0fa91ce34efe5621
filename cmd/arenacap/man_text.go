//go:build !urfave_cli_no_docs

package main

// This file has the parts of the commands' manual pages that are written by hand: the examples of each command, and
// sections of arenacap(1).

type manExample struct{ text, lines string }

// manExamples are the examples of each page.
var manExamples = map[string][]manExample{
	"arenacap": {
		{"Which processes of this host hold arenas, and what a cap would save:", "# arenacap ps"},
		{"To put Debian's MariaDB under a policy with a budget, add these lines to /etc/arenacap/policy.toml, which arenacap.toml(5) describes. " +
			"The budget is for private memory, because MariaDB reserves terabytes of virtual size without access (PROT_NONE).",
			"[service.mariadb]\narenas.cap  = 2\nbudget.data = \"2GiB\""},
		{"Then write a drop-in that starts the service through arenacap, and restart it:",
			"# arenacap check --service mariadb /etc/arenacap/policy.toml\n# arenacap unit --write mariadb\n# systemctl daemon-reload && systemctl restart mariadb"},
		{"The line \"cap\" of inspect says whether the cap is kept. Each event of the budget is a line in the journal of the service, " +
			"which says what to do; arenacap-events(7) explains them.",
			"# arenacap inspect $(systemctl show -P MainPID mariadb)\n# journalctl -u mariadb -g arenacap:"},
		{"To see what a breach looks like, set a limit below what the server uses, for example \"100MiB\", restart the service and wait for 15 seconds. " +
			"A service reads the policy only when it starts, so restart it after each change.", ""},
		{"To start the service without arenacap again, remove the drop-in. An upgrade of arenacap does not bring it back. A removal of the package disables the drop-ins of all system services; those in home directories stay, and the removal lists them.",
			"# arenacap unit --remove mariadb\n# systemctl daemon-reload && systemctl restart mariadb"},
	},
	"run": {
		{"A server under the section [service.authserver] of the policy:", "arenacap run --service authserver -- /opt/auth/AuthServer -c auth.conf"},
		{"Run a program as another user. arenacap is behind sudo, because sudo clears the environment:",
			"sudo -u auth arenacap run -- /opt/auth/AuthServer"},
	},
	"env": {
		{"In a start script:", "eval \"$(arenacap env --service datanode)\""},
		{"In a start script of Hadoop or Tomcat, which also works where arenacap is not installed:", "ARENACAP_SERVICE=datanode\n. /usr/share/arenacap/arenacap-env.sh"},
	},
	"plan": {
		{"Whether a cap reaches a server behind sudo:", "arenacap plan sudo -u auth /opt/auth/AuthServer"},
	},
	"check": {
		{"The policy of the system, and what it says for one service:", "arenacap check --service mariadb /etc/arenacap/policy.toml"},
	},
	"inspect": {
		{"What MariaDB's virtual size consists of, and how much of its heaps is free:", "arenacap inspect --deep $(pidof mariadbd)"},
	},
	"ps": {
		{"Who reserves most:", "arenacap ps"},
		{"For node_exporter, from a timer:", "cd /var/lib/prometheus/node-exporter &&\n  arenacap ps --prometheus >arenacap.new && mv arenacap.new arenacap.prom"},
	},
	"watch": {
		{"One running process, until Ctrl-C:", "arenacap watch --budget 4GiB $(pidof mariadbd)"},
		{"Watch all services of /etc/arenacap/policy.toml that have a budget, from now on. Their events are in the journal of arenacap-watch.service. " +
			"Use this watch for services without a drop-in; a service with a drop-in has a watch of its own, and would be reported twice.",
			"systemctl enable --now arenacap-watch"},
		{"Read a changed policy:", "systemctl reload arenacap-watch"},
	},
	"sweep": {
		{"Which cap costs a build no time:", "arenacap sweep -- make -j8"},
	},
	"unit": {
		{"Put arenacap in front of a service:", "arenacap unit --write mariadb\nsystemctl daemon-reload && systemctl restart mariadb"},
		{"Remove the drop-ins of all services:", "arenacap unit --remove --all"},
		{"Whether a drop-in is missing or out of date (write_needed in the output):", "arenacap unit --json mariadb"},
		{"Write the drop-in into the files of another machine, and print what changed as JSON:", "arenacap unit --write --json --root /srv/image mariadb"},
	},
	"copy-to": {
		{"In an init container, into a volume that the server's container mounts at the same place:", "arenacap copy-to /opt/arenacap"},
	},
}

const manSections = `
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev ARENACAP_POLICY , ARENACAP_SERVICE
The defaults of
.Fl \-policy
and
.Fl \-service .
.It Ev MALLOC_ARENA_MAX , MALLOC_ARENA_TEST , GLIBC_TUNABLES
An inherited value applies if no flag and no policy file sets a cap.
.It Ev NO_COLOR
No colour, even on a terminal.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa ~/.config/arenacap/policy.toml
The user's policy
.Pq Ev XDG_CONFIG_HOME ;
root does not read it.
.It Pa /etc/arenacap/policy.toml
The system's policy.
Only the first file that exists is read.
.It Pa /etc/systemd/system/NAME.service.d/arenacap.conf
What
.Xr arenacap-unit 1
writes.
A removal of the package adds
.Ql .removed
to the name of each such file, so that the service starts without arenacap.
The next installation gives these files their names back, unless the unit's
ExecStart= has changed; it reports each.
.Ql arenacap unit \-\-remove
adds the same ending, and no installation takes that off.
A purge deletes all of them.
.It Pa /usr/lib/systemd/system/arenacap\-watch.service
The watch for all services of the policy
.Pq Xr arenacap-watch 1 .
The package enables no service.
.It Pa /usr/bin/arenacap\-386
The same program with 32 bits, on amd64.
It starts with 24 MiB of address space, where batch systems limit the virtual
size; the 64-bit program needs 768 MiB to 1 GiB, or 1.3 GiB and more.
.It Pa /usr/share/arenacap/arenacap\-env.sh
For start scripts that are sourced
.Pq Xr arenacap-env 1 .
.It Pa /usr/share/doc/arenacap/operations.md
How to roll out, change a policy, go back, install, upgrade and remove the
package, and what to do at each alert and event.
.It Pa /usr/share/doc/arenacap/examples
Configurations for
.Xr logrotate 8
and Prometheus.
.El
.Sh EXIT STATUS
.Nm arenacap run
exits with the status of PROGRAM, or with 125 if arenacap itself failed before
PROGRAM ran, 126 if PROGRAM was found but cannot be run, 127 if it was not
found.
.Pp
The other commands exit with 0 for success, 1 for a negative result (a policy is
invalid, a cap is not kept, a process cannot be read, a budget was breached) and
2 for wrong use.
`
