#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: the 128-thread server; all threads open and close sessions at once, CHURN times
# (default 8000). DIR is the working folder, which is then kept: --resume needs the same paths.
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
