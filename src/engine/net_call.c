/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/net_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine.h"
#include "engine/monitor_link.h"
#include "engine/spawner_link.h"

struct net_call {
    struct list node; /* of engine.net_calls */
    struct engine *engine;
    struct rt_request request;
    struct monitor_link *link;
    int pidfd;
    unsigned spawner; /* which one has the request */
    bool repeated;
    void (*done)(void *arg, struct err *e);
    void *arg;
};

static void finish(struct net_call *c, struct err *e) {
    void (*done)(void *, struct err *) = c->done;
    void *arg = c->arg;

    list_remove(&c->node);
    monitor_link_free(c->link);
    fd_close(c->pidfd);
    field_done(&rt_request_table, &c->request);
    free(c);
    done(arg, e);
}

static void on_done(void *arg) {
    auto_err none = ERR_INIT;

    finish(arg, &none);
}

static void on_failed(void *arg, struct err *e) {
    finish(arg, e);
}

static int send_request(struct net_call *c, struct err *e);

static void on_closed(void *arg) {
    struct net_call *c = arg;
    auto_err e = ERR_INIT;

    monitor_link_free(c->link);
    c->link = NULL;
    if (!c->repeated && spawner_link_has_died(c->engine->spawner, c->spawner)) {
        log_warn("the spawner has ended with a change of a container's network on its way, which "
                 "is made again",
                 "container", c->request.id);
        c->repeated = true;
        if (send_request(c, &e) == 0)
            return;
    } else {
        (void)err_set(&e, ERR_SYSTEM, /* sets, cannot fail */
                      "the set-up process for the network of container %s ended without a result",
                      c->request.id);
    }
    finish(c, &e);
}

/* Nothing of this comes from an operation without a process. */
static void on_started(void *arg, const struct monitor_started *s) {
    (void)arg;
    fd_close(s->pidfd);
}

static void on_exited(void *arg, const struct monitor_exit *x) {
    (void)arg;
    (void)x;
}

static void on_oom(void *arg) {
    (void)arg;
}

static void on_client_end(void *arg, uint64_t client, bool detached) {
    (void)arg;
    (void)client;
    (void)detached;
}

static const struct monitor_events net_call_events = {
    .started = on_started,
    .failed = on_failed,
    .exited = on_exited,
    .oom = on_oom,
    .client_end = on_client_end,
    .done = on_done,
    .closed = on_closed,
};

static int send_request(struct net_call *c, struct err *e) {
    struct spawn_joins joins = SPAWN_JOINS_NONE;
    int conn[2], r;

    joins.net = c->pidfd;
    r = spawner_link_pair(conn, e);
    if (r < 0)
        return r;
    r = spawner_link_spawn(c->engine->spawner, &c->request, &joins, conn[1], e);
    if (r < 0) {
        fd_close(conn[0]);
        return r;
    }
    c->spawner = spawner_link_number(c->engine->spawner);
    c->link = monitor_link_new(c->engine->loop, conn[0], &net_call_events, c);
    return 0;
}

int net_call(struct engine *eng, const struct rt_request *q, int net_pidfd,
             void (*done)(void *arg, struct err *e), void *arg) {
    struct net_call *c = xnew(struct net_call);
    auto_err e = ERR_INIT;
    int r;

    c->engine = eng;
    c->done = done;
    c->arg = arg;
    field_init(&rt_request_table, &c->request);
    field_copy(&rt_request_table, &c->request, q);
    list_append(&eng->net_calls, &c->node);
    c->pidfd = fcntl(net_pidfd, F_DUPFD_CLOEXEC, 3);
    r = c->pidfd < 0 ? err_sys(&e, errno, "cannot copy the descriptor of container %s", q->id)
                     : send_request(c, &e);
    if (r < 0)
        finish(c, &e);
    return r;
}

void net_call_drop_all(struct engine *eng) {
    struct net_call *c;

    while ((c = list_first(&eng->net_calls, struct net_call, node))) {
        auto_err e = ERR_INIT;

        (void)err_set(&e, ERR_UNAVAILABLE, /* sets, cannot fail */
                      "the daemon ends while the network of container %s is being changed",
                      c->request.id);
        finish(c, &e);
    }
}
