/* SPDX-License-Identifier: Apache-2.0 */
/* One container's or exec's monitor: executed by the set-up process, see monitor/options.h. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/io.h"
#include "monitor/monitor.h"

/* It must outlive fenced, a terminal's signals, and whatever ended its parent. */
static int become_independent(void) {
    const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                           SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGTSTP};
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
    if (prctl(PR_SET_PDEATHSIG, 0) < 0 || chdir("/") < 0)
        return -1;
    (void)setsid(); /* fails when it leads a session already */
    (void)umask(0);
    /* The container may be short of memory, its monitor must not die of it. Needs privilege. */
    (void)io_write_existing_at(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
    return 0;
}

int main(int argc, char **argv) {
    struct monitor_options o;
    const char *what = "";

    (void)argc;
    monitor_options_init(&o);
    if (monitor_options_parse(argv, &o, &what) < 0) {
        (void)fprintf(stderr, "fence-monitor: %s\n", what);
        return 2;
    }
    if (become_independent() < 0) {
        perror("fence-monitor");
        return 1;
    }
    return monitor_run(&o) < 0;
}
