// Samples a process once a second until it ends, and ignores the values: the minimum cost of a watch.
//   statm PID
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
	char path[64], line[256];
	if (argc != 2)
		return 2;
	snprintf(path, sizeof path, "/proc/%s/statm", argv[1]);
	int fd = open(path, O_RDONLY);
	for (;;) {
		usleep(1000000);
		if (pread(fd, line, sizeof line, 0) <= 0)
			return 1;
	}
}
