/* restless starts and ends up to 1,000 processes a second, until its parent ends. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (int i = 0; i < 10; i++) {
			pid_t child = fork();
			if (child < 0)
				return 1;
			if (child == 0)
				_exit(0);
			waitpid(child, 0, 0);
		}
		usleep(10000);
	}
}
