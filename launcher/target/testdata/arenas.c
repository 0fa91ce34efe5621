// Prints how many arenas glibc's malloc has after 12 threads have each allocated: malloc_info(3) writes one
// <heap nr="N"> for each arena. No thread ends before the count, so each thread has its own arena, up to the cap
// or glibc's limit. The output is AT_SECURE, the number of arenas, the file that runs, its PID and MALLOC_ARENA_MAX.
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

enum { THREADS = 12 };
static pthread_barrier_t ready, counted;
static void *volatile kept[THREADS];

static void *allocate(void *slot) {
  kept[(long)slot] = malloc(1024);
  pthread_barrier_wait(&ready);
  pthread_barrier_wait(&counted);
  return NULL;
}

int main(void) {
  pthread_t thread[THREADS];
  pthread_barrier_init(&ready, NULL, THREADS + 1);
  pthread_barrier_init(&counted, NULL, THREADS + 1);
  for (long i = 0; i < THREADS; i++)
    if (pthread_create(&thread[i], NULL, allocate, (void *)i) != 0)
      return 1;
  pthread_barrier_wait(&ready);

  static char text[1 << 20];
  FILE *memory = fmemopen(text, sizeof text - 1, "w");
  int arenas = 0;
  malloc_info(0, memory);
  fflush(memory);
  for (char *at = text; (at = strstr(at, "<heap nr=")) != NULL; at++)
    arenas++;

  char self[4096] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
    strcpy(self, "/unknown"); // a root directory without /proc
  const char *cap = getenv("MALLOC_ARENA_MAX");
  printf("%lu %d %s %d %s\n", getauxval(AT_SECURE), arenas, self, getpid(), cap == NULL ? "unset" : cap);
  pthread_barrier_wait(&counted);
  return 0;
}
