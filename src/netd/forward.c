/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/forward.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include "base/alloc.h"
#include "base/id.h"
#include "wire/dns.h"

#define SANDBOX_MAX 128   /* in flight; more are refused */
#define TOTAL_MAX   2048  /* of all sandboxes: each has a socket */
#define STRANGERS   64    /* datagrams that are not the answer, until the server counts as failed */
#define DOWN_MS     10000 /* a server that has not answered is asked last for so long */
#define TCP_PREFIX  2
#define UDP_MAX     65000 /* whatever a client says: less than a datagram's limit */

struct forward {
    struct list node; /* in its sandbox */
    struct sandbox *sandbox;
    struct watch w;
    struct deadline patience;
    struct dns_peer peer;
    size_t server;  /* that is asked now */
    unsigned tried; /* servers, this one included */
    unsigned strangers;
    bool tcp;
    uint16_t client_id, client_udp;
    size_t question_len;
    size_t sent; /* by TCP, prefix included */
    uint8_t prefix[TCP_PREFIX];
    size_t have; /* of prefix and reply */
    uint8_t *reply;
    size_t len;
    uint8_t message[]; /* behind TCP_PREFIX bytes of its length */
};

static void forward_free(struct forward *f) {
    struct netd *n = f->sandbox->netd;
    watch_close(n, &f->w);
    deadline_stop(&f->patience);
    list_remove(&f->node);
    f->sandbox->query_count--;
    n->queries--;
    free(f->reply);
    netd_free_later(n, f);
}

static uint8_t *message_of(struct forward *f) {
    return f->message + TCP_PREFIX;
}

static void set_id(uint8_t *message, uint16_t id) {
    message[0] = (uint8_t)(id >> 8);
    message[1] = (uint8_t)id;
}

/* ---- the answer ------------------------------------------------------------------------------ */
static void finish(struct forward *f, uint8_t *reply, size_t n) {
    struct sandbox *s = f->sandbox;
    struct dns_peer peer = f->peer;
    uint8_t room[DNS_UDP_PLAIN];
    struct dns_query q;
    struct dns_answer a;

    set_id(reply, f->client_id);
    set_id(message_of(f), f->client_id);
    if (!peer.tcp && n > f->client_udp && dns_query_parse(message_of(f), f->len, &q) == 0) {
        dns_answer_begin(&a, room, sizeof(room), message_of(f), &q, dns_reply_rcode(reply));
        a.truncated = true;
        n = dns_answer_end(&a);
        reply = room;
    }
    uint8_t *own = take_ptr(f->reply); /* perhaps where it lies */
    forward_free(f);
    dns_server_reply(s, &peer, reply, n);
    free(own);
}

static void give_up(struct forward *f) {
    struct sandbox *s = f->sandbox;
    struct dns_peer peer = f->peer;
    auto_free uint8_t *query = xmemdup(message_of(f), f->len);
    size_t n = f->len;

    set_id(query, f->client_id);
    forward_free(f);
    dns_server_refuse(s, &peer, query, n, DNS_SERVFAIL);
}

/* ---- one server ------------------------------------------------------------------------------ */
static void on_reply(struct netd *n, struct watch *w, unsigned events);
static void on_tcp(struct netd *n, struct watch *w, unsigned events);

