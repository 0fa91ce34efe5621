// Starts N processes that do nothing, writes their numbers, one a line, and ends with its input, and they with it.
//   children N
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
	char end;
	pid_t self = getpid();
	int n = argc == 2 ? atoi(argv[1]) : 0;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != self) // it ended before
				_exit(1);
			close(0);
			close(1); // or its reader waits for us
			for (;;)
				pause();
		}
		dprintf(1, "%d\n", pid);
	}
	close(1);
	return read(0, &end, 1) != 0;
}
