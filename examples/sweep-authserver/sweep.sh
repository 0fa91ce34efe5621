#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: measures the server with 128 threads, which all open and close 32 sessions at the
# same time, CHURN times (default 8000). If DIR is set, it is the working folder and is kept, because --resume needs the
# same paths.
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
printf '#!/bin/sh\ncd "${0%%/*}" && exec ./authserver <"churn-$1"\n' >"$dir/authserver-churn"
chmod 755 "$dir/authserver-churn"
PATH=$dir:$PATH arenacap sweep --metric 'lower:sessions in ([0-9.]+) s' "$@" -- authserver-churn "$churn"
