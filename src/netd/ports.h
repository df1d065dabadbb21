/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Published host ports. The sockets keep everybody else from the port; what reaches them, because
 * NAT has not taken it before (loopback, IPv6 to a container without), is relayed to the container.
 */
#include "base/err.h"
#include "netd/netd.h"

#define PORT_HOSTS_MAX 2

struct port_request {
    uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP */
    uint16_t first, last;
    struct netd_addr hosts[PORT_HOSTS_MAX];
    size_t host_count;
    struct netd_addr to; /* family 0: nothing is relayed */
    uint16_t to_port;
};

struct port;
struct port_socket {
    struct port *port; /* NULL: not used */
    struct watch w;
    struct deadline pause; /* nothing is accepted until then: there was no room */
    struct list flows;     /* UDP clients (flow.c) */
};

struct port {
    struct list node; /* in its owner */
    struct netd *netd;
    struct port_request request;
    uint16_t number;
    unsigned generation;
    struct port_socket sockets[PORT_HOSTS_MAX];
};

/* All or nothing; `ret` has room for count numbers. What the owner has already is kept. The error
 * is without the text of its errno. */
int ports_reserve(struct netd *n, const char *owner, const struct port_request *requests,
                  size_t count, uint16_t *ret, struct err *e);
void ports_release(struct netd *n, const char *owner, uint8_t proto, uint16_t number);
void ports_release_all(struct netd *n, const char *owner);
void ports_sweep(struct netd *n);
void ports_done(struct netd *n);
size_t ports_count(const struct netd *n);

/* relay.c: a connection has arrived at a socket. */
void relay_accept(struct netd *n, struct watch *w, unsigned events);
/* flow.c: a datagram has. */
void flow_receive(struct netd *n, struct watch *w, unsigned events);
int flow_prepare(int fd, int family);
void flows_close(struct netd *n, struct port_socket *ps);
