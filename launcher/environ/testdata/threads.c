/* Starts THREADS threads with stacks of STACK MiB one after another, each of which allocates once and stays. Prints how many
   bytes were mapped before the first thread, how many threads started, how many of these got memory, and the number of
   arenas. */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t done;
static volatile int given;

static void *allocate(void *unused)
{
  char *p = malloc(1000);
  if (p != NULL) {
    memset(p, 1, 1000);
    given++;
  }
  sem_post(&done);
  for (;;)
    pause();
  return unused;
}

static int arenas(void)
{
  static char text[1 << 20];
  FILE *f = fmemopen(text, sizeof text, "w");
  malloc_info(0, f);
  fclose(f);
  int n = 0;
  for (char *p = text; (p = strstr(p, "<heap nr=")) != NULL; p++)
    n++;
  return n;
}

int main(int argc, char **argv)
{
  int threads = atoi(argv[1]), started = 0;
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%ld", &pages) != 1)
    return 1;
  fclose(f);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, (size_t)atoi(argv[2]) << 20);
  sem_init(&done, 0, 0);
  for (int i = 0; i < threads; i++) {
    pthread_t t;
    if (pthread_create(&t, &attr, allocate, NULL) == 0) {
      started++;
      sem_wait(&done);
    }
  }
  printf("%ld %d %d %d\n", pages * sysconf(_SC_PAGESIZE), started, given, arenas());
  return 0;
}
