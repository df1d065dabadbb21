/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/dns_server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "netd/forward.h"
#include "wire/dns.h"

#define TTL         600 /* Docker's */
#define UDP_AT_ONCE 32  /* so that one container's flood leaves the others their turn */
#define CLIENTS_MAX 16  /* TCP connections of one sandbox */
#define ANSWER_MAX  (DNS_HEADER + 260 + NAMES_ANSWERS_MAX * 28 + 11)
#define QUERY_MAX   4096 /* by TCP: a question, EDNS, a signature */
#define TCP_PREFIX  2

/* One connection; one question of it at a time. */
struct dns_client {
    struct list node; /* in its sandbox */
    struct sandbox *sandbox;
    struct watch w;
    struct deadline idle;
    size_t have;
    bool busy;    /* a question is being forwarded */
    uint8_t *out; /* what could not be written yet */
    size_t out_len, out_done;
    uint8_t in[TCP_PREFIX + QUERY_MAX];
};

/* ---- what the networks know ------------------------------------------------------------------ */
/* The length of an answer in `room`, or 0: to be forwarded. */
static size_t answer_locally(struct sandbox *s, const void *query, const struct dns_query *q,
                             uint8_t *room, size_t max) {
    struct netd_addr found[NAMES_ANSWERS_MAX];
    struct netd_addr address = {0};
    struct dns_answer a;
    char name[DNS_NAME_TEXT];

    if (q->class != DNS_CLASS_IN || !q->name[0])
        return 0;
    if (q->type == DNS_PTR) {
        size_t n = dns_reverse_address(q->name, address.b);
        address.family = n == 4 ? AF_INET : AF_INET6;
        if (n == 0 || names_reverse(&s->netd->names, s->networks, &address, name) < 0)
            return 0;
        dns_answer_begin(&a, room, max, query, q, DNS_NOERROR);
        dns_answer_ptr(&a, name, TTL);
        return dns_answer_end(&a);
    }
    /* A name that is known exists for every type: "no such name" would end the search of a client
     * that asks for IPv6 first. */
    int family = q->type == DNS_AAAA ? AF_INET6 : AF_INET;
    int n = names_find(&s->netd->names, s->networks, s->links, q->name, family, found,
                       NAMES_ANSWERS_MAX);
    if (n < 0)
        return 0;
    dns_answer_begin(&a, room, max, query, q, DNS_NOERROR);
    for (int i = 0; i < n && (q->type == DNS_A || q->type == DNS_AAAA || q->type == DNS_ANY); i++)
        dns_answer_address(&a, found[i].b, family == AF_INET ? 4 : 16, TTL);
    return dns_answer_end(&a);
}

/* An answer for now, or 0: forwarded, or there is none. */
static size_t handle(struct sandbox *s, const struct dns_peer *from, const uint8_t *query, size_t n,
                     uint8_t *room, size_t room_size) {
    struct dns_query q;
    struct dns_answer a;
    int r = dns_query_parse(query, n, &q);

    if (r < 0)
        return 0;
    size_t max = from->tcp || q.udp_size > room_size ? room_size : q.udp_size;
    size_t len = r == 0 ? answer_locally(s, query, &q, room, max) : 0;
    if (len > 0)
        return len;
    if (r == 0) {
        r = forward_query(s, from, query, n, &q);
        if (r == 0)
            return 0;
    }
    dns_answer_begin(&a, room, max, query, &q, r);
    return dns_answer_end(&a);
}

/* ---- UDP ------------------------------------------------------------------------------------- */
static void send_udp(struct sandbox *s, const struct dns_peer *to, const void *p, size_t n) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = to->udp.port, .sin_addr.s_addr = to->udp.addr};
    /* A client that has gone, or reads nothing: it asks again if it wants to know. */
    (void)sendto(s->udp.fd, p, n, MSG_DONTWAIT, (struct sockaddr *)&a, sizeof(a));
}

static void on_udp(struct netd *n, struct watch *w, unsigned events) {
    struct sandbox *s = container_of(w, struct sandbox, udp);
    uint8_t room[ANSWER_MAX];

    for (int i = 0; i < UDP_AT_ONCE && w->fd >= 0; i++) {
        struct sockaddr_in from;
        socklen_t from_len = sizeof(from);
        ssize_t len = recvfrom(w->fd, n->scratch, sizeof(n->scratch), MSG_DONTWAIT,
                               (struct sockaddr *)&from, &from_len);
        if (len < 0 && errno == EAGAIN)
            return;
        if (len <= 0)
            continue;
        struct dns_peer peer = {.udp = {from.sin_addr.s_addr, from.sin_port}};
        size_t answer = handle(s, &peer, n->scratch, (size_t)len, room, sizeof(room));
        if (answer > 0)
            send_udp(s, &peer, room, answer);
    }
}

/* ---- TCP ------------------------------------------------------------------------------------- */
static void client_free(struct dns_client *c) {
    struct netd *n = c->sandbox->netd;
    forward_cancel(c->sandbox, c);
    watch_close(n, &c->w);
    deadline_stop(&c->idle);
    list_remove(&c->node);
    c->sandbox->client_count--;
    free(c->out);
    netd_free_later(n, c);
}

