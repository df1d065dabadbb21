/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/netd.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "netd/control.h"
#include "netd/ports.h"
#include "netd/sandbox.h"

#define EVENTS_AT_ONCE 64

static const int64_t patience_ms[DEADLINE_KINDS_] = {
    [DEADLINE_QUERY] = 2000, [DEADLINE_CLIENT] = 10000,
    [DEADLINE_FLOW] = 90000, /* Docker's proxy has the same */
    [DEADLINE_PAUSE] = 1000, [DEADLINE_ATTACH] = 3000,
};

/* ---- descriptors ----------------------------------------------------------------------------- */
int watch_open(struct netd *n, struct watch *w, int fd, unsigned events,
               void (*ready)(struct netd *n, struct watch *w, unsigned events)) {
    struct epoll_event ev = {.events = events, .data.ptr = w};
    if (epoll_ctl(n->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        int r = -errno;
        w->fd = fd_close(fd);
        return r;
    }
    w->fd = fd;
    w->ready = ready;
    return 0;
}

void watch_set(struct netd *n, struct watch *w, unsigned events) {
    struct epoll_event ev = {.events = events, .data.ptr = w};
    /* Cannot fail for a descriptor that is in the set. */
    if (w->fd >= 0)
        (void)epoll_ctl(n->epoll, EPOLL_CTL_MOD, w->fd, &ev);
}

void watch_close(struct netd *n, struct watch *w) {
    if (w->fd < 0)
        return;
    /* Explicitly: a process that enters a namespace may hold a copy for a moment. */
    (void)epoll_ctl(n->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    w->fd = fd_close(w->fd);
}

/* ---- deadlines ------------------------------------------------------------------------------- */
void deadline_init(struct deadline *d, void (*due)(struct netd *n, struct deadline *d)) {
    list_init(&d->node);
    d->due = due;
}

/* A list whose elements all wait equally long is in order by itself. */
void deadline_start(struct netd *n, struct deadline *d, enum deadline_kind kind) {
    list_remove(&d->node);
    d->at_ms = n->now_ms + patience_ms[kind];
    list_append(&n->deadlines[kind], &d->node);
}

static int next_deadline_ms(const struct netd *n) {
    int64_t next = -1;
    for (int i = 0; i < DEADLINE_KINDS_; i++) {
        const struct deadline *d = list_first(&n->deadlines[i], struct deadline, node);
        if (d && (next < 0 || d->at_ms < next))
            next = d->at_ms;
    }
    if (next < 0)
        return -1;
    return next > n->now_ms ? (int)(next - n->now_ms) : 0;
}

static void run_deadlines(struct netd *n) {
    for (int i = 0; i < DEADLINE_KINDS_; i++) {
        struct deadline *d;
        while ((d = list_first(&n->deadlines[i], struct deadline, node)) && d->at_ms <= n->now_ms) {
            deadline_stop(d);
            d->due(n, d);
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */
struct garbage {
    struct list node;
    void *p;
};

void netd_free_later(struct netd *n, void *p) {
    struct garbage *g = xnew(struct garbage);
    g->p = p;
    list_append(&n->garbage, &g->node);
}

void netd_collect(struct netd *n) {
    struct garbage *g;
    while ((g = list_first(&n->garbage, struct garbage, node))) {
        list_remove(&g->node);
        free(g->p);
        free(g);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */
void netd_check_use(struct netd *n) {
    if (!control_has_daemon(n) && n->attached == 0 && n->owners.count == 0)
        n->stop = true;
}

static int64_t now_ms(void) {
    return clock_mono_ns() / NS_PER_MS;
}

static int serve(struct netd *n) {
    struct epoll_event events[EVENTS_AT_ONCE];
    while (!n->stop) {
        int count = epoll_wait(n->epoll, events, EVENTS_AT_ONCE, next_deadline_ms(n));
        if (count < 0 && errno != EINTR)
            return -errno;
        n->now_ms = now_ms();
        for (int i = 0; i < count && !n->stop; i++) {
            struct watch *w = events[i].data.ptr;
            if (w->fd >= 0) /* else closed by a handler before */
                w->ready(n, w, events[i].events);
        }
        run_deadlines(n);
        netd_collect(n);
    }
    return 0;
}

int netd_run(const char *socket_path, int daemon_fd) {
    struct netd *n = xnew(struct netd);
    int r;

    n->listener.fd = -1;
    n->now_ms = now_ms();
    n->generation = 1;
    for (int i = 0; i < DEADLINE_KINDS_; i++)
        list_init(&n->deadlines[i]);
    list_init(&n->garbage);
    list_init(&n->conns);
    n->epoll = epoll_create1(EPOLL_CLOEXEC);
    r = n->epoll < 0 ? -errno : control_listen(n, socket_path);
    if (r >= 0 && daemon_fd >= 0)
        r = control_add(n, daemon_fd);
    if (r >= 0)
        r = serve(n);
    if (n->listener.fd >= 0)
        (void)unlink(socket_path); /* whoever comes now shall see that nobody is here */
    control_done(n);
    sandboxes_done(n);
    ports_done(n);
    names_done(&n->names);
    watch_close(n, &n->listener);
    netd_collect(n);
    fd_close(n->epoll);
    free(n);
    return r;
}
