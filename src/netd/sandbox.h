/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What asks for names: a container's network namespace with the resolver 127.0.0.11 in it. */
#include <sys/socket.h>

#include "netd/netd.h"

#define SANDBOX_SPARE 4 /* sockets in the namespace that are ready for the next queries */

struct sandbox_server {
    struct netd_addr addr;
    uint16_t port;
};

struct sandbox {
    struct netd *netd;
    char *id;
    char **networks, **links;
    struct sandbox_server servers[NETD_SERVERS_MAX];
    int64_t server_down_ms[NETD_SERVERS_MAX]; /* when it last was silent; 0: it answers */
    size_t server_count;
    bool internal;
    unsigned generation;

    /* While it has a namespace. */
    int netns;
    struct watch init;     /* a pidfd: readable at its end */
    struct watch udp, tcp; /* on 127.0.0.11 */
    int redirect;          /* holds the table that leads port 53 to them, or -1 */
    int spare[SANDBOX_SPARE];

    struct list queries; /* forward.c: in flight */
    unsigned query_count;
    struct list clients; /* dns_server.c: by TCP */
    unsigned client_count;
};

/* Of a NETD_SANDBOX_PUT: takes the lists; an existing namespace stays. */
struct sandbox_put {
    const char *id;
    char **networks, **links, **servers;
    bool internal;
};
struct sandbox *sandbox_put(struct netd *n, struct sandbox_put *p);
void sandbox_del(struct netd *n, const char *id);
void sandboxes_sweep(struct netd *n);
void sandboxes_done(struct netd *n);

/* The namespace that the container has from now on. Takes both descriptors; pidfd may be -1. When
 * it is the one that it has already, nothing changes. -errno with *what: what failed. */
int sandbox_attach(struct sandbox *s, int netns, int pidfd, const char **what);
/* The namespace of a running container. Takes pidfd. */
int sandbox_attach_running(struct sandbox *s, int pidfd, const char **what);
bool sandbox_is_attached(const struct sandbox *s);

/* A non-blocking socket in its namespace. -errno. */
int sandbox_socket(struct sandbox *s, int family, int type);

/* redirect.c: inside a namespace, a table that leads 127.0.0.11:53 to these ports there. A
 * descriptor that keeps it, or -errno. */
int redirect_make(uint16_t udp_port, uint16_t tcp_port);

/* "10.0.0.1", "10.0.0.1#5353", "fd00::1". -EINVAL. */
int sandbox_server_parse(const char *s, struct sandbox_server *ret);
/* As a socket address; its length. */
unsigned netd_sockaddr(const struct netd_addr *a, uint16_t port, struct sockaddr_storage *out);
