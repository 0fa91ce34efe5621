#!/bin/sh
# sweep.sh MIX [FLAGS of arenacap sweep]: MariaDB on a data folder of its own under sysbench, 64 connections. MIX is
# oltp_read_only or oltp_read_write. LOAD_SECONDS is the duration of each run's load (default 20). If DIR is set, it is
# the working folder and is kept, because --resume needs the same arguments, which contain the name of the folder.
set -eu
mix=$1
shift
if [ -n "${DIR-}" ]; then
  mkdir -p "$DIR"
  dir=$(cd "$DIR" && pwd)
else
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
fi
chmod 755 "$dir"
user=$(id -un)
[ "$user" != root ] || user=mysql # the server refuses to run as root
# The maximum size of the buffer pool is set, because its default reserves 8 TiB of address space, which would hide the arenas.
set_up="--no-defaults --user=$user --datadir=$dir/data --socket=$dir/sock --pid-file=$dir/pid --skip-networking
  --innodb-buffer-pool-size=128M --loose-innodb-buffer-pool-size-max=128M --innodb-flush-log-at-trx-commit=2 --max-connections=200"
ready="mariadb-admin --no-defaults --user=root --socket=$dir/sock ping"
bench="sysbench $mix --db-driver=mysql --mysql-socket=$dir/sock --mysql-user=sysbench --mysql-db=sbtest --tables=2 --table-size=10000"

fill() {
  rm -rf "$dir/data"
  mkdir "$dir/data"
  [ "$user" != mysql ] || chown mysql "$dir" "$dir/data"
  mariadb-install-db --no-defaults --user="$user" --datadir="$dir/data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  mariadbd $set_up >"$dir/log" 2>&1 &
  server=$!
  until $ready >/dev/null 2>&1; do
    kill -0 $server 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
    sleep 0.1
  done
  mariadb --no-defaults --user=root --socket="$dir/sock" \
    --execute='create database sbtest; create user sysbench@localhost; grant all on sbtest.* to sysbench@localhost'
  $bench prepare >/dev/null
  kill $server
  wait $server
  touch "$dir/filled"
}
[ -e "$dir/filled" ] || fill

arenacap sweep --ready "$ready" --load "$bench --threads=64 --time=${LOAD_SECONDS:-20} run" \
  --metric 'queries: +[0-9]+ +\(([0-9.]+) per sec' --latency '95th percentile: +([0-9.]+)' "$@" -- mariadbd $set_up
