/*
 * catcher LAST: prints "ready", then a line "NUMBER CODE VALUE" for every signal that it gets (VALUE is that of
 * sigqueue(3), else 0). It ends with status 0 after signal LAST, and is killed when its parent dies.
 *
 * It blocks every signal and accepts them one by one, by raw system calls, because libc reserves 32 and 33. Every
 * signal gets its default action first, because POSIX does not say whether an ignored signal stays pending.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *text) { (void)!write(1, text, strlen(text)); }

int main(int argc, char **argv)
{
	int last = argc > 1 ? atoi(argv[1]) : SIGTERM;
	uint64_t all = ~0ull;
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} sa = {SIG_DFL, 0, NULL, 0};
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	for (int n = 1; n <= 64; n++)
		syscall(SYS_rt_sigaction, n, &sa, NULL, 8);
	say("ready\n");
	for (;;) {
		siginfo_t info;
		char line[64];
		int n = syscall(SYS_rt_sigtimedwait, &all, &info, NULL, 8);
		if (n < 0)
			continue;
		snprintf(line, sizeof line, "%d %d %d\n", n, info.si_code, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
		say(line);
		if (n == last)
			return 0;
	}
}
