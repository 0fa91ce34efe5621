/* Ends its first thread; four others, each of which has allocated, continue. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t all;
static pthread_t first;

static void *work(void *last)
{
	volatile char *p = malloc(100);
	p[0] = 1;
	pthread_barrier_wait(&all);
	if (last) {
		pthread_join(first, NULL);
		puts("ok");
		fflush(stdout);
	}
	pause();
	return NULL;
}

int main(void)
{
	pthread_t t;
	first = pthread_self();
	pthread_barrier_init(&all, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t, NULL, work, i == 3 ? &all : NULL);
	pthread_exit(NULL);
}
