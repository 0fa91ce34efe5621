/* server: a small server that uses features of systemd for services, to test that they work behind arenacap.
 *
 *   server CONTROL [notify] [pet] [hang] [daemonize=PIDFILE] [ignore-term] [default-term]
 *
 * It listens on the Unix socket CONTROL, or on the sockets passed by systemd (sd_listen_fds(3)), and prints
 * "server: ready" on stderr. notify: sends READY=1, RELOADING=1 and STOPPING=1 (sd_notify(3)). pet: sends WATCHDOG=1 at
 * least twice per $WATCHDOG_USEC. hang: does nothing after it is ready. daemonize: forks, and the parent exits when the
 * child is ready and its PID is in PIDFILE. SIGHUP reloads. SIGTERM ends the server with status 0; default-term keeps
 * the default action of SIGTERM, ignore-term ignores SIGTERM.
 *
 * A connection sends one line and then receives the answer:
 *   report       KEY=VALUE lines: pid, arenas (malloc_info(3)), listen (number of passed sockets), reloads
 *   environ      its environment
 *   grow N       starts N threads that allocate 1 KiB each, each in its own arena up to the cap
 *   spawn        starts a child that waits for a signal; prints its PID
 *   exit N       answers, and exits with that status
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int listeners[16], listening, handed_over, reloads;
static int notifies, pets, hangs;
static const char *pid_file;

static _Noreturn void fail(const char *what) {
	fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* tell sends a message to the service manager, unless NOTIFY_SOCKET is unset. */
static void tell(const char *message) {
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	if (length == 0 || length >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, length);
	if (path[0] == '@')
		to.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + length) < 0)
		fail(message);
	close(fd);
}

/* take_sockets accepts the passed sockets if LISTEN_PID is this process. */
static void take_sockets(void) {
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	if (!pid || !count || atoi(pid) != getpid())
		return;
	handed_over = atoi(count);
	for (int i = 0; i < handed_over && listening < 16; i++)
		listeners[listening++] = 3 + i;
}

static void open_control(const char *path) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof at.sun_path)
		errno = ENAMETOOLONG, fail(path);
	strcpy(at.sun_path, path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 16) < 0)
		fail(path);
	listeners[listening++] = fd;
}

/* daemonize returns in the child, with the write end of the pipe on which the parent waits. */
static int daemonize(void) {
	int ends[2];
	char byte;
	if (pipe(ends) < 0)
		fail("pipe");
	switch (fork()) {
	case -1:
		fail("fork");
	case 0:
		close(ends[0]);
		setsid();
		return ends[1];
	}
	close(ends[1]);
	_exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
}

static void daemon_ready(int to) {
	FILE *f = fopen(pid_file, "w");
	if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f) != 0)
		fail(pid_file);
	if (write(to, "", 1) != 1)
		fail("pipe");
	close(to);
}

static pthread_barrier_t grown;

static void *hold(void *nothing) {
	void *volatile memory = malloc(1024);
	pthread_barrier_wait(&grown);
	pause();
	free(memory);
	return nothing;
}

static void grow(int threads) {
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_barrier_init(&grown, NULL, threads + 1);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread, &attr, hold, NULL) != 0)
			fail("pthread_create");
	pthread_barrier_wait(&grown);
}

/* arenas counts the arenas with malloc_info. */
static int arenas(void) {
	char *text = NULL;
	size_t size = 0;
	int n = 0;
	FILE *f = open_memstream(&text, &size);
	if (!f || malloc_info(0, f) != 0 || fclose(f) != 0)
		fail("malloc_info");
	for (const char *at = text; (at = strstr(at, "<heap nr=")); at++)
		n++;
	free(text);
	return n;
}

static void spawn(FILE *to) {
	pid_t pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		sigset_t none;
		close(fileno(to)); /* the client reads until every copy of the connection is closed */
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		for (;;)
			pause();
	}
	fprintf(to, "%d\n", pid);
}

