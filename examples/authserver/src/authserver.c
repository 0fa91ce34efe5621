/*
 * authserver: many threads, little memory, and a large virtual size.
 *
 * Each login goes to the next of THREADS workers in turn. The worker allocates one session of 1 KiB and keeps it; then
 * the client gets its answer. A worker's first malloc creates an arena (64 MiB of address space) until glibc's limit or
 * MALLOC_ARENA_MAX is reached. Until then, each login needs 1 KiB but grows VmSize by 64 MiB.
 *
 *   cc -O2 -pthread -o authserver authserver.c
 *   authserver [-t THREADS] [-s SOCKET]     without -s it uses stdin and stdout, and ends with stdin
 *
 * One command per line, one answer per line:
 *
 *   login NAME   ok worker 17
 *   churn N      ok 409600 sessions in 0.215138 s: all workers at once open and close 32 sessions, N times
 *   report       glibc 2.36 threads 128 sessions 3 arenas 4 virtual_kib 1271844 resident_kib 2412
 *   quit         closes the connection
 *
 * The main thread does all input and output, with static buffers. It allocates only for a report, from the main arena,
 * so that only the workers create arenas. SIGTERM and SIGINT end the server with status 0.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 1024, MAX_CLIENTS = 64, LINE = 256, BATCH = 32 };

struct session {
    struct session *next;
    char user[64];
    char token[1024 - 64 - sizeof(struct session *)];
};
_Static_assert(sizeof(struct session) == 1024, "a session is 1 KiB");

struct worker {
    pthread_t thread;
    sem_t wake;
    enum { LOGIN, CHURN, QUIT } job;
    char user[64];
    long rounds;
    struct session *sessions;
};

struct client {
    int in, out;
    size_t length;
    char line[LINE];
};

static struct worker workers[MAX_THREADS];
static int threads = 128;
static sem_t done; /* posted after each LOGIN and CHURN of a worker */
static long logins;
static struct client clients[MAX_CLIENTS];
static int nclients;
static char xml[4 << 20]; /* output of malloc_info: about 1 KiB per arena */
static volatile sig_atomic_t stop;

static struct session *open_session(const char *user, struct session *next) {
    struct session *s = malloc(sizeof *s);
    if (s == NULL)
        err(1, "malloc");
    s->next = next;
    snprintf(s->user, sizeof s->user, "%s", user);
    memset(s->token, user[0], sizeof s->token);
    return s;
}

static void close_sessions(struct session *s) {
    while (s != NULL) {
        struct session *next = s->next;
        free(s);
        s = next;
    }
}

/*
 * churn opens more sessions than the 7 chunks per size that a thread's tcache holds (16 from glibc 2.43), so that it
 * uses the arena itself.
 */
static void churn(long rounds) {
    for (long i = 0; i < rounds; i++) {
        struct session *batch = NULL;
        for (int j = 0; j < BATCH; j++)
            batch = open_session("churn", batch);
        close_sessions(batch);
    }
}

static void *work(void *arg) {
    struct worker *w = arg;
    for (;;) {
        while (sem_wait(&w->wake) != 0)
            ;
        if (w->job == LOGIN)
            w->sessions = open_session(w->user, w->sessions);
        else if (w->job == CHURN)
            churn(w->rounds);
        else
            return NULL;
        sem_post(&done);
    }
}

static void start_workers(void) {
    sem_init(&done, 0, 0);
    for (int i = 0; i < threads; i++) {
        sem_init(&workers[i].wake, 0, 0);
        int e = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (e != 0)
            errx(1, "thread %d: %s", i, strerror(e));
    }
}

static void stop_workers(void) {
    for (int i = 0; i < threads; i++) {
        workers[i].job = QUIT;
        sem_post(&workers[i].wake);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
}

static void await(int jobs) {
    while (jobs > 0)
        if (sem_wait(&done) == 0)
            jobs--;
}

static void answer(struct client *c, const char *text, int length) {
    while (length > 0) {
        ssize_t n = write(c->out, text, length);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0)
            text += n, length -= n;
    }
}

static void do_login(struct client *c, const char *user) {
    char text[LINE];
    struct worker *w = &workers[logins % threads];
    w->job = LOGIN;
    snprintf(w->user, sizeof w->user, "%s", user);
    sem_post(&w->wake);
    await(1);
    answer(c, text, snprintf(text, sizeof text, "ok worker %ld\n", logins++ % threads));
}

static void do_churn(struct client *c, long rounds) {
    char text[LINE];
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < threads; i++) {
        workers[i].job = CHURN;
        workers[i].rounds = rounds;
        sem_post(&workers[i].wake);
    }
    await(threads);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9;
    answer(c, text, snprintf(text, sizeof text, "ok %ld sessions in %.6f s\n", threads * rounds * BATCH, seconds));
}

/* malloc_info(3) writes one <heap nr="..."> per arena, including the main arena. */
static int count_arenas(void) {
    FILE *f = fmemopen(xml, sizeof xml - 1, "w");
    if (f == NULL || malloc_info(0, f) != 0 || fclose(f) != 0)
        err(1, "malloc_info");
    int arenas = 0;
    for (char *p = xml; (p = strstr(p, "<heap nr=")) != NULL; p++)
        arenas++;
    return arenas;
}

