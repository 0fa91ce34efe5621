// threads REPORT END: 64 threads allocate, as those of a native program in a YARN container do. It writes its PID, its
// variables and its arenas by malloc_info(3) to REPORT, and ends when it has read a byte from END.

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { threads = 64, stack = 64 << 10 };

static pthread_barrier_t allocated;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *allocate(void *unused) {
    (void)unused;
    char *block = malloc(1 << 10);
    if (!block) fail("malloc");
    memset(block, 1, 1 << 10);
    pthread_barrier_wait(&allocated);
    pause();
    free(block);
    return NULL;
}

static int arenas(void) {
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f || malloc_info(0, f) != 0 || fclose(f) != 0) fail("malloc_info");
    int n = 0;
    for (const char *at = text; (at = strstr(at, "<heap nr=")); at++) n++;
    free(text);
    return n;
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value ? value : "unset";
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, stack);
    pthread_barrier_init(&allocated, NULL, threads + 1);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, allocate, NULL) != 0) fail("pthread_create");
    }
    pthread_barrier_wait(&allocated);

    FILE *report = fopen(argv[1], "w");
    if (!report) fail(argv[1]);
    fprintf(report, "pid=%d max=%s test=%s arenas=%d\n", getpid(), variable("MALLOC_ARENA_MAX"), variable("MALLOC_ARENA_TEST"), arenas());
    if (fclose(report) != 0) fail(argv[1]);

    char byte;
    int end = open(argv[2], O_RDONLY);
    if (end < 0 || read(end, &byte, 1) != 1) fail(argv[2]);
    return 0;
}