static int open_socket(struct forward *f, const struct sandbox_server *server) {
    int type = f->tcp ? SOCK_STREAM : SOCK_DGRAM;
    if (!netd_addr_is_loopback(&server->addr))
        return sandbox_socket(f->sandbox, server->addr.family, type);
    int fd = socket(server->addr.family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Asks the current server. -errno: that one is out of the question. */
static int ask(struct forward *f) {
    struct netd *n = f->sandbox->netd;
    const struct sandbox_server *server = &f->sandbox->servers[f->server];
    struct sockaddr_storage to;
    socklen_t to_len = netd_sockaddr(&server->addr, server->port, &to);

    watch_close(n, &f->w);
    free(take_ptr(f->reply));
    f->sent = f->have = 0;
    set_id(message_of(f), (uint16_t)random_u64());
    auto_fd fd = open_socket(f, server);
    if (fd < 0)
        return fd;
    /* Connected: nobody else's datagrams are received. */
    if (connect(fd, (struct sockaddr *)&to, to_len) < 0 && !(f->tcp && errno == EINPROGRESS))
        return -errno;
    if (!f->tcp && send(fd, message_of(f), f->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    int r =
        watch_open(n, &f->w, take_fd(&fd), f->tcp ? EPOLLOUT : EPOLLIN, f->tcp ? on_tcp : on_reply);
    if (r >= 0)
        deadline_start(n, &f->patience, DEADLINE_QUERY);
    return r;
}

/* The next server, until one can be asked. False: there is none any more. */
static bool ask_next(struct forward *f) {
    while (f->tried < f->sandbox->server_count) {
        if (f->tried++ > 0)
            f->server = (f->server + 1) % f->sandbox->server_count;
        f->tcp = f->peer.tcp != NULL;
        f->strangers = 0;
        if (f->server < f->sandbox->server_count && ask(f) >= 0)
            return true;
    }
    return false;
}

static void server_failed(struct forward *f) {
    if (!ask_next(f))
        give_up(f);
}

static void on_patience_end(struct netd *n, struct deadline *d) {
    struct forward *f = container_of(d, struct forward, patience);
    if (f->server < NETD_SERVERS_MAX)
        f->sandbox->server_down_ms[f->server] = n->now_ms;
    server_failed(f);
}

/* A message that is the answer to our question. */
static void take_reply(struct forward *f, uint8_t *reply, size_t n) {
    int rcode = dns_reply_rcode(reply);
    if (!f->tcp && dns_reply_is_truncated(reply)) {
        f->tcp = true; /* the same server, by TCP */
        if (ask(f) < 0)
            server_failed(f);
        return;
    }
    bool last = f->tried >= f->sandbox->server_count;
    if (dns_message_check(reply, n) < 0 ||
        ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED) && !last)) {
        server_failed(f);
        return;
    }
    if (f->server < NETD_SERVERS_MAX)
        f->sandbox->server_down_ms[f->server] = 0;
    finish(f, reply, n);
}

static void on_reply(struct netd *n, struct watch *w, unsigned events) {
    struct forward *f = container_of(w, struct forward, w);
    ssize_t len = recv(w->fd, n->scratch, sizeof(n->scratch), MSG_DONTWAIT);
    if (len < 0 && errno == EAGAIN)
        return;
    if (len < 0) { /* nobody listens there */
        server_failed(f);
        return;
    }
    if (dns_reply_fits(n->scratch, (size_t)len, message_of(f), f->question_len))
        take_reply(f, n->scratch, (size_t)len);
    else if (++f->strangers > STRANGERS)
        server_failed(f);
}

/* 1: all is written; 0: later. */
static int write_tcp(struct forward *f) {
    size_t all = TCP_PREFIX + f->len;
    while (f->sent < all) {
        ssize_t len =
            send(f->w.fd, f->message + f->sent, all - f->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (len < 0)
            return errno == EAGAIN ? 0 : -errno;
        f->sent += (size_t)len;
    }
    return 1;
}

/* 1: the whole reply is there; 0: later. */
static int read_tcp(struct forward *f, size_t *ret_len) {
    for (;;) {
        size_t want = TCP_PREFIX;
        uint8_t *to = f->prefix + f->have;
        if (f->have >= TCP_PREFIX) {
            want += (size_t)f->prefix[0] << 8 | f->prefix[1];
            if (!f->reply)
                f->reply = xmalloc(want);
            to = f->reply + (f->have - TCP_PREFIX);
        }
        if (f->have >= TCP_PREFIX && f->have == want) {
            *ret_len = want - TCP_PREFIX;
            return 1;
        }
        ssize_t len = recv(f->w.fd, to, want - f->have, MSG_DONTWAIT);
        if (len <= 0)
            return len == 0 ? -ECONNRESET : errno == EAGAIN ? 0 : -errno;
        f->have += (size_t)len;
    }
}

static void on_tcp(struct netd *n, struct watch *w, unsigned events) {
    struct forward *f = container_of(w, struct forward, w);
    size_t len = 0;
    int r;

    if (f->sent < TCP_PREFIX + f->len) {
        r = write_tcp(f);
        if (r == 1)
            watch_set(n, w, EPOLLIN);
        if (r < 0)
            server_failed(f);
        return;
    }
    r = read_tcp(f, &len);
    if (r == 0)
        return;
    if (r < 0 || !dns_reply_fits(f->reply, len, message_of(f), f->question_len)) {
        server_failed(f);
        return;
    }
    take_reply(f, f->reply, len);
}

/* ---- from outside ---------------------------------------------------------------------------- */
/* The first that has not been silent lately; the first of all if each has. */
static size_t first_server(const struct sandbox *s) {
    for (size_t i = 0; i < s->server_count; i++)
        if (!s->server_down_ms[i] || s->netd->now_ms - s->server_down_ms[i] > DOWN_MS)
            return i;
    return 0;
}

int forward_query(struct sandbox *s, const struct dns_peer *from, const uint8_t *query, size_t n,
                  const struct dns_query *q) {
    if (s->internal || s->server_count == 0)
        return DNS_SERVFAIL;
    if (s->query_count >= SANDBOX_MAX || s->netd->queries >= TOTAL_MAX)
        return DNS_REFUSED;
    struct forward *f = xcalloc(1, sizeof(*f) + TCP_PREFIX + n);
    f->sandbox = s;
    f->w.fd = -1;
    f->peer = *from;
    f->server = first_server(s);
    f->client_id = q->id;
    f->client_udp = q->udp_size < UDP_MAX ? q->udp_size : UDP_MAX;
    f->question_len = q->question_len;
    f->len = n;
    f->message[0] = (uint8_t)(n >> 8);
    f->message[1] = (uint8_t)n;
    memcpy(message_of(f), query, n);
    deadline_init(&f->patience, on_patience_end);
    list_append(&s->queries, &f->node);
    s->query_count++;
    s->netd->queries++;
    if (ask_next(f))
        return 0;
    forward_free(f);
    return DNS_SERVFAIL;
}

unsigned forward_count(const struct sandbox *s, const struct dns_client *c) {
    const struct forward *f;
    unsigned count = 0;
    list_for_each (f, &s->queries, node)
        count += f->peer.tcp == c;
    return count;
}

void forward_cancel(struct sandbox *s, const struct dns_client *c) {
    struct forward *f, *next;
    list_for_each_safe (f, next, &s->queries, node) {
        if (f->peer.tcp == c)
            forward_free(f);
    }
}

void forward_cancel_all(struct sandbox *s) {
    struct forward *f;
    while ((f = list_first(&s->queries, struct forward, node)))
        forward_free(f);
}
