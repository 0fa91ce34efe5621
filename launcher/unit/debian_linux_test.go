package unit

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// debianUnits are all that these packages of Debian 12 ship, and what an answer has to have; "" is only that there is
// one.
var debianUnits = map[string]map[string]string{
	"mariadb-server": {
		"mariadb.service": "galera_recovery ] && VAR= ||   VAR=`/usr/bin/galera_recovery`; [ $? -eq 0 ] || exit 1;   exec /usr/sbin/mariadbd $MYSQLD_OPTS $_WSREP_NEW_CLUSTER $VAR\"\n",
		"mysql.service":   "# arenacap in front of mariadb.service.", "mysqld.service": "/mariadb.service.d/arenacap.conf\n",
		"mariadb@.service": "-- /usr/sbin/mariadbd $MYSQLD_MULTI_INSTANCE $MYSQLD_OPTS\n", "mariadb@bootstrap.service": "-- /usr/bin/false\n",
	},
	"redis-server": {"redis-server.service": "\nExecPaths=" + ownPath + "\n", "redis-server@.service": "redis-%i.conf"},
	"tomcat10":     {"tomcat10.service": "-- /bin/sh /usr/libexec/tomcat10/tomcat-start.sh\n"},
	"apache2": {"apache2.service": "-- /usr/sbin/apachectl start\n", "apache2@.service": "",
		"apache-htcacheclean.service": "-p $HTCACHECLEAN_PATH -l", "apache-htcacheclean@.service": ""},
	"memcached":  {"memcached.service": "-- /usr/share/memcached/scripts/systemd-memcached-wrapper /etc/memcached.conf\n"},
	"zookeeperd": {},
}

// unpack gets the packages from Debian and unpacks them into one folder.
func unpack(t *testing.T, packages ...string) (root string) {
	t.Helper()
	need(t, "apt-get", "dpkg-deb", "systemd-analyze")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	debs := t.TempDir()
	get := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-qq", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User="}, packages...)...)
	get.Dir = debs
	get.WaitDelay = 10 * time.Second
	if out, err := get.CombinedOutput(); err != nil { // in CI too: a mirror that is away says nothing of this code
		t.Skipf("apt-get cannot download them here: %v %.200s", err, out)
	}
	root = t.TempDir()
	files, _ := filepath.Glob(debs + "/*.deb")
	for _, deb := range files {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", deb, err, out)
		}
	}
	return root
}

// Every unit of these packages gets a drop-in with which systemd starts the same behind arenacap.
func TestDebiansUnits(t *testing.T) {
	var packages, names []string
	for p, units := range debianUnits {
		packages = append(packages, p)
		for name := range units {
			if template(name) != name || !strings.Contains(name, "@") { // systemd-analyze loads no template
				names = append(names, name)
			}
		}
	}
	root := unpack(t, packages...)
	dir := filepath.Join(root, "lib/systemd/system")
	shipped, _ := filepath.Glob(dir + "/*.service")
	known := 0
	_, before := systemdReads(t, dir, names...)
	for _, units := range debianUnits {
		for name, want := range units {
			d := install(t, dir, name)
			if !strings.Contains(d.Text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, d.Text)
			}
			if slices.Contains(shipped, filepath.Join(dir, name)) {
				known++
			}
		}
	}
	if known != len(shipped) {
		t.Errorf("the packages ship %q", shipped)
	}
	_, after := systemdReads(t, dir, names...)
	for name, commands := range before {
		for i, command := range commands {
			if len(after[name]) != len(commands) || !strings.HasSuffix(after[name][i], " -- "+command) || !strings.HasPrefix(after[name][i], ownPath+" run ") {
				t.Errorf("%s: before %q, after %q", name, commands, after[name])
			}
		}
	}
	if _, err := Load(root, "zookeeper"); err == nil || !strings.Contains(err.Error(), "only the init script "+root+"/etc/init.d/zookeeper") {
		t.Errorf("zookeeper: %v", err)
	}
}