/* /proc/self/statm: size and resident in pages. */
static void memory(long *virtual_kib, long *resident_kib) {
    long page_kib = sysconf(_SC_PAGESIZE) / 1024;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", virtual_kib, resident_kib) != 2)
        err(1, "/proc/self/statm");
    fclose(f);
    *virtual_kib *= page_kib;
    *resident_kib *= page_kib;
}

static void do_report(struct client *c) {
    char text[LINE];
    long virtual_kib, resident_kib;
    memory(&virtual_kib, &resident_kib);
    answer(c, text,
           snprintf(text, sizeof text, "glibc %s threads %d sessions %ld arenas %d virtual_kib %ld resident_kib %ld\n",
                    gnu_get_libc_version(), threads, logins, count_arenas(), virtual_kib, resident_kib));
}

/* command executes one line; false ends the connection. */
static int command(struct client *c, const char *line) {
    static const char usage[] = "error: want login NAME, churn N, report or quit\n";
    char name[64];
    long n;
    if (sscanf(line, "login %63s", name) == 1)
        do_login(c, name);
    else if (sscanf(line, "churn %ld", &n) == 1 && n > 0 && n <= 1000000)
        do_churn(c, n);
    else if (strcmp(line, "report") == 0)
        do_report(c);
    else if (strcmp(line, "quit") == 0)
        return 0;
    else
        answer(c, usage, sizeof usage - 1);
    return 1;
}

/* take reads from a client and executes each complete line; false ends the connection. */
static int take(struct client *c) {
    ssize_t n = read(c->in, c->line + c->length, LINE - 1 - c->length);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    c->length += n;
    char *end;
    while ((end = memchr(c->line, '\n', c->length)) != NULL) {
        *end = '\0';
        if (end > c->line && end[-1] == '\r')
            end[-1] = '\0';
        if (!command(c, c->line))
            return 0;
        c->length -= end + 1 - c->line;
        memmove(c->line, end + 1, c->length);
    }
    return c->length < LINE - 1; /* false if the buffer is full: the line is too long */
}

static int listen_on(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        errx(1, "socket path of %zu bytes, at most %zu", strlen(path), sizeof a.sun_path - 1);
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 16) != 0)
        err(1, "%s", path);
    return fd;
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        clients[nclients++] = (struct client){.in = fd, .out = fd};
}

/* serve_clients serves clients until it is told to stop, or until no client is left and none can connect. */
static void serve_clients(int listener, const sigset_t *unblocked) {
    while (!stop && (listener >= 0 || nclients > 0)) {
        struct pollfd fds[MAX_CLIENTS + 1];
        int n = nclients;
        for (int i = 0; i < n; i++)
            fds[i] = (struct pollfd){.fd = clients[i].in, .events = POLLIN};
        fds[n] = (struct pollfd){.fd = n < MAX_CLIENTS ? listener : -1, .events = POLLIN};
        if (ppoll(fds, n + 1, NULL, unblocked) < 0)
            continue; /* a signal: check stop */
        for (int i = n - 1; i >= 0; i--)
            if (fds[i].revents != 0 && !take(&clients[i])) {
                close(clients[i].in);
                clients[i] = clients[--nclients];
            }
        if (fds[n].revents != 0)
            welcome(listener);
    }
}

static void on_signal(int sig) {
    (void)sig;
    stop = 1;
}

/* TERM and INT are unblocked only while the main thread waits, so that no worker receives them. */
static void handle_signals(sigset_t *unblocked) {
    struct sigaction a = {.sa_handler = on_signal};
    sigset_t set;
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGINT, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, unblocked);
    sigdelset(unblocked, SIGTERM);
    sigdelset(unblocked, SIGINT);
}

int main(int argc, char **argv) {
    const char *path = NULL;
    sigset_t unblocked;
    int opt, listener = -1;
    while ((opt = getopt(argc, argv, "t:s:")) != -1)
        if (opt == 't')
            threads = atoi(optarg);
        else if (opt == 's')
            path = optarg;
        else
            errx(2, "usage: authserver [-t THREADS] [-s SOCKET]");
    if (threads < 1 || threads > MAX_THREADS || optind < argc)
        errx(2, "usage: authserver [-t THREADS] [-s SOCKET], 1 to %d threads", MAX_THREADS);
    handle_signals(&unblocked);
    start_workers();
    count_arenas(); /* grow the main heap for a report now, so that later reports do not change VmSize */
    if (path != NULL)
        listener = listen_on(path);
    else
        clients[nclients++] = (struct client){.in = 0, .out = 1};
    if (dprintf(path != NULL ? 1 : 2, "authserver: %d threads, ready\n", threads) < 0)
        warn("standard output");
    serve_clients(listener, &unblocked);
    stop_workers();
    for (int i = 0; i < threads; i++)
        close_sessions(workers[i].sessions);
    if (path != NULL)
        unlink(path);
    return 0;
}
