/* SPDX-License-Identifier: Apache-2.0 */
/* fence-spawner: a child of fenced, which hands it the control socket as descriptor 3. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/spawner.h"

#define CONTROL_FD 3

int main(int argc, char **argv) {
    (void)argc;
    /* The standard descriptors exist, so that no other ever takes their numbers. */
    for (;;) {
        int fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return 1;
        if (fd > 2) {
            close(fd);
            break;
        }
    }
    if (fcntl(CONTROL_FD, F_GETFD) < 0) {
        fprintf(stderr, "fence-spawner is started by fenced\n");
        return 2;
    }
    int r = spawner_seal_self(argv);
    if (r < 0) {
        fprintf(stderr, "fence-spawner: cannot copy itself: %s\n", strerror(-r));
        return 1;
    }
    /* A daemon that has died before this leaves a control socket at its end. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return 1;
    (void)prctl(PR_SET_NAME, "fence-spawner", 0, 0, 0); /* the copy has a number for a name */
    if (fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0)
        return 1;
    /* Of a terminal's Ctrl-C the daemon says what it means; set-up processes start with defaults.
     */
    if (signal(SIGINT, SIG_IGN) == SIG_ERR)
        return 1;
    return spawner_serve(CONTROL_FD);
}