static void answer(int fd) {
	char line[64] = "";
	FILE *to = fdopen(fd, "r+");
	if (!to || !fgets(line, sizeof line, to)) {
		to ? (void)fclose(to) : (void)close(fd);
		return;
	}
	line[strcspn(line, "\n")] = 0;
	int n = 0, status = -1;
	fseek(to, 0, SEEK_CUR);
	if (strcmp(line, "report") == 0)
		fprintf(to, "pid=%d\narenas=%d\nlisten=%d\nreloads=%d\n", getpid(), arenas(), handed_over, reloads);
	else if (strcmp(line, "environ") == 0)
		for (char **e = environ; *e; e++)
			fprintf(to, "%s\n", *e);
	else if (sscanf(line, "grow %d", &n) == 1 && n > 0)
		grow(n), fprintf(to, "arenas=%d\n", arenas());
	else if (strcmp(line, "spawn") == 0)
		spawn(to);
	else if (sscanf(line, "exit %d", &n) == 1)
		status = n, fprintf(to, "ok\n");
	else
		fprintf(to, "error=%s\n", line);
	fclose(to);
	if (status >= 0)
		exit(status);
}

static void reload(void) {
	if (notifies) {
		char text[64];
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
		tell(text);
	}
	reloads++;
	fprintf(stderr, "server: reloaded\n");
	if (notifies)
		tell("READY=1");
}

/* serve waits for connections and signals, and pets the watchdog in between. */
static void serve(int signals) {
	struct pollfd fds[17];
	const char *usec = getenv("WATCHDOG_USEC"), *owner = getenv("WATCHDOG_PID");
	int pause_ms = -1;
	if (pets && usec && (!owner || atoi(owner) == getpid()))
		pause_ms = atoll(usec) / 2000;
	for (;;) {
		struct signalfd_siginfo got;
		fds[0] = (struct pollfd){.fd = signals, .events = POLLIN};
		for (int i = 0; i < listening; i++)
			fds[i + 1] = (struct pollfd){.fd = listeners[i], .events = POLLIN};
		if (poll(fds, listening + 1, pause_ms) < 0 && errno != EINTR)
			fail("poll");
		if (pause_ms >= 0)
			tell("WATCHDOG=1");
		if (fds[0].revents && read(signals, &got, sizeof got) == sizeof got) {
			if (got.ssi_signo == SIGTERM)
				return;
			reload();
		}
		for (int i = 0; i < listening; i++)
			if (fds[i + 1].revents) {
				int fd = accept4(listeners[i], NULL, NULL, SOCK_CLOEXEC);
				if (fd >= 0)
					answer(fd);
			}
	}
}

int main(int argc, char **argv) {
	sigset_t taken;
	int to_parent = -1;
	if (argc < 2) {
		fprintf(stderr, "usage: server CONTROL [notify] [pet] [hang] [daemonize=PIDFILE] [ignore-term] [default-term]\n");
		return 2;
	}
	sigemptyset(&taken);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGTERM);
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "notify") == 0)
			notifies = 1;
		else if (strcmp(argv[i], "pet") == 0)
			pets = 1;
		else if (strcmp(argv[i], "hang") == 0)
			hangs = 1;
		else if (strncmp(argv[i], "daemonize=", 10) == 0)
			pid_file = argv[i] + 10;
		else if (strcmp(argv[i], "ignore-term") == 0)
			signal(SIGTERM, SIG_IGN), sigdelset(&taken, SIGTERM);
		else if (strcmp(argv[i], "default-term") == 0)
			sigdelset(&taken, SIGTERM);
		else
			errno = EINVAL, fail(argv[i]);
	signal(SIGPIPE, SIG_IGN);
	if (pid_file)
		to_parent = daemonize();
	sigprocmask(SIG_BLOCK, &taken, NULL); /* threads inherit it */
	int signals = signalfd(-1, &taken, SFD_CLOEXEC);
	if (signals < 0)
		fail("signalfd");
	take_sockets();
	if (listening == 0)
		open_control(argv[1]);
	fprintf(stderr, "server: ready\n");
	if (to_parent >= 0)
		daemon_ready(to_parent);
	if (notifies)
		tell("READY=1\nSTATUS=listening");
	while (hangs)
		pause();
	serve(signals);
	if (notifies)
		tell("STOPPING=1");
	fprintf(stderr, "server: stopped\n");
	return 0;
}
