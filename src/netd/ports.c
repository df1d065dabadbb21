/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/ports.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include "base/alloc.h"
#include "base/str.h"
#include "netd/sandbox.h"

#define BACKLOG     128
#define UDP_ROOM    (1 << 20)
#define LARGE_RANGE 256 /* from here on, the next port is tried, not the first */

struct port_owner {
    char *id;
    struct list ports;
    size_t count;
};

/* ---- one socket ------------------------------------------------------------------------------ */
static const char *proto_name(uint8_t proto) {
    return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "sctp";
}

/* "listen tcp4 0.0.0.0:80: bind", and the errno: its text is added by the daemon, whose C library
 * has the words that Docker's clients know. */
static int say(struct err *e, const struct port_request *q, size_t host, uint16_t number,
               const char *call, int r) {
    char address[NETD_ADDR_TEXT];
    err_done(e);
    err_set(e, ERR_SYSTEM, "listen %s%d %s: %s", proto_name(q->proto),
            q->hosts[host].family == AF_INET6 ? 6 : 4,
            netd_addr_text(&q->hosts[host], number, address), call);
    e->errnum = -r;
    return r;
}

static int open_socket(const struct port_request *q, size_t host, uint16_t number, struct err *e) {
    const struct netd_addr *a = &q->hosts[host];
    const int on = 1, room = UDP_ROOM;
    struct sockaddr_storage address;
    socklen_t len = netd_sockaddr(a, number, &address);
    bool udp = q->proto == IPPROTO_UDP;
    auto_fd fd = socket(a->family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        q->proto);
    if (fd < 0)
        return say(e, q, host, number, "socket", -errno);
    if (a->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
        return say(e, q, host, number, "setsockopt", -errno);
    /* For what arrives while others have the processor; less is no error. */
    if (udp)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    /* Not for UDP, where two sockets could then share the port. */
    if (!udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return say(e, q, host, number, "setsockopt", -errno);
    if (bind(fd, (struct sockaddr *)&address, len) < 0)
        return say(e, q, host, number, "bind", -errno);
    int r = udp ? flow_prepare(fd, a->family) : listen(fd, BACKLOG) < 0 ? -errno : 0;
    /* Two listeners are found out here when both have bound before. */
    return r < 0 ? say(e, q, host, number, udp ? "setsockopt" : "bind", r) : take_fd(&fd);
}

static void on_pause_end(struct netd *n, struct deadline *d) {
    struct port_socket *ps = container_of(d, struct port_socket, pause);
    watch_set(n, &ps->w, EPOLLIN);
}

static void close_sockets(struct port *p) {
    for (size_t i = 0; i < PORT_HOSTS_MAX; i++) {
        struct port_socket *ps = &p->sockets[i];
        if (!ps->port)
            continue;
        flows_close(p->netd, ps);
        deadline_stop(&ps->pause);
        watch_close(p->netd, &ps->w);
        ps->port = NULL;
    }
}

/* All hosts under one number, or none. */
static int open_number(struct port *p, uint16_t number, struct err *e) {
    const struct port_request *q = &p->request;
    size_t opened = 0;
    int r = 0;
    for (size_t i = 0; i < q->host_count && r >= 0; i++) {
        auto_err why = ERR_INIT;
        r = open_socket(q, i, number, &why);
        /* A host without IPv6 publishes without it, as Docker does. */
        if (r == -EAFNOSUPPORT && q->hosts[i].family == AF_INET6 && q->host_count > 1) {
            r = 0;
            continue;
        }
        if (r < 0) {
            err_done(e);
            err_move(e, &why);
            break;
        }
        struct port_socket *ps = &p->sockets[i];
        ps->port = p;
        list_init(&ps->flows);
        deadline_init(&ps->pause, on_pause_end);
        r = watch_open(p->netd, &ps->w, r, EPOLLIN,
                       q->proto == IPPROTO_UDP ? flow_receive : relay_accept);
        if (r < 0)
            say(e, q, i, number, "epoll_ctl", r);
        else
            opened++;
    }
    if (r >= 0 && opened == 0)
        r = err_set(e, ERR_INVALID, "a published port has no address of the host");
    if (r < 0) {
        close_sockets(p);
        return r;
    }
    p->number = number;
    return 0;
}

static uint16_t *cursor(struct netd *n, uint8_t proto) {
    return &n->port_cursor[proto == IPPROTO_TCP ? 0 : proto == IPPROTO_UDP ? 1 : 2];
}

/* The first free number of the range. In a large one the search goes on where it last ended:
 * thousands of ports would be tried in vain each time, and one just given back is better left
 * alone. */
static int open_range(struct port *p, struct err *e) {
    const struct port_request *q = &p->request;
    unsigned size = (unsigned)q->last - q->first + 1, start = 0;
    uint16_t *last = cursor(p->netd, q->proto);
    if (size >= LARGE_RANGE && *last >= q->first && *last <= q->last)
        start = (unsigned)(*last - q->first + 1) % size;
    for (unsigned i = 0; i < size; i++) {
        uint16_t number = (uint16_t)(q->first + (start + i) % size);
        int r = open_number(p, number, e);
        if (r >= 0 && size >= LARGE_RANGE)
            *last = number;
        if (r != -EADDRINUSE)
            return r;
    }
    if (size == 1)
        return -EADDRINUSE;
    err_done(e);
    return err_set(e, ERR_SYSTEM, "all ports are allocated");
}

/* ---- owners ---------------------------------------------------------------------------------- */
static void port_free(struct port_owner *o, struct port *p) {
    close_sockets(p);
    list_remove(&p->node);
    o->count--;
    netd_free_later(p->netd, p);
}

static void owner_release_if_empty(struct netd *n, struct port_owner *o) {
    if (o->count > 0)
        return;
    (void)map_del(&n->owners, o->id); /* is `o` */
    free(o->id);
    free(o);
}

/* What this owner has already: the same number asked for twice is one reservation, so that a daemon
 * which does not know whether it was heard can repeat itself. Of a range only what is from before a
 * sync, and not asked for yet. */
static struct port *find_kept(const struct netd *n, struct port_owner *o,
                              const struct port_request *q) {
    struct port *p;
    list_for_each (p, &o->ports, node) {
        const struct port_request *have = &p->request;
        bool asked_for = q->first == q->last || p->generation != n->generation;
        bool same = asked_for && have->proto == q->proto && p->number >= q->first &&
                    p->number <= q->last && have->host_count == q->host_count &&
                    have->to_port == q->to_port && netd_addr_equal(&have->to, &q->to);
        for (size_t i = 0; same && i < q->host_count; i++)
            same = netd_addr_equal(&have->hosts[i], &q->hosts[i]);
        if (same)
            return p;
    }
    return NULL;
}

/* Those that the sync would drop at its end give way to what is asked for now. */
static bool drop_stale(struct netd *n, uint8_t proto, uint16_t first, uint16_t last) {
    bool dropped = false;
    map_for_each (entry, &n->owners) {
        struct port_owner *o = entry->value;
        struct port *p, *next;
        list_for_each_safe (p, next, &o->ports, node) {
            if (p->generation == n->generation || p->request.proto != proto || p->number < first ||
                p->number > last)
                continue;
            port_free(o, p);
            dropped = true;
        }
    }
    return dropped;
}

static int reserve_one(struct netd *n, struct port_owner *o, const struct port_request *q,
                       struct port **ret, struct err *e) {
    struct port *p = xnew(struct port);
    p->netd = n;
    p->request = *q;
    p->generation = n->generation;
    for (size_t i = 0; i < PORT_HOSTS_MAX; i++)
        p->sockets[i].w.fd = -1;
    int r = open_range(p, e);
    if (r < 0 && drop_stale(n, q->proto, q->first, q->last))
        r = open_range(p, e);
    if (r < 0) {
        netd_free_later(n, p);
        return r;
    }
    list_append(&o->ports, &p->node);
    o->count++;
    *ret = p;
    return 0;
}

int ports_reserve(struct netd *n, const char *owner, const struct port_request *requests,
                  size_t count, uint16_t *ret, struct err *e) {
    auto_free struct port **made = xcalloc(count + 1, sizeof(struct port *));
    struct port_owner *o = map_get(&n->owners, owner);
    int r = 0;

    if (!o) {
        o = xnew(struct port_owner);
        o->id = xstrdup(owner);
        list_init(&o->ports);
        (void)map_put(&n->owners, owner, o); /* there was none */
    }
    for (size_t i = 0; i < count && r >= 0; i++) {
        struct port *p = find_kept(n, o, &requests[i]);
        if (p)
            p->generation = n->generation;
        else if ((r = reserve_one(n, o, &requests[i], &p, e)) >= 0)
            made[i] = p;
        if (r >= 0)
            ret[i] = p->number;
    }
    for (size_t i = 0; r < 0 && i < count; i++)
        if (made[i])
            port_free(o, made[i]);
    owner_release_if_empty(n, o);
    return r;
}

void ports_release(struct netd *n, const char *owner, uint8_t proto, uint16_t number) {
    struct port_owner *o = map_get(&n->owners, owner);
    struct port *p, *next;
    if (!o)
        return;
    list_for_each_safe (p, next, &o->ports, node) {
        if (p->request.proto == proto && p->number == number)
            port_free(o, p);
    }
    owner_release_if_empty(n, o);
}

void ports_release_all(struct netd *n, const char *owner) {
    struct port_owner *o = map_get(&n->owners, owner);
    struct port *p;
    if (!o)
        return;
    while ((p = list_first(&o->ports, struct port, node)))
        port_free(o, p);
    owner_release_if_empty(n, o);
}

void ports_sweep(struct netd *n) {
    map_for_each (entry, &n->owners) {
        struct port_owner *o = entry->value;
        struct port *p, *next;
        list_for_each_safe (p, next, &o->ports, node) {
            if (p->generation != n->generation)
                port_free(o, p);
        }
        owner_release_if_empty(n, o);
    }
}

void ports_done(struct netd *n) {
    n->generation++;
    ports_sweep(n);
    map_done(&n->owners);
    free(take_ptr(n->flow_table));
}

size_t ports_count(const struct netd *n) {
    size_t count = 0;
    map_for_each (entry, &n->owners)
        count += ((const struct port_owner *)entry->value)->count;
    return count;
}
