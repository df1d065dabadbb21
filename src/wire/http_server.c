/* SPDX-License-Identifier: Apache-2.0 */

/* Listeners, and the clock that looks after the connections. */
#include "wire/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "wire/http_conn.h"
#include "wire/relay.h"

static const struct http_timeouts default_timeouts = {
    .idle = 180000,
    .header = 60000,
    .stall = 120000,
    .linger = 5000,
    .tick = 5000,
};

struct http_server *http_server_new(struct loop *l,
                                    void (*on_request)(void *arg, struct http_req *), void *arg) {
    struct http_server *s = xnew(struct http_server);

    s->loop = l;
    s->on_request = on_request;
    s->arg = arg;
    s->timeouts = default_timeouts;
    list_init(&s->listeners);
    list_init(&s->conns);
    list_init(&s->relays);
    return s;
}

void http_server_set_timeouts(struct http_server *s, const struct http_timeouts *t) {
    s->timeouts = *t;
}

static void listener_free(struct http_listener *l) {
    list_remove(&l->link);
    loop_fd_free(l->watch);
    (void)fd_close(l->fd);
    free(l->label);
    free(l->allow_origin);
    free(l);
}

void http_server_free(struct http_server *s) {
    struct http_listener *l, *next_listener;
    struct http_conn *c;
    struct relay *relay;

    if (!s)
        return;
    list_for_each (l, &s->listeners, link)
        if (l->watch)
            loop_fd_set(l->watch, 0);
    while ((c = list_first(&s->conns, struct http_conn, link))) {
        if (c->phase == HTTP_WORKER) {
            /* The worker sees a closed connection, and http_worker_give frees it. */
            list_remove(&c->link);
            c->server = NULL;
            c->listener = NULL;
            loop_fd_free(c->watch);
            c->watch = NULL;
            (void)shutdown(c->x.fd, SHUT_RDWR);
            http_io_gone(c->req->io);
        } else {
            http_conn_gone(c);
        }
    }
    while ((relay = relay_first(&s->relays)))
        relay_free(relay);
    list_for_each_safe (l, next_listener, &s->listeners, link)
        listener_free(l);
    loop_timer_free(s->tick);
    free(s);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static void tick_stop(struct http_server *s) {
    struct http_listener *l;

    if (!list_empty(&s->conns))
        return;
    list_for_each (l, &s->listeners, link) {
        if (l->paused || l->conns > 0)
            return;
    }
    loop_timer_free(s->tick);
    s->tick = NULL;
}

static void on_tick(void *arg) {
    struct http_server *s = arg;
    struct http_conn *c;
    struct http_listener *l;
    struct list again;
    int64_t now_ms = http_now_ms();

    /* A check may end its connection, whose callbacks may end others: none is held across it. */
    list_init(&again);
    while ((c = list_first(&s->conns, struct http_conn, link))) {
        list_remove(&c->link);
        list_append(&again, &c->link);
        http_conn_check(c, now_ms);
    }
    while ((c = list_first(&again, struct http_conn, link))) {
        list_remove(&c->link);
        list_append(&s->conns, &c->link);
    }
    list_for_each (l, &s->listeners, link) {
        if (l->paused && l->conns < HTTP_CONNS_MAX) {
            l->paused = false;
            loop_fd_set(l->watch, LOOP_READ);
        }
    }
    tick_stop(s);
}

/* Runs only while it is needed: an engine at rest does not wake up. */
static void tick_start(struct http_server *s) {
    if (!s->tick)
        s->tick = loop_timer_new(s->loop, s->timeouts.tick, s->timeouts.tick, on_tick, s);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void listener_pause(struct http_listener *l) {
    l->paused = true;
    loop_fd_set(l->watch, 0);
    tick_start(l->server);
}

void http_server_unlisten(struct http_server *s, const char *label) {
    struct http_listener *l, *next;

    list_for_each_safe (l, next, &s->listeners, link) {
        if (strcmp(l->label, label) != 0 || l->closed)
            continue;
        l->closed = true;
        loop_fd_free(l->watch);
        l->watch = NULL;
        l->fd = fd_close(l->fd);
        if (l->conns == 0)
            listener_free(l);
    }
}

void http_listener_release(struct http_listener *l) {
    struct http_server *s = l->server;

    l->conns--;
    if (l->closed) {
        if (l->conns == 0)
            listener_free(l);
        tick_stop(s);
        return;
    }
    if (l->paused && l->conns < HTTP_CONNS_MAX) {
        l->paused = false;
        loop_fd_set(l->watch, LOOP_READ);
    }
    tick_stop(l->server);
}

/* Room for one more: the connection that has been idle for longest makes place. */
static bool make_room(struct http_listener *l) {
    struct http_conn *c, *oldest = NULL;

    if (l->conns < HTTP_CONNS_MAX)
        return true;
    list_for_each (c, &l->server->conns, link) {
        if (c->listener == l && c->phase == HTTP_HEAD && c->idle &&
            (!oldest || c->stamp_ms < oldest->stamp_ms))
            oldest = c;
    }
    if (!oldest)
        return false;
    http_conn_gone(oldest);
    return true;
}

static void tcp_options(int fd) {
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 30}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) /* best effort */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

static void on_listener(void *arg, unsigned events) {
    struct http_listener *l = arg;

    for (int i = 0; i < HTTP_ACCEPT_BATCH; i++) {
        int fd;

        if (!make_room(l)) {
            log_debug("too many connections", "listener", l->label);
            listener_pause(l);
            return;
        }
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            /* Out of descriptors or memory: the backlog would wake us at once again. */
            if (errno != EAGAIN)
                listener_pause(l);
            return;
        }
        if (l->is_tcp)
            tcp_options(fd);
        tick_start(l->server);
        http_conn_new(l, fd);
    }
}

int http_server_listen(struct http_server *s, int fd, const struct http_listener_options *o) {
    struct http_listener *l = xnew(struct http_listener);

    list_init(&l->link);
    l->server = s;
    l->fd = fd;
    l->label = xstrdup(o->label ? o->label : "");
    l->allow_origin = xstrdup_null(o->allow_origin);
    l->is_tcp = o->is_tcp;
    l->tls = o->tls;
    l->user = o->user;
    l->watch = loop_fd_new(s->loop, fd, LOOP_READ, on_listener, l);
    if (!l->watch) {
        int r = errno ? -errno : -EINVAL;

        listener_free(l);
        return r;
    }
    list_append(&s->listeners, &l->link);
    return 0;
}
