/* forest N M THREADS starts N children that wait; every Mth has THREADS threads that each hold memory. It prints "ok" when
   all have started, and ends with them at the end of its stdin. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int ready[2];
static pthread_barrier_t all;

static void *hold(void *unused)
{
	(void)unused;
	if (!malloc(1000))
		_exit(1);
	pthread_barrier_wait(&all);
	pause();
	return NULL;
}

static void child(int threads, pid_t parent)
{
	pthread_attr_t attr;
	pthread_t t;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_barrier_init(&all, NULL, threads + 1);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t, &attr, hold, NULL) != 0)
			_exit(1);
	pthread_barrier_wait(&all);
	if (write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0, every = argc > 2 ? atoi(argv[2]) : 1, threads = argc > 3 ? atoi(argv[3]) : 0;
	pid_t parent = getpid();
	char c;
	void *volatile used = malloc(1000); /* creates the main arena */
	free(used);
	if (pipe(ready) != 0)
		return 1;
	for (int i = 0; i < n; i++)
		switch (fork()) {
		case -1:
			perror("fork");
			return 1;
		case 0:
			child(i % every == 0 ? threads : 0, parent);
		}
	close(ready[1]);
	for (int i = 0; i < n; i++)
		if (read(ready[0], &c, 1) != 1) {
			fprintf(stderr, "a child ended\n");
			return 1;
		}
	puts("ok");
	fflush(stdout);
	while (read(0, &c, 1) == 1)
		;
	return 0;
}
