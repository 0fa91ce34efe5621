/*
 * suspender: catches TSTP, as editors and pagers do to restore the terminal, and then stops itself by STOP. It prints
 * "ready", "going" before it stops, "back" after CONT, and the lines that it reads from the terminal.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void say(const char *text, int n) { (void)!write(1, text, n); }

static void suspend(int n)
{
	(void)n;
	say("going\n", 6);
	raise(SIGSTOP);
	say("back\n", 5);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = suspend, .sa_flags = SA_RESTART};
	char line[256];
	FILE *terminal = fopen("/dev/tty", "r");
	if (!terminal)
		return 1;
	sigaction(SIGTSTP, &sa, NULL);
	say("ready\n", 6);
	while (fgets(line, sizeof line, terminal))
		dprintf(1, "got %s", line);
	return 0;
}
