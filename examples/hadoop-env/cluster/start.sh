# start.sh [--daemon] COMMAND CLASS [ARG…]: starts a daemon of Hadoop as the scripts of Hadoop 3.4 do; Maven Central does not
# have these scripts. It sources hadoop-env.sh, sets MALLOC_ARENA_MAX to 4 unless it is set, and sources ~/.hadooprc, in the
# order of the originals (hadoop-config.sh, hadoop_os_tricks). bash only, without set -e, like the originals.

hadoop_start_daemon() { # COMMAND CLASS [ARG…]
  local command=$1
  shift
  export CLASSPATH
  exec "$JAVA" "-Dproc_$command" $HADOOP_OPTS "$@"
}

daemon=
[ "$1" != --daemon ] || { daemon=yes; shift; }
export CLASSPATH=$HADOOP_CONF_DIR:$HADOOP_CLASSPATH

. "$HADOOP_CONF_DIR/hadoop-env.sh"
export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-4}
JAVA=$JAVA_HOME/bin/java
[ ! -f ~/.hadooprc ] || . ~/.hadooprc

[ -n "$daemon" ] || hadoop_start_daemon "$@"
hadoop_start_daemon "$@" >>"$HADOOP_LOG" 2>&1 </dev/null &
echo $! >"$HADOOP_PID"
disown
sleep 1 # like hadoop_start_daemon_wrapper, which then checks that the daemon still runs
kill -0 "$(cat "$HADOOP_PID")"
