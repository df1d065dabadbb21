/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The engine's end of fence-netd: names, reserved host ports and relays, which live there so that
 * they outlive this daemon. The process is started through the spawner when it is first needed,
 * found again by its socket (<exec-root>/netd.sock) by the next daemon, and started anew when it
 * has died. Loop thread. Requests are carried out in order; what has no callback cannot fail but by
 * losing the process, and then everything is told anew: `lost` is called, and the engine puts all
 * it knows between netd_sync_begin() and netd_sync_end(), the ports of what runs by netd_reserve()
 * with first == last (the first of these calls starts a fresh process; netd drops what was not put
 * again). Reservations on their way are repeated by the link itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "network/addr.h"

struct engine;
struct netd_link;

struct netd_link *netd_link_new(struct engine *eng, void (*lost)(struct engine *eng));
/* Does not end the process. */
void netd_link_free(struct netd_link *l);
/* Ends it, if it is there: for a daemon that ends without containers. */
void netd_link_shutdown(struct netd_link *l);
/* Whether a process runs already (after a restart of the daemon): then the engine has to put all.
 */
bool netd_link_is_up(const struct netd_link *l);
/* The socket, for rt_net.netd of containers with a sandbox. */
const char *netd_link_path(const struct netd_link *l);
/* All that is put between begin and end is what there is. */
void netd_sync_begin(struct netd_link *l);
void netd_sync_end(struct netd_link *l);

/* ---- host ports ------------------------------------------------------------------------------ */
/*
 * One published port: bound on all `hosts` under the same number (so that nobody else gets it), and
 * what arrives at those sockets themselves, because NAT did not take it (loopback, IPv6 to a
 * container without IPv6), is relayed to `to`.
 */
struct netd_port {
    uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP */
    struct ip hosts[2];
    unsigned host_count;
    uint16_t first, last; /* the first free one of these */
    struct ip to;
    uint16_t to_port;
};
/* All or nothing; `owner` is a container's id and may be used several times, each time adding.
 * *ports: the chosen ones, in order, NULL on failure. The error is as Docker's: "listen tcp4
 * 0.0.0.0:80: bind: address already in use", class ERR_SYSTEM; all ports of a range taken: "all
 * ports are allocated". What the owner holds already under the same number (first == last) is kept.
 * done() is called from the loop, never by netd_reserve() itself. */
typedef void netd_reserved(void *arg, const uint16_t *ports, struct err *e);
void netd_reserve(struct netd_link *l, const char *owner, const struct netd_port *p, size_t n,
                  netd_reserved *done, void *arg);
/* Some (proto and number), or (p NULL) all of the owner's. */
void netd_release(struct netd_link *l, const char *owner, const struct netd_port *p, size_t n);

/* ---- names ----------------------------------------------------------------------------------- */
/* A container on a network: what its names mean there. Replaces the one with this network and
 * container. */
struct netd_endpoint {
    const char *network, *container; /* ids */
    struct ip ip4, ip6;
    char *const *names; /* name, aliases, short id, in this order: the first is PTR's answer */
    const char *network_name; /* "web.mynet" is answered too, and PTR says so */
};
void netd_endpoint_put(struct netd_link *l, const struct netd_endpoint *p);
void netd_endpoint_del(struct netd_link *l, const char *network, const char *container);

/* What asks: a network namespace with the resolver 127.0.0.11. */
struct netd_sandbox {
    const char *id;        /* the container's */
    char *const *networks; /* ids of the user networks it is on */
    char *const *servers;  /* where other names are asked, "IP" or "IP#PORT"; in turn */
    char *const *search, *const *options; /* of its resolv.conf: its clients know them, not sent */
    char *const *links; /* "alias=name": its own aliases for names on its networks */
    bool internal;      /* on internal networks only: nothing is forwarded */
    int pidfd;          /* of its init when it runs already, else -1: the set-up process brings
                         * the namespace (netd/client.h) */
};
void netd_sandbox_put(struct netd_link *l, const struct netd_sandbox *s);
void netd_sandbox_del(struct netd_link *l, const char *id);
