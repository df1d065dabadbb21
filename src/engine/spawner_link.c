/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spawner_link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine.h"

struct spawner_link {
    struct engine *engine;
    struct spawner process; /* control -1: none */
    struct loop_fd *watch;
    unsigned number;
};

static void forget(struct spawner_link *s) {
    loop_fd_free(s->watch);
    s->watch = NULL;
    if (s->process.control >= 0)
        spawner_stop(&s->process);
    s->process.control = -1;
}

static void on_event(void *arg, unsigned events) {
    struct spawner_link *s = arg;

    (void)events; /* it never sends anything: readable means that it has ended */
    log_warn("the spawner has ended; the next start makes a new one");
    forget(s);
}

struct spawner_link *spawner_link_new(struct engine *eng) {
    struct spawner_link *s = xnew(struct spawner_link);

    s->engine = eng;
    s->process.control = -1;
    return s;
}

void spawner_link_free(struct spawner_link *s) {
    if (!s)
        return;
    forget(s);
    free(s);
}

int spawner_link_warm_up(struct spawner_link *s, struct err *e) {
    auto_free char *path = NULL;
    int r;

    if (s->process.control >= 0)
        return 0;
    path = xasprintf("%s/fence-spawner", s->engine->options.libexec);
    r = spawner_start(path, &s->process, e);
    if (r < 0) {
        s->process.control = -1;
        return r;
    }
    s->number++;
    s->watch = loop_fd_new(s->engine->loop, s->process.control, LOOP_READ, on_event, s);
    return 0;
}

unsigned spawner_link_number(const struct spawner_link *s) {
    return s->number;
}

bool spawner_link_has_died(const struct spawner_link *s, unsigned number) {
    struct pollfd p = {.fd = s->process.control};

    if (number != s->number || s->process.control < 0)
        return true;
    /* Its end of the socket may be gone before the loop has heard of it. */
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

int spawner_link_spawn(struct spawner_link *s, const struct rt_request *request,
                       const struct spawn_joins *joins, int *ret_conn, struct err *e) {
    auto_fd req = spawn_request_fd(request, e), ours = -1, theirs = -1;
    int pair[2], r = 0;

    if (req < 0)
        return req;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "cannot make a socket pair");
    ours = pair[0];
    theirs = pair[1];
    /* A spawner that has just died is noticed here: once more with a new one. */
    for (int attempt = 0; attempt < 2; attempt++) {
        r = spawner_link_warm_up(s, e);
        if (r < 0)
            return r;
        r = spawner_request(s->process.control, req, theirs, joins, e);
        if (r == 0) {
            *ret_conn = take_fd(&ours);
            return 0;
        }
        forget(s);
    }
    return r;
}
