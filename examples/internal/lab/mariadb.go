package lab

// This file starts a MariaDB server with a data folder, and loads it with sysbench.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

// Database is a data folder for MariaDB with sysbench's tables in it, owned by the user that the server runs as.
type Database struct {
	dir  string
	user *syscall.Credential // user of the server; nil: the user of this process
}

// MariaDB is a running server on a Database.
type MariaDB struct {
	*Process
	socket string
}

// NewDatabase creates and fills the data folder. If root runs this, the server runs as user mysql, because it refuses to
// run as root.
func NewDatabase(ctx context.Context, dir string) (*Database, error) {
	d := &Database{dir: filepath.Join(dir, "mariadb")}
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		return nil, err
	}
	if err := d.chooseUser(); err != nil {
		return nil, err
	}
	install := d.command(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+d.dir+"/data",
		"--auth-root-authentication-method=normal", "--skip-test-db")
	if err := run(install); err != nil {
		return nil, err
	}
	return d, d.fill(ctx)
}

func (d *Database) chooseUser() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	d.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(d.dir, uid, gid)
}

// command returns a command that runs as the database's user, with the database's folder as current folder, as home
// folder, so that no configuration in the caller's home folder applies, and for temporary files, because the caller's
// TMPDIR may be a folder that the database's user cannot write to.
func (d *Database) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "HOME="+d.dir, "TMPDIR="+d.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.user}
	return cmd
}

func (d *Database) fill(ctx context.Context) error {
	m, err := d.Start(ctx, nil)
	if err != nil {
		return err
	}
	defer m.Kill()
	const setup = "create database sbtest; create user sysbench@localhost; grant all on sbtest.* to sysbench@localhost"
	if err := run(m.client(ctx, "--execute="+setup)); err != nil {
		return err
	}
	if err := m.Prepare(ctx); err != nil {
		return err
	}
	status, err := m.Stop(ctx)
	if err == nil && status != 0 {
		err = fmt.Errorf("mariadbd ended with %d", status)
	}
	return err
}

// Start starts mariadbd with a small buffer pool and no network, and waits until mariadbd accepts connections. The words of
// prefix, if any, precede mariadbd in the command line; options are further options of mariadbd.
func (d *Database) Start(ctx context.Context, prefix []string, options ...string) (*MariaDB, error) {
	args := append([]string{"--no-defaults", "--datadir=" + d.dir + "/data", "--socket=" + d.dir + "/sock",
		"--pid-file=" + d.dir + "/pid", "--skip-networking", "--innodb-buffer-pool-size=32M", "--max-allowed-packet=128M"}, options...)
	p, err := Start(d.command(ctx, "mariadbd", args...), prefix)
	if err != nil {
		return nil, err
	}
	if _, err := p.AwaitText(ctx, "ready for connections"); err != nil {
		p.Kill()
		return nil, err
	}
	return &MariaDB{Process: p, socket: d.dir + "/sock"}, nil
}

// Version is mariadbd's version without the distribution's suffix, "10.11.19".
func (d *Database) Version(ctx context.Context) string {
	out, _ := d.command(ctx, "mariadbd", "--no-defaults", "--version").Output()
	return string(regexp.MustCompile(`\d+\.\d+\.\d+`).Find(out))
}

// ConnectMariaDB returns a MariaDB for a server that was started elsewhere; its Process is nil.
func ConnectMariaDB(socket string) *MariaDB { return &MariaDB{socket: socket} }

// Prepare fills sysbench's tables.
func (m *MariaDB) Prepare(ctx context.Context) error { return run(m.sysbench(ctx, "prepare")) }

func (m *MariaDB) client(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "mariadb", append([]string{"--no-defaults", "--socket=" + m.socket, "--user=root"}, args...)...)
}

// sysbench returns a command for sysbench's read-only mix: point selects, ranges, sums, sorts and distincts.
func (m *MariaDB) sysbench(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sysbench", append([]string{"oltp_read_only", "--db-driver=mysql", "--mysql-socket=" + m.socket,
		"--mysql-user=sysbench", "--mysql-db=sbtest", "--tables=2", "--table-size=10000"}, args...)...)
}

// Sysbench loads the server from 64 connections for a number of seconds and returns the queries per second.
func (m *MariaDB) Sysbench(ctx context.Context, seconds int) (float64, error) {
	out, err := m.sysbench(ctx, "--threads=64", "--time="+strconv.Itoa(seconds), "run").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("sysbench: %w\n%s", err, out)
	}
	// queries:                             101168 (33526.72 per sec.)
	found := regexp.MustCompile(`queries: +\d+ +\(([0-9.]+) per sec`).FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("sysbench: no rate of queries in:\n%s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// Hold opens a connection that holds strings of 64 MiB each in the server until the function "release" is called.
func (m *MariaDB) Hold(ctx context.Context, strings int) (release func() error, err error) {
	cmd := m.client(ctx, "--batch", "--unbuffered", "--skip-column-names", "--max-allowed-packet=128M")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release = func() error { in.Close(); return cmd.Wait() }
	for i := range strings {
		fmt.Fprintf(in, "set @held%d = repeat('x', 64 << 20);\n", i)
	}
	fmt.Fprintf(in, "select length(@held%d);\n", strings-1)
	want := []byte(strconv.Itoa(64<<20) + "\n")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(out, got); err != nil || !bytes.Equal(got, want) {
		return nil, errors.Join(fmt.Errorf("the server answered %q, want %q", got, want), err, release())
	}
	return release, nil
}
