#!/bin/sh
# sweep.sh [FLAGS of arenacap sweep]: a DataNode under 64 clients that write and read blocks. BLOCKS is the number of blocks
# of each client (default 4). $ARENACAP_HADOOP has Hadoop's jars; .ci/hadoop fetches them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -n "${DIR-}" ]; then
  mkdir -p "$DIR"
  dir=$(cd "$DIR" && pwd)
else
  dir=$(mktemp -d)
fi
namenode=
trap 'kill $namenode; wait; [ -n "${DIR-}" ] || rm -rf "$dir"' EXIT
java=$(readlink -f "$(command -v java)")
jars=${ARENACAP_HADOOP:-${XDG_CACHE_HOME:-$HOME/.cache}/arenacap/hadoop}
export CLASSPATH="$here/cluster/etc:$jars/*:$dir" HADOOP_DATA="$dir" NAMENODE_PORT=0
options='-Xmx256m -XX:+UseSerialGC'
javac -d "$dir" "$here/cluster/Load.java"
mkdir -p "$dir/webapps/hdfs" "$dir/webapps/datanode" # HDFS's web pages are not in its jar
rm -rf "$dir/name" "$dir/data"
$java $options org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive 2>"$dir/format.log"
: >"$dir/namenode.log"
$java $options org.apache.hadoop.hdfs.server.namenode.NameNode 2>"$dir/namenode.log" &
namenode=$!
line=$(tail -f --pid $namenode "$dir/namenode.log" | grep -m 1 'NameNode RPC up at')
NAMENODE_PORT=${line##*:}
NAMENODE_PORT=${NAMENODE_PORT%.}
load="'$java' $options Load"
arenacap sweep --load "$load 64 ${BLOCKS:-4} 2>&1" --ready "$load 1 1 2>/dev/null" --ready-timeout 5m --metric '([0-9.]+) MB/s' \
  "$@" -- "$java" $options org.apache.hadoop.hdfs.server.datanode.DataNode
