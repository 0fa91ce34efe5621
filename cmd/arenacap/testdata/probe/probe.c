/*
 * probe FILE [ARG...]: writes to FILE what a process can see of how it was started, one "key: value" line
 * per fact. The transparency tests run it with and without a wrapper and compare.
 *
 * It is in C, so that no runtime of a language changes the state, and reads signals by raw system calls,
 * because libc hides 32 and 33. The facts "pid", "ppid" and "children" contain PIDs, of which the method "run"
 * in transparency_test.go replaces the first two; elsewhere "self" stands for the PID of the probe, so that
 * the fact is the same in every run. With PROBE_LINGER in the environment it waits that many milliseconds with
 * every signal blocked, and then reports the signals that arrived meanwhile.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66
#endif
#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef PR_GET_IO_FLUSHER
#define PR_GET_IO_FLUSHER 58
#endif

extern char **environ;
static FILE *out;

/* escaped writes bytes on one line, so that different byte strings look different. */
static void escaped(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = s[i];
		if (c < ' ' || c > '~' || c == '\\')
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
}

static void text(const char *key, const char *value)
{
	fprintf(out, "%s: ", key);
	escaped(value, strlen(value));
	fputc('\n', out);
}

static void number(const char *key, long long value)
{
	fprintf(out, "%s: %lld\n", key, value);
}

/* call writes the result of a system call, or its error number. */
static void call(const char *key, long value)
{
	if (value == -1)
		fprintf(out, "%s: error %d\n", key, errno);
	else
		number(key, value);
}

/* process writes a process or process group: "self" for the probe, which has another PID in every run, else the number. */
static void process(const char *key, pid_t pid)
{
	if (pid == getpid())
		text(key, "self");
	else
		number(key, pid);
}

static ssize_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n, all = 0;
	while ((n = read(fd, buf + all, size - 1 - all)) > 0)
		all += n;
	close(fd);
	buf[all] = 0;
	return all;
}

/* file writes the whole text of a small /proc file. */
static void file(const char *key, const char *path)
{
	char buf[65536];
	ssize_t n = slurp(path, buf, sizeof buf);
	fprintf(out, "%s: ", key);
	if (n < 0)
		fprintf(out, "error %d", errno);
	else
		escaped(buf, n);
	fputc('\n', out);
}

static void place(const char *key, const char *path)
{
	char buf[4096];
	struct stat st;
	ssize_t n = readlink(path, buf, sizeof buf);
	fprintf(out, "%s: ", key);
	if (n >= 0)
		escaped(buf, n);
	if (stat(path, &st) == 0 && st.st_nlink > 0) /* the inode of a removed folder differs in every run */
		fprintf(out, " dev %llx ino %llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	fputc('\n', out);
}

static void arguments(int argc, char **argv)
{
	char key[32];
	number("argc", argc);
	for (int i = 0; i < argc; i++) {
		snprintf(key, sizeof key, "argv[%d]", i);
		text(key, argv[i]);
	}
	for (int i = 0; environ[i]; i++) {
		snprintf(key, sizeof key, "env[%d]", i);
		text(key, environ[i]);
	}
	text("auxv execfn", (char *)getauxval(AT_EXECFN));
	number("auxv secure", getauxval(AT_SECURE));
	number("auxv clktck", getauxval(AT_CLKTCK));
	number("auxv uid", getauxval(AT_UID));
	number("auxv euid", getauxval(AT_EUID));
	number("auxv gid", getauxval(AT_GID));
	number("auxv egid", getauxval(AT_EGID));
}

/* The kernel's struct sigaction on x86-64 and arm64, not libc's. */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static void signals(void)
{
	uint64_t mask = 0, pending = 0;
	char key[32];
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
	syscall(SYS_rt_sigpending, &pending, 8);
	for (int n = 1; n <= 64; n++) {
		struct kernel_sigaction sa = {0};
		syscall(SYS_rt_sigaction, n, NULL, &sa, 8);
		snprintf(key, sizeof key, "signal %d action", n);
		text(key, sa.handler == SIG_DFL ? "default" : sa.handler == SIG_IGN ? "ignored" : "handler");
		snprintf(key, sizeof key, "signal %d flags", n);
		number(key, sa.flags);
		snprintf(key, sizeof key, "signal %d blocked", n);
		number(key, mask >> (n - 1) & 1);
		snprintf(key, sizeof key, "signal %d pending", n);
		number(key, pending >> (n - 1) & 1);
	}
	stack_t ss;
	sigaltstack(NULL, &ss);
	number("alternate stack", ss.ss_flags);
}

/* linger waits with every signal blocked, and writes the signals that arrived meanwhile. */
static void linger(void)
{
	const char *ms = getenv("PROBE_LINGER");
	if (!ms)
		return;
	uint64_t all = ~0ull, old, before = 0, after = 0;
	struct timespec t = {atol(ms) / 1000, atol(ms) % 1000 * 1000000};
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8);
	syscall(SYS_rt_sigpending, &before, 8);
	nanosleep(&t, NULL);
	syscall(SYS_rt_sigpending, &after, 8);
	fprintf(out, "signals that came later: %llx\n", (unsigned long long)(after & ~before));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8);
}

