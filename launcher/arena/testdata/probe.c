/* A program that makes threads, arenas and heaps on command. It prints "ok" at its start. Then it reads one command a
   line from stdin and answers each with its output and a line "ok":

     threads N KIB   start N threads, each of which allocates at least KIB KiB in pieces of 60,000 bytes and holds them
     hold N KIB      start one thread that allocates N pieces of KIB KiB and holds them
     huge N KIB      the same as "hold", in huge pages (madvise)
     end             let all threads finish, and wait for them
     free            let the threads free what they hold, keeping every third piece
     churn N         start N threads that allocate and free at random until "end"
     surge N         start N threads that fill and empty more than one heap again and again until "end"
     stacks N KIB G  start N threads with stacks of KIB KiB and guards of G bytes
     nomain          continue in another thread and end the first one
     mallopt N       mallopt(M_ARENA_MAX, N)
     info            malloc_info
     trim            malloc_trim(0)
     forge           make mappings that look like heaps
     headers N       make N forged arenas that link to one another but not to malloc's
     namespace PATH  dlmopen PATH in a new namespace, and allocate there from three threads
     maps N          make N mappings that the kernel does not merge
     touch           write into each of these mappings that is writable                                  */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 4096 };
static pthread_t threads[MAX];
static int running, arrived, ending, freeing;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct work { long pieces, size, churn, surge, huge; int freed; };

