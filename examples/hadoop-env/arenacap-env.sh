# arenacap-env.sh: malloc's arena cap for a start script that is sourced (hadoop-env.sh, setenv.sh, zkEnv.sh, ...).
#
#   ARENACAP_SERVICE=datanode          # optional: the policy's section
#   . /usr/local/lib/arenacap-env.sh
#
# Plain POSIX sh, fit for `set -eu`. Where arenacap is not installed, or cannot tell (a policy with a mistake: one line
# on stderr), the environment stays as it was, so that the script's own default after it counts. It prints nothing on
# stdout and leaves no variable behind but the ones it is for.
if command -v arenacap >/dev/null 2>&1; then
    if arenacap_env=$(arenacap ${ARENACAP_SERVICE:+"--service=$ARENACAP_SERVICE"} env --shell sh); then
        eval "$arenacap_env"
    fi
    unset arenacap_env
fi
