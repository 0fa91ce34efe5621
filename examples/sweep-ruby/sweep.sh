#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: 32 threads of Ruby. ROUNDS is the work per thread (default 300).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
arenacap sweep --metric 'pages: ([0-9.]+)' "$@" -- ruby "$here/fragment.rb" 32 "${ROUNDS:-300}"
