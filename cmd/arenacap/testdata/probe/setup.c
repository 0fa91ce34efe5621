/*
 * setup [STATE ARG...]... -- PROGRAM [ARG...]: puts itself into the named states, one after the other, and
 * then execs PROGRAM, so that a test can start a program from any state.
 *
 * Numbers are written as in C (077, 0x10). Status 111: a state could not be reached, or PROGRAM could not be
 * executed (stderr, if open, says which and why).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define FAILED 111

/* Linux 6.4; the headers of Debian 12 are older. */
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

extern char **environ;

static long num(const char *s)
{
	char *end;
	errno = 0;
	long n = strtol(s, &end, 0);
	if (errno || *end || end == s) {
		fprintf(stderr, "setup: %s is no number\n", s);
		exit(FAILED);
	}
	return n;
}

static long long whole(const char *s)
{
	return strcmp(s, "max") ? strtoll(s, NULL, 0) : -1;
}

/* written writes a value to a /proc file; it returns 0, or -1 for a failure. */
static int written(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int ok = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return ok ? 0 : -1;
}

/*
 * autogrouped sets the nice value of the autogroup. Without CAP_SYS_ADMIN the kernel refuses the change within 0.1 s of
 * the last change by any process (kernel/sched/autogroup.c, proc_sched_autogroup_set_nice).
 */
static int autogrouped(const char *nice)
{
	int result;
	while ((result = written("/proc/self/autogroup", nice)) < 0 && errno == EAGAIN)
		usleep(10000);
	return result;
}

/* moved gives a new descriptor the number that the test wants. */
static int moved(int from, int to)
{
	if (from < 0 || from == to)
		return from < 0 ? -1 : 0;
	if (dup2(from, to) < 0)
		return -1;
	return close(from);
}

static int limited(char **a)
{
	struct rlimit r = {whole(a[1]), whole(a[2])};
	return setrlimit(num(a[0]), &r);
}

static int scheduled(char **a)
{
	struct sched_param p = {.sched_priority = num(a[1])};
	return sched_setscheduler(0, num(a[0]), &p);
}

/*
 * disposed sets a signal's disposition by a raw system call, because libc refuses the signals that it reserves (32,
 * 33). No flags are needed, because the callers pass SIG_IGN.
 */
static int disposed(int sig, void *handler)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} sa = {handler, 0, NULL, 0};
	return syscall(SYS_rt_sigaction, sig, &sa, NULL, 8);
}

static int masked(int how, int sig)
{
	uint64_t set = 1ull << (sig - 1);
	return syscall(SYS_rt_sigprocmask, how, &set, NULL, 8);
}

/* queued is sigqueue(3) to itself. */
static int queued(char **a)
{
	return sigqueue(getpid(), num(a[0]), (union sigval){.sival_int = num(a[1])});
}

static int timed(char **a)
{
	struct itimerval t = {{num(a[1]), 0}, {num(a[1]), 0}};
	return setitimer(num(a[0]), &t, NULL);
}

/* controlled makes descriptor a[0] the controlling terminal of a new session. */
static int controlled(char **a)
{
	int fd = num(a[0]);
	if (setsid() < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
		return -1;
	return tcsetpgrp(fd, getpid());
}

/* ambient adds one capability to the inheritable set and raises it in the ambient set. */
static int ambient(char **a)
{
	int cap = num(a[0]);
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d) < 0)
		return -1;
	d[cap / 32].inheritable |= 1u << cap % 32;
	if (syscall(SYS_capset, &h, d) < 0)
		return -1;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

/* user changes all user and group IDs. The only supplementary group is the group after the new group ID. */
static int user(char **a)
{
	gid_t extra = num(a[1]) + 1;
	if (setgroups(1, &extra) < 0 || setresgid(num(a[1]), num(a[1]), num(a[1])) < 0)
		return -1;
	return setresuid(num(a[0]), num(a[0]), num(a[0]));
}

static int affine(char **a)
{
	unsigned long mask = num(a[0]);
	return syscall(SYS_sched_setaffinity, 0, sizeof mask, &mask) < 0 ? -1 : 0;
}

static int memory(char **a)
{
	unsigned long nodes = num(a[1]);
	return syscall(SYS_set_mempolicy, num(a[0]), &nodes, sizeof nodes * 8);
}

/* filtered installs a seccomp filter under which one system call fails with an errno. */
static int filtered(long call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

static int added(const char *entry)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **grown = malloc((n + 2) * sizeof *grown);
	memcpy(grown, environ, n * sizeof *grown);
	grown[n] = (char *)entry;
	grown[n + 1] = NULL;
	environ = grown;
	return 0;
}

static int cleared(void)
{
	static char *none[] = {NULL};
	environ = none;
	return 0;
}

static int locked(char **a)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (!strcmp(a[1], "flock"))
		return flock(num(a[0]), LOCK_EX | LOCK_NB);
	return fcntl(num(a[0]), strcmp(a[1], "ofd") ? F_SETLK : F_OFD_SETLK, &l);
}

