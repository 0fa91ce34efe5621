/* Starts THREADS threads one after another, each of which allocates once and stays, and prints on one line:
   the glibc version, the online CPUs as glibc counts them, and the number of arenas that malloc_info(3) reports.
   Then it prints the environment unchanged as the kernel shows it: entries end in NUL. */
#include <gnu/libc-version.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t allocated;

static void *allocate(void *unused)
{
  void *volatile p = malloc(1000);
  sem_post(&allocated);
  while (p != NULL)
    pause();
  return unused;
}

static int arenas(void)
{
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  malloc_info(0, f);
  fclose(f);
  int n = 0;
  for (char *p = text; (p = strstr(p, "<heap nr=")) != NULL; p++)
    n++;
  return n;
}

int main(int argc, char **argv)
{
  int threads = argc > 1 ? atoi(argv[1]) : 0;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 << 10);
  sem_init(&allocated, 0, 0);
  for (int i = 0; i < threads; i++) {
    pthread_t t;
    if (pthread_create(&t, &small, allocate, NULL) != 0)
      return 1;
    sem_wait(&allocated);
  }
  printf("%s %ld %d\n", gnu_get_libc_version(), sysconf(_SC_NPROCESSORS_ONLN), arenas());
  FILE *f = fopen("/proc/self/environ", "r");
  for (int c; f != NULL && (c = getc(f)) != EOF;)
    putchar(c);
  return 0;
}
