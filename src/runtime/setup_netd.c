/* SPDX-License-Identifier: Apache-2.0 */
/* fence-netd and the set-up process: it is started as one, so that it outlives the daemon, and told
 * of network namespaces by the others. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "netd/client.h"
#include "runtime/setup.h"
#include "sys/clone.h"

/* Nothing of ours but the connection goes along. */
static int keep_connection(int conn) {
    auto_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int r = null < 0 ? -errno : fds_cloexec_from(3);
    for (int fd = 0; r >= 0 && fd < 3; fd++)
        if (dup2(null, fd) < 0)
            r = -errno;
    return r < 0 ? r : fd_set_cloexec(conn, 0);
}

int setup_netd(struct setup *s, struct err *e) {
    const struct rt_request *q = &s->request;
    char conn[16];
    if (str_empty(q->monitor) || str_empty(q->net.netd))
        return err_set(e, ERR_INVALID, "request without a program or its socket");
    snprintf(conn, sizeof(conn), "%d", s->conn);
    char *const argv[] = {
        (char *)"fence-netd", (char *)"--socket", q->net.netd, (char *)"--daemon-fd", conn, NULL};
    char *const envp[] = {NULL};
    int r = keep_connection(s->conn);
    if (r >= 0) {
        execve(q->monitor, argv, envp);
        r = -errno;
    }
    return err_sys(e, r, "failed to execute %s", q->monitor);
}

int setup_names_begin(struct setup *s, struct err *e) {
    const struct rt_request *q = &s->request;
    if (str_empty(q->net.netd) || !(s->new_ns & CLONE_NEWNET))
        return 0;
    auto_fd netns = ns_open(s->pidfd, "net");
    if (netns < 0)
        return err_sys(e, netns, "failed to open the network namespace");
    s->names = netd_attach_begin(q->net.netd, q->id, netns, s->pidfd, e);
    return s->names < 0 ? s->names : 0;
}

int setup_names_end(struct setup *s, struct err *e) {
    if (s->names < 0)
        return 0;
    int r = netd_attach_end(take_fd(&s->names), e);
    if (r != -ECONNRESET && r != -EPIPE)
        return r;
    /* It has been killed; the daemon starts another, which is asked once more. */
    if (e)
        err_done(e);
    r = setup_names_begin(s, e);
    if (r >= 0)
        r = netd_attach_end(take_fd(&s->names), e);
    /* Not an error that B's end would give, see prefer_error_of_first(). */
    return r == -ECONNRESET || r == -EPIPE ? -EIO : r;
}
