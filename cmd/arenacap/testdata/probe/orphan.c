/*
 * orphan: prints its PID, the PID of its parent at the start and after each change, and "TERM" when that signal
 * ends it.
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	sigset_t set;
	struct timespec moment = {0, 1000000};
	pid_t parent = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%d\n", getpid());
	do {
		if (getppid() != parent) {
			parent = getppid();
			printf("%d\n", parent);
		}
	} while (sigtimedwait(&set, NULL, &moment) < 0);
	puts("TERM");
	return 0;
}
