# arenacap-env.sh: malloc's arena cap for a start script that is sourced (hadoop-env.sh, setenv.sh, zkEnv.sh, ...).
#
#   ARENACAP_SERVICE=datanode          # optional: the policy's section
#   . /usr/local/lib/arenacap-env.sh  # the packages have it in /usr/share/arenacap
#
# It is plain POSIX sh and works under `set -eu`. If arenacap is not installed or fails (an invalid policy: one line on
# stderr), the environment stays unchanged, so that a later default of the script applies. It prints nothing on stdout,
# and changes no variables except those that `arenacap env` prints.
if command -v arenacap >/dev/null 2>&1; then
    if arenacap_env=$(arenacap ${ARENACAP_SERVICE:+"--service=$ARENACAP_SERVICE"} env --shell sh); then
        eval "$arenacap_env"
    fi
    unset arenacap_env
fi
