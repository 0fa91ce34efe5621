/* A custom malloc, to link into a program or to preload: it takes memory from one block and never frees it. With -DPASS it
   calls glibc's malloc, as heap profilers do. */
#include <stddef.h>
#include <string.h>

void *__libc_malloc(size_t size);

#ifdef PASS
void *malloc(size_t size) { return __libc_malloc(size); }
#else
static char block[64 << 20] __attribute__((aligned(16)));
static size_t used;

void *malloc(size_t size)
{
	size_t at = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15, __ATOMIC_SEQ_CST);
	return at + size > sizeof block ? NULL : block + at;
}
void free(void *p) { (void)p; }
void *calloc(size_t n, size_t size) { return malloc(n * size); }
void *realloc(void *p, size_t size)
{
	void *q = malloc(size);
	return p && q ? memmove(q, p, size) : q; /* may read past the end of p, but not of block, since q is behind p */
}
#endif
