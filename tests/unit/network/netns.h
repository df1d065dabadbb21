/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small internet in network namespaces, for tests of the firewall: a host with two bridges, a
 * neighbour in its LAN, containers. One process plays all of them: a socket belongs to the
 * namespace in which it was made.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "network/addr.h"

struct ip ip_of(const char *s);
struct cidr cidr_of(const char *s);

/* The calling process moves to a new namespace (the host's) and returns its descriptor. */
int ns_host(void);
/* Another one; the process stays where it is. */
int ns_new(void);
/* Moves; aborts the test when it cannot. */
void ns_enter(int ns);
void sysctl_put(const char *path, const char *value);

/* A veth pair from the host to `ns`, where it is eth0 with that MAC address. Host's side: a port of
 * `bridge`, or with the addresses host4 and host6. Default routes by the gateways. */
struct plug {
    const char *host_if, *bridge, *host4, *host6;
    const char *ip4, *ip6, *gateway4, *gateway6; /* inside: "172.30.0.2/24" */
    unsigned char mac[6];
};
void ns_plug(int host, int ns, const struct plug *p);
void ns_address(int ns, const char *name, const char *address);

/* How long a connection or a datagram is waited for. */
extern int ns_wait_ms;
#define NS_SHORT_MS   150 /* for what must not arrive */
#define NS_PATIENT_MS 5000

/* Listens in `ns`; proto IPPROTO_TCP or IPPROTO_UDP. */
int server(int ns, const char *ip, uint16_t port, int proto);
/* Connects from `ns` (a UDP client sends one datagram). True when it gets to `srv`, with the
 * address that the server sees as the client's. *ret_fd, *ret_conn: the ends, or closed when NULL.
 */
bool reaches(int ns, const char *ip, uint16_t port, int srv, char peer[static IP_TEXT_MAX],
             int *ret_fd, int *ret_conn);
/* From a source address. */
bool reaches_from(int ns, const char *source, const char *ip, uint16_t port, int srv,
                  char peer[static IP_TEXT_MAX], int *ret_fd, int *ret_conn);
