# This script sources setenv.sh as Tomcat's catalina.sh does. The program that it execs prints two variables of malloc.
if [ -r "$CATALINA_BASE/bin/setenv.sh" ]; then
  . "$CATALINA_BASE/bin/setenv.sh"
fi
exec sh -c 'echo "max=${MALLOC_ARENA_MAX-unset} test=${MALLOC_ARENA_TEST-unset}"'
