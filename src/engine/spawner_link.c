/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spawner_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine.h"
#include "sys/procfd.h"

/* A request that the spawner's socket may have no room for just now. */
struct queued {
    struct list node;
    int request, conn;
    struct spawn_joins joins; /* its own descriptors */
};

struct spawner_link {
    struct engine *engine;
    struct spawner process; /* control -1: none */
    struct loop_fd *watch;
    struct list queue;
    unsigned number;
};

static int copy_fd(int fd) {
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static void queued_free(struct queued *q) {
    list_remove(&q->node);
    fd_close(q->request);
    fd_close(q->conn);
    fd_close(q->joins.net);
    fd_close(q->joins.ipc);
    fd_close(q->joins.pid);
    fd_close(q->joins.exec);
    free(q);
}

static void drop_queue(struct spawner_link *s) {
    struct queued *q;

    while ((q = list_first(&s->queue, struct queued, node)))
        queued_free(q);
}

static void forget(struct spawner_link *s) {
    loop_fd_free(s->watch);
    s->watch = NULL;
    if (s->process.control >= 0)
        spawner_stop(&s->process);
    s->process.control = -1;
}

/* As much as there is room for; a spawner that is behind gets the rest when it has caught up. */
static int send_queue(struct spawner_link *s, struct err *e) {
    struct queued *q;

    while ((q = list_first(&s->queue, struct queued, node))) {
        auto_err why = ERR_INIT;
        int r = spawner_request(s->process.control, q->request, q->conn, &q->joins, &why);

        if (r == -EAGAIN) {
            loop_fd_set(s->watch, LOOP_READ | LOOP_WRITE);
            return 0;
        }
        if (r < 0) {
            err_done(e);
            err_move(e, &why);
            return r;
        }
        queued_free(q);
    }
    loop_fd_set(s->watch, LOOP_READ);
    return 0;
}

static void serve_queue(struct spawner_link *s) {
    auto_err e = ERR_INIT;

    if (list_empty(&s->queue))
        return;
    if (spawner_link_warm_up(s, &e) < 0 || send_queue(s, &e) < 0) {
        log_error("starts cannot be handed to the spawner", "error", err_msg(&e));
        drop_queue(s); /* their ends of the connections close, which tells them */
        forget(s);
    }
}

static void on_event(void *arg, unsigned events) {
    struct spawner_link *s = arg;

    if (events & ~(unsigned)LOOP_WRITE) {
        /* It never sends anything: readable means that it has ended. */
        log_warn("the spawner has ended; the next start makes a new one");
        forget(s);
    }
    serve_queue(s);
}

struct spawner_link *spawner_link_new(struct engine *eng) {
    struct spawner_link *s = xnew(struct spawner_link);

    s->engine = eng;
    s->process.control = -1;
    list_init(&s->queue);
    return s;
}

void spawner_link_free(struct spawner_link *s) {
    if (!s)
        return;
    drop_queue(s);
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

bool spawner_link_has_died(struct spawner_link *s, unsigned number) {
    if (number != s->number || s->process.control < 0)
        return true;
    /* The kernel closes its descriptors in no order that can be relied on: a request's connection
     * may end before the control socket. */
    if (!proc_is_exiting(s->process.pid))
        return false;
    forget(s); /* so that no further request goes to it */
    serve_queue(s);
    return true;
}

int spawner_link_pair(int ret[static 2], struct err *e) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
        return err_sys(e, errno, "cannot make a socket pair");
    return 0;
}

int spawner_link_spawn(struct spawner_link *s, const struct rt_request *request,
                       const struct spawn_joins *joins, int conn, struct err *e) {
    auto_fd req = spawn_request_fd(request, e), theirs = conn;
    struct queued *q;
    int r = 0;

    if (req < 0)
        return req;
    q = xnew(struct queued);
    q->request = take_fd(&req);
    q->conn = take_fd(&theirs);
    q->joins = (struct spawn_joins){.net = copy_fd(joins->net),
                                    .ipc = copy_fd(joins->ipc),
                                    .pid = copy_fd(joins->pid),
                                    .exec = copy_fd(joins->exec)};
    list_append(&s->queue, &q->node);
    if ((joins->net >= 0 && q->joins.net < 0) || (joins->ipc >= 0 && q->joins.ipc < 0) ||
        (joins->pid >= 0 && q->joins.pid < 0) || (joins->exec >= 0 && q->joins.exec < 0)) {
        queued_free(q);
        return err_sys(e, EMFILE, "cannot copy a descriptor");
    }
    /* A spawner that has just died is noticed here: once more with a new one. */
    for (int attempt = 0; attempt < 2; attempt++) {
        err_done(e);
        r = spawner_link_warm_up(s, e);
        if (r == 0)
            r = send_queue(s, e);
        if (r == 0)
            return 0;
        forget(s);
    }
    drop_queue(s); /* nothing would send the others: their connections close, which tells them */
    return r;
}
