/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to a published port that came to its socket: two sockets and a pipe for each
 * direction. The bytes are spliced: they never come into our memory, and a side that reads slowly
 * holds up the other by a full pipe. Each direction ends by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/alloc.h"
#include "netd/ports.h"
#include "netd/sandbox.h"

#define RELAYS_MAX     4096
#define ACCEPT_AT_ONCE 16
#define CHUNK          (64u << 10) /* a pipe's size */
#define PUMPS_AT_ONCE  16          /* so that one fast connection leaves the others their turn */
#define EVENTS         (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct side {
    struct watch w;
    int pipe[2];   /* what was read here and is on its way to the other side */
    size_t filled; /* bytes in it */
    bool ended;    /* no more is read here */
    bool shut;     /* and the other side knows */
};

struct relay {
    struct side client, container;
    bool connected;
};

static void side_close(struct netd *n, struct side *s) {
    watch_close(n, &s->w);
    s->pipe[0] = fd_close(s->pipe[0]);
    s->pipe[1] = fd_close(s->pipe[1]);
}

static void relay_free(struct netd *n, struct relay *r) {
    side_close(n, &r->client);
    side_close(n, &r->container);
    n->relays--;
    netd_free_later(n, r);
}

/* Something is broken: whoever is still there is told so by a reset, not by an orderly end. */
static void relay_reset(struct netd *n, struct relay *r) {
    const struct linger now = {.l_onoff = 1};
    struct side *sides[] = {&r->client, &r->container};
    for (int i = 0; i < 2; i++)
        if (sides[i]->w.fd >= 0) /* else the end is orderly after all */
            (void)setsockopt(sides[i]->w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    relay_free(n, r);
}

/* Moves what there is from one side to the other. 1: there may be more; 0: not now; -errno. */
static int pump(struct side *from, struct side *to) {
    for (int i = 0; i < PUMPS_AT_ONCE; i++) {
        bool moved = false;
        if (!from->ended && from->filled < CHUNK) {
            ssize_t n = splice(from->w.fd, NULL, from->pipe[1], NULL, CHUNK - from->filled,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (n < 0 && errno != EAGAIN)
                return -errno;
            from->ended = n == 0;
            if (n > 0) {
                from->filled += (size_t)n;
                moved = true;
            }
        }
        if (from->filled > 0) {
            ssize_t n = splice(from->pipe[0], NULL, to->w.fd, NULL, from->filled,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (n < 0 && errno != EAGAIN)
                return -errno;
            if (n > 0) {
                from->filled -= (size_t)n;
                moved = true;
            }
        }
        if (from->ended && from->filled == 0 && !from->shut) {
            from->shut = true;
            if (shutdown(to->w.fd, SHUT_WR) < 0 && errno != ENOTCONN)
                return -errno;
        }
        if (!moved)
            return 0;
    }
    return 1;
}

static int check_connected(struct relay *r) {
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(r->container.w.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    if (error)
        return -error;
    if (getpeername(r->container.w.fd, (struct sockaddr *)&peer, &peer_len) < 0)
        return errno == ENOTCONN ? 0 : -errno; /* an early event */
    r->connected = true;
    return 0;
}

static void move(struct netd *n, struct relay *r) {
    int state = r->connected ? 0 : check_connected(r);
    if (state >= 0 && r->connected) {
        int there = pump(&r->client, &r->container);
        int back = there < 0 ? there : pump(&r->container, &r->client);
        state = there < 0 ? there : back < 0 ? back : there | back;
    }
    if (state < 0) {
        relay_reset(n, r);
    } else if (r->client.shut && r->container.shut) {
        relay_free(n, r);
    } else if (state > 0) {
        /* Edge-triggered: asking anew reports again what is already there. */
        watch_set(n, &r->client.w, EVENTS);
        watch_set(n, &r->container.w, EVENTS);
    }
}

static void on_client(struct netd *n, struct watch *w, unsigned events) {
    move(n, container_of(w, struct relay, client.w));
}

static void on_container(struct netd *n, struct watch *w, unsigned events) {
    move(n, container_of(w, struct relay, container.w));
}

static int open_pipes(struct relay *r) {
    return pipe2(r->client.pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
                   pipe2(r->container.pipe, O_CLOEXEC | O_NONBLOCK) < 0
               ? -errno
               : 0;
}

/* Small writes go out at once, and peers that vanish are found out. */
static void set_options(int fd) {
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* SCTP has another */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)); /* a convenience */
}

static int relay_start(struct netd *n, const struct port *p, int client_fd) {
    auto_fd client = client_fd;
    struct sockaddr_storage to;
    socklen_t to_len = netd_sockaddr(&p->request.to, p->request.to_port, &to);
    auto_fd container =
        socket(p->request.to.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, p->request.proto);
    if (container < 0)
        return -errno;
    set_options(client);
    set_options(container);
    if (connect(container, (struct sockaddr *)&to, to_len) < 0 && errno != EINPROGRESS)
        return -errno;
    struct relay *r = xnew(struct relay);
    *r = (struct relay){.client = {.w.fd = -1, .pipe = {-1, -1}},
                        .container = {.w.fd = -1, .pipe = {-1, -1}}};
    n->relays++;
    int result = open_pipes(r);
    if (result >= 0)
        result = watch_open(n, &r->client.w, take_fd(&client), EVENTS, on_client);
    if (result >= 0)
        result = watch_open(n, &r->container.w, take_fd(&container), EVENTS, on_container);
    if (result < 0)
        relay_reset(n, r);
    return result;
}

void relay_accept(struct netd *n, struct watch *w, unsigned events) {
    struct port_socket *ps = container_of(w, struct port_socket, w);
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd =
            n->relays < RELAYS_MAX ? accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
        if (fd < 0 && n->relays < RELAYS_MAX && (errno == EAGAIN || errno == EINTR))
            return;
        if (fd < 0 && n->relays < RELAYS_MAX && errno == ECONNABORTED)
            continue;
        if (fd < 0) { /* no room for more just now: they wait in the kernel's queue */
            watch_set(n, w, 0);
            deadline_start(n, &ps->pause, DEADLINE_PAUSE);
            return;
        }
        if (!ps->port->request.to.family)
            fd_close(fd);
        else
            (void)relay_start(n, ps->port, fd); /* the client sees its connection closed */
    }
}