/* children writes whether this process has children, in any state, their PIDs, and whether it has already reaped a child (the
   kernel then counts resource usage of children). */
static void children(const char *key)
{
	char path[64], name[64], buf[4096];
	siginfo_t info = {0};
	int r = waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL);
	fprintf(out, "%s: waitid %s", key, r == 0 ? "finds some" : strerror(errno));
	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	if (slurp(path, buf, sizeof buf) >= 0)
		fprintf(out, ", listed %s", buf[0] ? buf : "none");
	fputc('\n', out);
	struct rusage u;
	getrusage(RUSAGE_CHILDREN, &u);
	snprintf(name, sizeof name, "%s reaped", key);
	number(name, u.ru_maxrss != 0);
}

static void groups(void)
{
	char tty[4096];
	process("process group", getpgid(0));
	process("session", getsid(0));
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		call("foreground group", -1);
		return;
	}
	process("foreground group", tcgetpgrp(fd));
	close(fd);
	for (int i = 0; i < 3; i++)
		if (ttyname_r(i, tty, sizeof tty) == 0)
			fprintf(out, "terminal of %d: %s\n", i, tty);
}

/* statfields writes tty_nr (7) and exit_signal (38) of /proc/self/stat, which only that file has. */
static void statfields(void)
{
	char buf[4096], *p, *save;
	if (slurp("/proc/self/stat", buf, sizeof buf) < 0 || !(p = strrchr(buf, ')')))
		return;
	int field = 3;
	for (p = strtok_r(p + 2, " ", &save); p; p = strtok_r(NULL, " ", &save), field++) {
		if (field == 7)
			text("terminal number", p);
		if (field == 38)
			text("exit signal", p);
	}
}

static void descriptor(int fd)
{
	char path[64], buf[8192], key[64], *line, *save;
	struct stat st = {0};
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, buf, sizeof buf);
	fprintf(out, "fd %d: ", fd);
	escaped(buf, n < 0 ? 0 : n);
	fstat(fd, &st);
	fprintf(out, " dev %llx ino %llu mode %o", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, st.st_mode);
	fprintf(out, " fdflags %x flags %x offset %lld", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL), (long long)lseek(fd, 0, SEEK_CUR));
	int owner = fcntl(fd, F_GETOWN);
	fprintf(out, " owner %s signal %d lease %d\n", owner == getpid() ? "self" : owner == 0 ? "none" : "other",
		fcntl(fd, F_GETSIG), fcntl(fd, F_GETLEASE));

	/* fdinfo adds locks (with our PID in them), eventfd counts, epoll targets and the like. */
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	if (slurp(path, buf, sizeof buf) < 0)
		return;
	int i = 0;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save), i++) {
		char type[32], kind[32], access[32], rest[128];
		int id, pid;
		snprintf(key, sizeof key, "fdinfo %d[%d]", fd, i);
		if (sscanf(line, "lock: %d: %31s %31s %31s %d %127[^\n]", &id, type, kind, access, &pid, rest) == 6) {
			fprintf(out, "%s: lock %s %s %s %s %s\n", key, type, kind, access, pid == getpid() ? "self" : "other", rest);
			continue;
		}
		text(key, line);
	}
}

static void descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	if (!d) {
		call("descriptors", -1);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
			descriptor(atoi(e->d_name));
	closedir(d);
}

static void limits(void)
{
	static const char *names[] = {"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
		"MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		struct rlimit r = {0};
		getrlimit(i, &r);
		fprintf(out, "rlimit %s: %llx %llx\n", names[i], (unsigned long long)r.rlim_cur, (unsigned long long)r.rlim_max);
	}
}

