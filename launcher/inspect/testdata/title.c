/* title TEXT writes a title over its arguments and environment, as BSD's setproctitle(3) does. */
#include <stdio.h>
#include <string.h>

extern char **environ;

int main(int argc, char **argv)
{
	char text[64], *end = argv[argc - 1] + strlen(argv[argc - 1]);
	snprintf(text, sizeof text, "%s", argv[1]);
	for (char **e = environ; *e; e++)
		end = *e + strlen(*e);
	memset(argv[0], 0, end - argv[0]);
	memcpy(argv[0], text, strlen(text) < (size_t)(end - argv[0]) ? strlen(text) : (size_t)(end - argv[0]));
	puts("ok");
	fflush(stdout);
	return getchar() == EOF;
}
