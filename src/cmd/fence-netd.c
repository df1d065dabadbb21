/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence-netd --socket PATH [--daemon-fd N]: names and ports of a daemon's containers (netd/netd.h).
 * Started by a set-up process on the daemon's behalf, with the daemon's connection as descriptor N.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "netd/netd.h"

#define FILES_WANTED (1u << 20)

/* It must outlive fenced, a terminal's signals, and whatever ended its parent. */
static int become_independent(void) {
    const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGUSR1,
                           SIGUSR2, SIGTTIN, SIGTTOU, SIGTSTP};
    struct sigaction sa = {.sa_handler = SIG_IGN};
    sigset_t none;

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        if (sigaction(ignored[i], &sa, NULL) < 0)
            return -1;
    }
    sa.sa_handler = SIG_DFL;
    if (sigaction(SIGCHLD, &sa, NULL) < 0 || sigemptyset(&none) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return -1;
    if (prctl(PR_SET_PDEATHSIG, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 || chdir("/") < 0)
        return -1;
    (void)setsid(); /* fails when it leads a session already */
    (void)umask(077);
    return 0;
}

/* A socket a port, some a container: the kernel's own limit is the only one that should count. */
static void raise_limits(void) {
    struct rlimit files;
    rlim_t wanted = FILES_WANTED;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    const struct rlimit raised = {.rlim_cur = wanted, .rlim_max = wanted};
    const struct rlimit all = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
    /* More than the hard limit takes privilege; what there is must do then. */
    if (files.rlim_max >= wanted || setrlimit(RLIMIT_NOFILE, &raised) < 0)
        (void)setrlimit(RLIMIT_NOFILE, &all);
    /* Many containers would be without names if the kernel chose it for their memory. */
    (void)io_write_existing_at(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
}

int main(int argc, char **argv) {
    const char *socket_path = NULL;
    int64_t daemon_fd = -1;
    bool wrong = argc < 3;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (str_eq(argv[i], "--socket"))
            socket_path = argv[i + 1];
        else if (!str_eq(argv[i], "--daemon-fd") || str_to_i64(argv[i + 1], &daemon_fd) < 0)
            wrong = true;
    }
    if (wrong || argc % 2 == 0 || !socket_path || socket_path[0] != '/' || daemon_fd < -1 ||
        daemon_fd > INT_MAX) {
        (void)fprintf(stderr, "usage: fence-netd --socket PATH [--daemon-fd N]\n");
        return 2;
    }
    if (become_independent() < 0) {
        perror("fence-netd");
        return 1;
    }
    raise_limits();
    int r = netd_run(socket_path, (int)daemon_fd);
    if (r < 0) {
        (void)fprintf(stderr, "fence-netd: %s: %s\n", socket_path, strerror(-r));
        return 1;
    }
    return 0;
}