static int owned(char **a)
{
	if (fcntl(num(a[0]), F_SETOWN, getpid()) < 0)
		return -1;
	return fcntl(num(a[0]), F_SETSIG, num(a[1]));
}

/* vanished makes a removed folder the current one. */
static int vanished(const char *dir)
{
	return mkdir(dir, 0700) < 0 || chdir(dir) < 0 || rmdir(dir) < 0 ? -1 : 0;
}

/*
 * apply reaches the state argv[0] and returns the number of its arguments, which follow it, or -1 for a failure.
 * argc is the number of words left on the command line.
 */
static int apply(int argc, char **argv)
{
	char **a = argv + 1;
#define STATE(NAME, ARGS, ACTION) \
	if (!strcmp(argv[0], NAME) && argc > ARGS) \
		return (ACTION) < 0 ? -1 : ARGS;
	STATE("nice", 1, setpriority(PRIO_PROCESS, 0, num(a[0])))
	STATE("oom", 1, written("/proc/self/oom_score_adj", a[0]))
	STATE("umask", 1, (umask(num(a[0])), 0))
	STATE("cwd", 1, chdir(a[0]))
	STATE("gone-cwd", 1, vanished(a[0]))
	STATE("root", 1, chroot(a[0]))
	STATE("rlimit", 3, limited(a))
	STATE("setsid", 0, setsid() < 0 ? -1 : 0)
	STATE("setpgid", 0, setpgid(0, 0))
	STATE("terminal", 1, controlled(a))
	STATE("pdeathsig", 1, prctl(PR_SET_PDEATHSIG, num(a[0]), 0, 0, 0))
	STATE("slack", 1, prctl(PR_SET_TIMERSLACK, num(a[0]), 0, 0, 0))
	STATE("sched", 2, scheduled(a))
	STATE("ioprio", 1, syscall(SYS_ioprio_set, 1, 0, num(a[0])))
	STATE("affinity", 1, affine(a))
	STATE("personality", 1, personality(num(a[0])) < 0 ? -1 : 0)
	STATE("subreaper", 0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	STATE("no-new-privs", 0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	STATE("securebits", 1, prctl(PR_SET_SECUREBITS, num(a[0]), 0, 0, 0))
	STATE("drop", 1, prctl(PR_CAPBSET_DROP, num(a[0]), 0, 0, 0))
	STATE("ambient", 1, ambient(a))
	STATE("user", 2, user(a))
	STATE("ignore", 1, disposed(num(a[0]), SIG_IGN))
	STATE("block", 1, masked(SIG_BLOCK, num(a[0])))
	STATE("raise", 1, kill(getpid(), num(a[0])))
	STATE("raise-thread", 1, syscall(SYS_tgkill, getpid(), getpid(), num(a[0])))
	STATE("queue", 2, queued(a))
	STATE("itimer", 2, timed(a))
	STATE("open", 3, moved(open(a[1], num(a[2]), 0600), num(a[0])))
	STATE("dup", 2, dup2(num(a[0]), num(a[1])) < 0 ? -1 : 0)
	STATE("close", 1, close(num(a[0])))
	STATE("cloexec", 1, fcntl(num(a[0]), F_SETFD, FD_CLOEXEC))
	STATE("seek", 2, lseek(num(a[0]), num(a[1]), SEEK_SET) < 0 ? -1 : 0)
	STATE("lock", 2, locked(a))
	STATE("owner", 2, owned(a))
	STATE("no-env", 0, cleared())
	STATE("env", 1, added(a[0]))
	STATE("mempolicy", 2, memory(a))
	STATE("coredump", 1, written("/proc/self/coredump_filter", a[0]))
	STATE("no-huge-pages", 0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
	STATE("mce-kill", 1, prctl(PR_MCE_KILL, PR_MCE_KILL_SET, num(a[0]), 0, 0))
	STATE("io-flusher", 0, prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
	STATE("speculation", 2, prctl(PR_SET_SPECULATION_CTRL, num(a[0]), num(a[1]), 0, 0))
	STATE("seccomp", 1, filtered(num(a[0]), EPERM))
	STATE("lacks", 1, filtered(num(a[0]), ENOSYS))
	STATE("keyring", 0, syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "arenacap-test") < 0 ? -1 : 0)
	STATE("autogroup", 1, autogrouped(a[0]))
	STATE("memory-merge", 0, prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
#undef STATE
	errno = EINVAL; /* no such state, or an argument is missing */
	return -1;
}

int main(int argc, char **argv)
{
	int i = 1;
	while (i < argc && strcmp(argv[i], "--")) {
		int args = apply(argc - i, argv + i);
		if (args < 0) {
			fprintf(stderr, "setup: %s: %s\n", argv[i], strerror(errno));
			return FAILED;
		}
		i += 1 + args;
	}
	if (i + 1 >= argc) {
		fprintf(stderr, "setup: nothing to run\n");
		return FAILED;
	}
	execv(argv[i + 1], argv + i + 1);
	fprintf(stderr, "setup: %s: %s\n", argv[i + 1], strerror(errno));
	return FAILED;
}
