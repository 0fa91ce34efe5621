#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: the 128-thread server, with sessions opened and closed by all threads at once.
# CHURN is how many times (default 8000). DIR is the folder to work in, which then stays: --resume takes up only what ran
# with the same arguments, and its name is among them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
churn=${CHURN:-8000}
if [ -n "${DIR-}" ]; then
  mkdir -p "$DIR"
  dir=$(cd "$DIR" && pwd)
else
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
fi
cc -O2 -pthread -o "$dir/authserver" "$here/../authserver/src/authserver.c"
{ seq -f 'login user%g' 128; echo "churn $churn"; } >"$dir/churn-$churn"
arenacap sweep --metric 'lower:sessions in ([0-9.]+) s' "$@" -- sh -c 'exec "$0" <"$1"' "$dir/authserver" "$dir/churn-$churn"