/* sched_attr of sched_getattr(2); glibc 2.36 does not declare it. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

static void scheduling(void)
{
	struct attr a = {0};
	call("nice", getpriority(PRIO_PROCESS, 0));
	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0)
		fprintf(out, "scheduling: policy %u flags %llx nice %d priority %u runtime %llu deadline %llu period %llu clamp %u %u\n",
			a.policy, (unsigned long long)a.flags, a.nice, a.priority, (unsigned long long)a.runtime,
			(unsigned long long)a.deadline, (unsigned long long)a.period, a.util_min, a.util_max);
	call("io priority", syscall(SYS_ioprio_get, 1, 0));
	file("oom score adj", "/proc/self/oom_score_adj");
	if (getsid(0) != getpid()) /* setsid(2) makes a new autogroup, whose number differs in every run */
		file("autogroup", "/proc/self/autogroup");
	file("timer slack file", "/proc/self/timerslack_ns");

	int mode = -1;
	unsigned long nodes[16] = {0};
	if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, NULL, 0) == 0)
		fprintf(out, "memory policy: mode %d nodes %lx\n", mode, nodes[0]);
	else
		call("memory policy", -1);
}

/* keyring describes the session keyring, without its number, which differs in every run. */
static void keyring(void)
{
	char buf[256] = "";
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, buf, sizeof buf) < 0)
		call("session keyring", -1);
	else
		text("session keyring", buf);
}

static void attributes(void)
{
	int v = -1;
	prctl(PR_GET_PDEATHSIG, &v);
	number("parent-death signal", v);
	v = -1;
	prctl(PR_GET_CHILD_SUBREAPER, &v);
	number("child subreaper", v);
	v = -1;
	prctl(PR_GET_TSC, &v);
	number("time stamp counter", v);
	long slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	call("timer slack", slack);
	prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0); // sets the default, which cannot be read otherwise
	call("default timer slack", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
	call("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	call("keep capabilities", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
	call("secure bits", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	call("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	call("huge pages disabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	call("machine check policy", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	call("io flusher", prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	call("deny write and execute", prctl(PR_GET_MDWE, 0, 0, 0, 0));
	call("memory merge", prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0));
	for (int i = 0; i < 3; i++) {
		char key[32];
		snprintf(key, sizeof key, "speculation %d", i);
		call(key, prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0));
	}
	call("personality", personality(0xffffffff));
	keyring();

	static const char *files[] = {"comm", "cgroup", "coredump_filter", "loginuid", "sessionid", "timers",
		"uid_map", "gid_map", "setgroups", "timens_offsets", "attr/current"};
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/%s", files[i]);
		file(files[i], path);
	}
}

/* status copies the lines of /proc/self/status that depend on how the process was started. */
static void status(void)
{
	static const char *keep[] = {"Umask", "TracerPid", "Uid", "Gid", "Groups", "Kthread", "VmLck", "VmPin", "CoreDumping",
		"THP_enabled", "Threads", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
		"Seccomp_filters", "Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed",
		"Mems_allowed", "SigPnd", "ShdPnd", "x86_Thread_features", "x86_Thread_features_locked"};
	char buf[65536], key[64], *line, *save;
	if (slurp("/proc/self/status", buf, sizeof buf) < 0)
		return;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = 0;
		for (unsigned i = 0; i < sizeof keep / sizeof *keep; i++)
			if (!strcmp(line, keep[i])) {
				snprintf(key, sizeof key, "status %s", line);
				text(key, colon + 1);
			}
	}
}

static void namespaces(void)
{
	static const char *names[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		char path[64], key[64];
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		snprintf(key, sizeof key, "namespace %s", names[i]);
		place(key, path);
	}
}

/* timers writes which interval timers run, without the time left, which differs in every run. */
static void timers(void)
{
	for (int i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
		struct itimerval t = {0};
		getitimer(i, &t);
		fprintf(out, "interval timer %d: %s, interval %ld.%06ld\n", i,
			t.it_value.tv_sec || t.it_value.tv_usec ? "armed" : "off", (long)t.it_interval.tv_sec, (long)t.it_interval.tv_usec);
	}
}

int main(int argc, char **argv)
{
	char *buf;
	size_t len;
	if (argc < 2)
		return 2;
	out = open_memstream(&buf, &len);
	number("pid", getpid());
	number("ppid", getppid());
	signals();
	children("children");
	arguments(argc, argv);
	groups();
	statfields();
	descriptors();
	limits();
	scheduling();
	attributes();
	status();
	namespaces();
	timers();
	place("folder", "/proc/self/cwd");
	place("root", "/proc/self/root");
	place("program", "/proc/self/exe");
	linger();
	children("children later");
	fclose(out);

	int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd < 0 || write(fd, buf, len) != (ssize_t)len)
		return 3;
	return 0;
}
