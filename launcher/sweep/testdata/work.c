// A workload whose memory is known: `work [-t THREADS] [-k KIB] [-m MS] [-x STATUS] [-s SOCKET] [-d]`.
//
// It starts THREADS threads that are alive together. Each allocates KIB pieces of 1000 bytes and holds them for MS
// milliseconds. Then the program prints "rate: N", a latency, and its own VmHWM and VmPeak; a test compares VmPeak with
// the peak that the sweep measured. -s makes it a server that listens on a Unix socket and holds the memory until TERM;
// -d leaves behind a daemon, which has a session of its own; -x sets the exit status.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int threads = 8, kib = 64, ms = 100;
static pthread_barrier_t together, over;

static void *worker(void *unused) {
	int n = kib;
	void **piece = malloc(n * sizeof *piece);
	pthread_barrier_wait(&together); // each thread has an arena by now
	for (int i = 0; i < n; i++)
		memset(piece[i] = malloc(1000), 1, 1000);
	pthread_barrier_wait(&over);
	for (int i = 0; i < n; i++)
		free(piece[i]);
	free(piece);
	return unused;
}

static void status(void) {
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "VmPeak", 6) || !strncmp(line, "VmHWM", 5))
			fputs(line, stdout);
	fflush(stdout);
}

int main(int argc, char **argv) {
	int opt, code = 0;
	const char *path = 0;
	sigset_t term;
	while ((opt = getopt(argc, argv, "t:k:m:x:s:d")) != -1)
		switch (opt) {
		case 't': threads = atoi(optarg); break;
		case 'k': kib = atoi(optarg); break;
		case 'm': ms = atoi(optarg); break;
		case 'x': code = atoi(optarg); break;
		case 's': path = optarg; break;
		case 'd':
			if (!fork()) {
				setsid();
				for (;;)
					pause();
			}
			break;
		default: return 2;
		}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, 0);
	pthread_barrier_init(&together, 0, threads + 1);
	pthread_barrier_init(&over, 0, threads + 1);
	pthread_t id[threads];
	for (int i = 0; i < threads; i++)
		pthread_create(&id[i], 0, worker, 0);
	pthread_barrier_wait(&together); // the socket shows that the program is ready, so all threads must have an arena first
	if (path) {
		struct sockaddr_un at = {.sun_family = AF_UNIX};
		strncpy(at.sun_path, path, sizeof at.sun_path - 1);
		unlink(path);
		int s = socket(AF_UNIX, SOCK_STREAM, 0), got;
		if (bind(s, (struct sockaddr *)&at, sizeof at) || listen(s, 5))
			return 1;
		sigwait(&term, &got);
		unlink(path); // a socket left behind would make the next run seem ready
	} else {
		struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
		nanosleep(&t, 0);
	}
	pthread_barrier_wait(&over);
	for (int i = 0; i < threads; i++)
		pthread_join(id[i], 0);
	printf("first rate: 1\nrate: %d\np99: 1.5ms\n", threads * 10);
	status();
	return code;
}
