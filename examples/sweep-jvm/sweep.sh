#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: a JVM that compresses in 32 threads. ROUNDS is the work per thread (default 200).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -n "${DIR-}" ]; then
  mkdir -p "$DIR"
  dir=$(cd "$DIR" && pwd)
else
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
fi
javac -d "$dir" "$here/Compress.java"
arenacap sweep --metric 'compressed: ([0-9.]+)' "$@" -- java -Xmx64m -XX:+UseSerialGC -cp "$dir" Compress 32 "${ROUNDS:-200}"
