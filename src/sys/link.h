/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Network interfaces, addresses and routes over rtnetlink. `nl` is nl_open(NETLINK_ROUTE) and names
 * the network namespace by where it was opened. -errno. */
#include <stdint.h>
#include <sys/types.h>

#include <net/if.h>

struct link_veth {
    const char *name;         /* here; is set up */
    const char *peer_name;    /* in peer_pid's network namespace, down */
    pid_t peer_pid;           /* or 0: here */
    unsigned master;          /* index of a bridge, or 0 */
    unsigned mtu;             /* both ends; 0: the kernel's choice */
    const unsigned char *mac; /* of the peer, 6 bytes, or NULL */
};

/* -ENODEV when there is none. */
int link_index(const char *name, unsigned *ret);
/* 1: a bridge; 0: some other interface. -ENODEV when there is none. */
int link_is_bridge(const char *name);
/* One request: the pair, the peer's namespace, the master. */
int link_add_veth(int nl, const struct link_veth *v);
int link_del(int nl, const char *name);
int link_set_up(int nl, unsigned index);
/* Lets a bridge send a frame back through the port it came from (a container that connects to its
 * own published port). */
int link_set_hairpin(int nl, unsigned index);
/* address: "172.17.0.2/16" or "fd00::2/64". No duplicate detection for IPv6. */
int link_add_address(int nl, unsigned index, const char *address);
/* gateway: "172.17.0.1" or an IPv6 address; the default route. */
int link_add_default_route(int nl, unsigned index, const char *gateway);
/* "02:42:ac:11:00:02". -EINVAL. */
int mac_parse(const char *s, unsigned char out[static 6]);
