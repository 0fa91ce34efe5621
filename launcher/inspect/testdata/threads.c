/* threads [LIBRARY…] opens the libraries, allocates in eight threads, and prints "ok". */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_barrier_t all;

static void *hold(void *unused)
{
#ifdef ADDRESS
	void *(*volatile get)(size_t) = malloc;
	char *volatile p = get(1000);
#else
	char *volatile p = malloc(1000);
#endif
	(void)unused;
	if (!p)
		exit(1);
	pthread_barrier_wait(&all);
	pthread_barrier_wait(&all);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;
	for (int i = 1; i < argc; i++)
		if (!dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL)) {
			printf("%s\nok\n", dlerror());
			return 1;
		}
	pthread_barrier_init(&all, NULL, 9);
	for (int i = 0; i < 8; i++)
		if (pthread_create(&t, NULL, hold, NULL) != 0)
			return 1;
	pthread_barrier_wait(&all);
	puts("ok");
	fflush(stdout);
	return getchar() == EOF;
}
