# Sourced by Tomcat's catalina.sh before it starts the JVM.
ARENACAP_SERVICE=tomcat
. "$CATALINA_BASE/bin/arenacap-env.sh"