static void on_idle(struct netd *n, struct deadline *d) {
    client_free(container_of(d, struct dns_client, idle));
}

/* What is left is written when there is room. False: the client is gone. */
static bool write_client(struct dns_client *c) {
    while (c->out_done < c->out_len) {
        ssize_t n = send(c->w.fd, c->out + c->out_done, c->out_len - c->out_done,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch_set(c->sandbox->netd, &c->w, EPOLLOUT);
            return true;
        }
        if (n < 0) {
            client_free(c);
            return false;
        }
        c->out_done += (size_t)n;
    }
    free(c->out);
    c->out = NULL;
    c->out_len = c->out_done = 0;
    return true;
}

static bool send_client(struct dns_client *c, const void *p, size_t n) {
    c->out = xmalloc(TCP_PREFIX + n);
    c->out[0] = (uint8_t)(n >> 8);
    c->out[1] = (uint8_t)n;
    memcpy(c->out + TCP_PREFIX, p, n);
    c->out_len = TCP_PREFIX + n;
    c->out_done = 0;
    return write_client(c);
}

/* The questions that are here, until one is forwarded or an answer does not fit in the socket. */
static void serve_client(struct dns_client *c) {
    uint8_t room[ANSWER_MAX];
    while (!c->busy && !c->out && c->have >= TCP_PREFIX) {
        size_t len = (size_t)c->in[0] << 8 | c->in[1];
        if (len > QUERY_MAX) {
            client_free(c);
            return;
        }
        if (c->have < TCP_PREFIX + len)
            break;
        struct dns_peer peer = {.tcp = c};
        c->busy = true;
        size_t answer = handle(c->sandbox, &peer, c->in + TCP_PREFIX, len, room, sizeof(room));
        c->have -= TCP_PREFIX + len;
        memmove(c->in, c->in + TCP_PREFIX + len, c->have);
        if (answer > 0) {
            c->busy = false;
            if (!send_client(c, room, answer))
                return;
        } else if (forward_count(c->sandbox, c) == 0) {
            client_free(c); /* not a question */
            return;
        }
    }
    /* While it has to wait nothing more is read of it. */
    watch_set(c->sandbox->netd, &c->w, c->out ? EPOLLOUT : c->busy ? 0 : EPOLLIN);
}

static void on_client(struct netd *n, struct watch *w, unsigned events) {
    struct dns_client *c = container_of(w, struct dns_client, w);

    deadline_start(n, &c->idle, DEADLINE_CLIENT);
    if (c->out) {
        if (write_client(c) && !c->out)
            serve_client(c);
        return;
    }
    if (c->busy) { /* not asked for: it has gone */
        client_free(c);
        return;
    }
    ssize_t len = recv(w->fd, c->in + c->have, sizeof(c->in) - c->have, MSG_DONTWAIT);
    if (len < 0 && errno == EAGAIN)
        return;
    if (len <= 0) {
        client_free(c);
        return;
    }
    c->have += (size_t)len;
    serve_client(c);
}

static void on_accept(struct netd *n, struct watch *w, unsigned events) {
    struct sandbox *s = container_of(w, struct sandbox, tcp);
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (s->client_count >=
        CLIENTS_MAX) /* the one that has been silent for the longest makes room */
        client_free(list_first(&s->clients, struct dns_client, node));
    struct dns_client *c = xnew(struct dns_client);
    c->sandbox = s;
    deadline_init(&c->idle, on_idle);
    list_append(&s->clients, &c->node);
    s->client_count++;
    if (watch_open(n, &c->w, fd, EPOLLIN, on_client) < 0)
        client_free(c);
    else
        deadline_start(n, &c->idle, DEADLINE_CLIENT);
}

/* ---- the sandbox's sockets ------------------------------------------------------------------- */
int dns_server_open(struct sandbox *s, int udp, int tcp) {
    int r = watch_open(s->netd, &s->udp, udp, EPOLLIN, on_udp);
    if (r < 0) {
        fd_close(tcp);
        return r;
    }
    return watch_open(s->netd, &s->tcp, tcp, EPOLLIN, on_accept);
}

void dns_server_close(struct sandbox *s) {
    struct dns_client *c;
    while ((c = list_first(&s->clients, struct dns_client, node)))
        client_free(c);
    watch_close(s->netd, &s->udp);
    watch_close(s->netd, &s->tcp);
}

void dns_server_reply(struct sandbox *s, const struct dns_peer *to, const void *answer, size_t n) {
    if (!to->tcp) {
        send_udp(s, to, answer, n);
        return;
    }
    struct dns_client *c = to->tcp;
    c->busy = false;
    if (send_client(c, answer, n))
        serve_client(c);
}

void dns_server_refuse(struct sandbox *s, const struct dns_peer *to, const void *query, size_t n,
                       int rcode) {
    uint8_t room[DNS_UDP_PLAIN];
    struct dns_query q;
    struct dns_answer a;
    if (dns_query_parse(query, n, &q) < 0)
        return; /* it was parsed before */
    dns_answer_begin(&a, room, sizeof(room), query, &q, rcode);
    dns_server_reply(s, to, room, dns_answer_end(&a));
}
