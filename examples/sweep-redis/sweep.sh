#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: Redis, which uses jemalloc. arenacap sweep refuses to run; with --force it runs, and
# the caps make no difference. REQUESTS is the number of requests per run (default 200000).
set -eu
if [ -n "${DIR-}" ]; then
  mkdir -p "$DIR"
  dir=$(cd "$DIR" && pwd)
else
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
fi
arenacap sweep --load "redis-benchmark -s $dir/sock -q -t set -c 50 -n ${REQUESTS:-200000}" --metric 'SET: ([0-9.]+) requests per second' \
  "$@" -- redis-server --port 0 --unixsocket "$dir/sock" --save '' --dir "$dir"
