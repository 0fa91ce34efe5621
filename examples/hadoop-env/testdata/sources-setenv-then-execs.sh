# What Tomcat's catalina.sh does with a setenv.sh. The program that it execs prints what it got.
if [ -r "$CATALINA_BASE/bin/setenv.sh" ]; then
  . "$CATALINA_BASE/bin/setenv.sh"
fi
exec sh -c 'echo "max=${MALLOC_ARENA_MAX-unset} test=${MALLOC_ARENA_TEST-unset}"'
