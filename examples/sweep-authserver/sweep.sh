#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: the 128-thread server, with sessions opened and closed by all threads at once.
# CHURN is how many times (default 2000).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O2 -pthread -o "$dir/authserver" "$here/../authserver/src/authserver.c"
{ seq -f 'login user%g' 128; echo "churn ${CHURN:-2000}"; } >"$dir/input"
cd "$dir"
arenacap sweep --metric 'lower:sessions in ([0-9.]+) s' "$@" -- sh -c 'exec ./authserver <input'