static void arrive(void)
{
	pthread_mutex_lock(&lock);
	arrived++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for(int *what)
{
	pthread_mutex_lock(&lock);
	while (!*what)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void churn(unsigned seed)
{
	enum { SLOTS = 256 };
	char *slots[SLOTS] = { 0 };
	for (long round = 0;; round++) {
		if (round % 64 == 0 && __atomic_load_n(&ending, __ATOMIC_ACQUIRE))
			break;
		unsigned slot = (seed = seed * 1103515245 + 12345) >> 8 & (SLOTS - 1);
		free(slots[slot]);
		slots[slot] = malloc(1 + (seed >> 4) % (round % 16 ? 4000 : 100000));
		if (slots[slot])
			slots[slot][0] = 1;
	}
	for (int i = 0; i < SLOTS; i++)
		free(slots[i]);
}

/* Allocates and frees one and a half heaps, so that the second heap is made and removed. */
static void surge(void)
{
	enum { PIECE = 60000 };
	size_t heap = sizeof(long) == 8 ? 64 << 20 : 1 << 20;
	long n = heap / PIECE * 3 / 2;
	char **held = calloc(n, sizeof *held);
	while (!__atomic_load_n(&ending, __ATOMIC_ACQUIRE)) {
		for (long i = 0; i < n; i++)
			held[i] = malloc(PIECE);
		for (long i = n; i-- > 0;)
			free(held[i]);
	}
	free(held);
}

static void *worker(void *arg)
{
	struct work *w = arg;
	char **held = calloc(w->pieces + 1, sizeof *held);
	for (long i = 0; i < w->pieces; i++)
		if ((held[i] = malloc(w->size))) {
			if (w->huge) {
				uintptr_t page = sysconf(_SC_PAGESIZE), from = ((uintptr_t)held[i] + page - 1) & -page;
				madvise((void *)from, w->size - page, MADV_HUGEPAGE);
			}
			memset(held[i], 1, w->size);
		}
	arrive();
	if (w->surge)
		surge();
	else if (w->churn)
		churn((unsigned)w->churn);
	pthread_mutex_lock(&lock);
	while (!ending) {
		if (freeing && !w->freed) {
			for (long i = 0; i < w->pieces; i++)
				if (i % 3) {
					free(held[i]);
					held[i] = NULL;
				}
			w->freed = 1;
			arrived++;
			pthread_cond_broadcast(&changed);
		}
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	for (long i = 0; i < w->pieces; i++)
		free(held[i]);
	free(held);
	return NULL;
}

static void wait_arrived(int n)
{
	pthread_mutex_lock(&lock);
	while (arrived < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/* Starts threads one after another, so that each finds the arenas of the earlier ones. */
static void spawn(int n, struct work work, pthread_attr_t *attr)
{
	for (int i = 0; i < n; i++) {
		struct work *w = malloc(sizeof *w);
		*w = work;
		w->churn *= running + 1;
		if (pthread_create(&threads[running++], attr, worker, w) != 0) {
			printf("no thread\n");
			exit(1);
		}
		wait_arrived(running);
	}
}

static void end_all(void)
{
	pthread_mutex_lock(&lock);
	__atomic_store_n(&ending, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < running; i++)
		pthread_join(threads[i], NULL);
	running = arrived = ending = freeing = 0;
}

static void free_some(void)
{
	pthread_mutex_lock(&lock);
	arrived = 0, freeing = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	wait_arrived(running);
}

/* Makes a mapping in the shape of a heap: aligned to its size, writable at the start, without access after that. */
static char *shape(size_t heap, size_t used)
{
	char *p = mmap(NULL, 2 * heap, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base = (char *)(((uintptr_t)p + heap - 1) & ~(heap - 1));
	mprotect(base, used, PROT_READ | PROT_WRITE);
	return base;
}

static void forge(void)
{
	size_t heap = sizeof(long) == 8 ? 64 << 20 : 1 << 20, used = 132 << 10;
	shape(heap, used)[0] = 0;
	memset(shape(heap, used), 0x41, used);
	memset(mmap(NULL, 2 * heap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), 0, 8192);

	/* a copy of the first bytes of a real heap (the heap in which malloc gives another thread a chunk) ... */
	pthread_t t;
	static char *chunk;
	void *get(void *unused) { (void)unused; return chunk = malloc(100); }
	pthread_create(&t, NULL, get, NULL);
	pthread_join(t, NULL);
	char *real = (char *)((uintptr_t)chunk & ~(heap - 1));
	memcpy(shape(heap, used), real, used);

	/* ... and a copy in which every pointer into the heap, links of bins included, points into the copy instead.
	   This copy differs from a real heap in one point only: malloc's circular list of arenas does not contain its arena */
	char *copy = shape(heap, used);
	memcpy(copy, real, used);
	for (uintptr_t *w = (uintptr_t *)copy; (char *)w < copy + used; w++)
		if (*w - (uintptr_t)real < heap)
			*w += copy - real;

	/* a second heap of a real arena, missing from the arena's chain */
	char *second = shape(heap, used);
	memcpy(second, real, 64);
	((char **)second)[1] = real;
}

/* Forges headers with the layout of a 64-bit glibc 2.36, two in each mapping: by default a process may have at most
   65,530 mappings (vm.max_map_count). */
static void headers(int n)
{
	enum { QUARTER = 256 << 10, MIB = 1 << 20, BINS = 112, NEXT = 2160 };
	char *all = mmap(NULL, (size_t)(n / 2 + 2) * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base = (char *)(((uintptr_t)all + MIB - 1) & ~(uintptr_t)(MIB - 1));
	munmap(all, (size_t)(n / 2 + 2) * MIB);
	for (int i = 0; i < n; i++) {
		char *p = base + (size_t)(i / 2) * MIB + i % 2 * QUARTER;
		if (i % 2 == 0 && mmap(p, 2 * QUARTER, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
			printf("no room for header %d\n", i);
		char *arena = p + 48, *next = base + (size_t)((i + 1) / 2) * MIB + (i + 1) % 2 * QUARTER + 48;
		uintptr_t header[] = { (uintptr_t)arena, 0, 4096, 4096, 4096 };
		memcpy(p, header, sizeof header);
		((int *)arena)[1] = 2;
		for (int bin = 0; bin < 254; bin++)
			((char **)(arena + BINS))[bin] = arena + BINS + bin / 2 * 16 - 16;
		*(char **)(arena + NEXT) = next;
	}
}

static void *namespace(void *handle)
{
	void *(*alloc)(size_t) = (void *(*)(size_t))dlsym(handle, "malloc");
	alloc(1000);
	arrive();
	wait_for(&ending);
	return NULL;
}

static char *mapped;
static int pages;

static void map(int n)
{
	long page = sysconf(_SC_PAGESIZE);
	mapped = mmap(NULL, n * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pages = mapped == MAP_FAILED ? 0 : n;
	for (int i = 0; i < pages; i += 2)
		mprotect(mapped + i * page, page, PROT_READ | PROT_WRITE);
}

static void touch(void)
{
	for (int i = 0; i < pages; i += 2)
		mapped[i * sysconf(_SC_PAGESIZE)] = 1;
}

static void stacks(int n, size_t size, size_t guard)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, size);
	pthread_attr_setguardsize(&attr, guard);
	spawn(n, (struct work){ .pieces = 1, .size = 100 }, &attr);
}

static pthread_t first;

static void *serve(void *joining)
{
	static char line[4096], path[4096];
	if (joining)
		pthread_join(first, NULL);
	puts("ok");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		int n;
		long kib, guard;
		if (sscanf(line, "threads %d %ld", &n, &kib) == 2)
			spawn(n, (struct work){ .pieces = kib * 1024 / 60000 + 1, .size = 60000 }, NULL);
		else if (sscanf(line, "hold %d %ld", &n, &kib) == 2)
			spawn(1, (struct work){ .pieces = n, .size = kib * 1024 }, NULL);
		else if (sscanf(line, "huge %d %ld", &n, &kib) == 2)
			spawn(1, (struct work){ .pieces = n, .size = kib * 1024, .huge = 1 }, NULL);
		else if (sscanf(line, "maps %d", &n) == 1)
			map(n);
		else if (sscanf(line, "churn %d", &n) == 1)
			spawn(n, (struct work){ .pieces = 1, .size = 100, .churn = 1 }, NULL);
		else if (sscanf(line, "surge %d", &n) == 1)
			spawn(n, (struct work){ .surge = 1 }, NULL);
		else if (sscanf(line, "stacks %d %ld %ld", &n, &kib, &guard) == 3)
			stacks(n, kib * 1024, guard);
		else if (sscanf(line, "mallopt %d", &n) == 1)
			mallopt(M_ARENA_MAX, n);
		else if (sscanf(line, "namespace %4095s", path) == 1) {
			void *handle = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
			if (!handle)
				printf("%s\n", dlerror());
			for (int i = 0; handle && i < 3; i++) {
				pthread_create(&threads[running++], NULL, namespace, handle);
				wait_arrived(running);
			}
		} else if (!strcmp(line, "end\n"))
			end_all();
		else if (!strcmp(line, "free\n"))
			free_some();
		else if (!strcmp(line, "info\n"))
			malloc_info(0, stdout);
		else if (!strcmp(line, "trim\n"))
			malloc_trim(0);
		else if (!strcmp(line, "touch\n"))
			touch();
		else if (!strcmp(line, "forge\n"))
			forge();
		else if (sscanf(line, "headers %d", &n) == 1)
			headers(n);
		else if (!strcmp(line, "nomain\n")) {
			pthread_t next;
			first = pthread_self();
			if (pthread_create(&next, NULL, serve, &first) != 0)
				exit(1);
			pthread_exit(NULL);
		} else
			printf("what is %s", line);
		puts("ok");
		fflush(stdout);
	}
	exit(0);
}

int main(void)
{
	static char in[8192], out[65536];
	setvbuf(stdin, in, _IOFBF, sizeof in); /* so that stdio does not allocate later */
	setvbuf(stdout, out, _IOFBF, sizeof out);
	serve(NULL);
}
