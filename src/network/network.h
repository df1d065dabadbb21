/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The default bridge: a Linux bridge, addresses for containers, and masquerading through an
 * nf_tables table of our own. Loop thread; calls that talk to the kernel take well under a
 * millisecond. The container's side of the veth pair is made by the runtime (runtime/net_setup.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* From dockerd's flags. Strings are owned by whoever fills this in. */
struct network_options {
    char *bridge;     /* "fence0"; "none" disables the default bridge */
    char *bip;        /* "172.17.0.1/16" */
    char *fixed_cidr; /* NULL: the whole subnet */
    char *gateway;    /* NULL: the bridge's own address */
    char *table;      /* nf_tables table, "fence" unless several daemons share a host */
    int64_t mtu;      /* 0: 1500 */
    bool ip_masq, icc, ip_forward;
};

/* Whether network_open can make sense of them. ERR_INVALID. */
int network_options_check(const struct network_options *o, struct err *e);

struct network;
/* Makes or takes over the bridge, writes the table, turns forwarding on. With bridge "none":
 * a network without bridge, whose network_attach fails. */
int network_open(const struct network_options *o, struct network **ret, struct err *e);
/* Forgets; the bridge stays for the containers that run on. */
void network_close(struct network *n);
/* When the daemon ends without containers: takes the rules away, which are for nobody then. The
 * bridge stays with its address, as Docker's: services and firewalls of the host refer to it. */
void network_withdraw(struct network *n);

struct network_endpoint {
    char *host_if; /* "veth" and 7 hex digits */
    char *mac;     /* "02:42:ac:11:00:02" */
    char *address; /* "172.17.0.2" */
    char *gateway; /* "172.17.0.1" */
    int prefix_len;
    int64_t mtu;
};
void network_endpoint_done(struct network_endpoint *ep);
/* Takes an address (and makes a MAC from it unless `mac` is given). ERR_SYSTEM in Docker's words
 * when the pool is exhausted; a bridge takes 1,023 ports. */
int network_attach(struct network *n, const char *mac, struct network_endpoint *ret, struct err *e);
/* Marks an endpoint of an adopted container as used. */
int network_adopt(struct network *n, const struct network_endpoint *ep, struct err *e);
/* Gives the address back. The pair goes with the container's network namespace; while it is still
 * there the address rests. */
void network_release(struct network *n, const struct network_endpoint *ep);

const char *network_bridge(const struct network *n);  /* NULL without */
const char *network_subnet(const struct network *n);  /* "172.17.0.0/16" */
const char *network_gateway(const struct network *n); /* "172.17.0.1" */
/* Repairs the table after somebody flushed it (true then); call when the kernel tells of a change.
 */
int network_fd(const struct network *n); /* notifications, -1 without */
bool network_on_event(struct network *n);
