/* forest N M THREADS NAME starts N children that wait; every Mth has THREADS threads that each hold memory. With NAME the
   children are called NAME0, NAME1 and so on. It prints "ok" when all have started. At the end of its stdin it ends them, reaps
   them and ends. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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

static void child(int threads, pid_t parent, const char *prefix, int i)
{
	char name[16];
	pthread_attr_t attr;
	pthread_t t;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (prefix) {
		snprintf(name, sizeof name, "%s%d", prefix, i);
		prctl(PR_SET_NAME, name);
	}
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
	pid_t parent = getpid(), *children = calloc(n + 1, sizeof *children);
	char c;
	void *volatile used = malloc(1000); /* creates the main arena */
	free(used);
	if (pipe(ready) != 0)
		return 1;
	for (int i = 0; i < n; i++)
		switch (children[i] = fork()) {
		case -1:
			perror("fork");
			return 1;
		case 0:
			child(i % every == 0 ? threads : 0, parent, argc > 4 ? argv[4] : NULL, i);
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
	for (int i = 0; i < n; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
