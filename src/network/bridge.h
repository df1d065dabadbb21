/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Linux bridges as networks of containers. Each call is one or a few netlink requests, well under a
 * millisecond. `nl` is nl_open(NETLINK_ROUTE) of the host's network namespace. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "network/addr.h"

#define BRIDGE_PORTS_MAX 1023 /* BR_MAX_PORTS - 1 of the kernel */

struct bridge_config {
    const char *name;
    const struct cidr *addresses; /* the bridge's own, of both families; may be none */
    size_t count;
    int64_t mtu; /* 0: 1500 */
    bool ipv6;   /* off: the bridge has no IPv6 at all (no link-local address either) */
};
/* Makes it (with a MAC address that stays), or takes one over that is there and sets what it lacks:
 * addresses, an MTU that is given; it keeps what else it has. Raises the bridge's multicast limit
 * and the host's neighbour tables to what a thousand containers need. ERR_INVALID "existing
 * interface X is not a bridge"; ERR_SYSTEM. */
int bridge_make(int nl, const struct bridge_config *c, struct err *e);
/* A missing one is success; -EINVAL for an interface that is no bridge. */
int bridge_remove(int nl, const char *name);
/* Forwarding for the families that are asked for, sysctls of the host; interfaces that listen to
 * router advertisements go on doing so (accept_ra 2). -errno. */
int bridge_forwarding(bool ipv4, bool ipv6);
/* Gives every name of an interface that is a bridge and starts with `prefix` to `each`. -errno. */
int bridge_list(const char *prefix, void (*each)(void *arg, const char *name), void *arg);
