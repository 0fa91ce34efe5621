/* mappings N makes N mappings: every second page is without access. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	long pages = argc > 1 ? atol(argv[1]) : 0;
	char *p = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < pages; i += 2) {
		p[(i + 1) * 4096] = 1;
		if (mprotect(p + i * 4096, 4096, PROT_NONE) != 0) {
			perror("mprotect");
			return 1;
		}
	}
	puts("ok");
	fflush(stdout);
	return getchar() == EOF;
}
