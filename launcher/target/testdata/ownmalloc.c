// A malloc that counts and passes on to glibc's, as heap profilers do.
#include <stddef.h>

void *__libc_malloc(size_t size);
unsigned long calls;

void *malloc(size_t size) {
  calls++;
  return __libc_malloc(size);
}
