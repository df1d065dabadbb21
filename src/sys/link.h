/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Network interfaces, addresses and routes over rtnetlink. `nl` is nl_open(NETLINK_ROUTE) and names
 * the network namespace by where it was opened. -errno. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <net/if.h>

struct link_veth {
    const char *name;         /* here; is set up */
    const char *peer_name;    /* in the peer's network namespace, down */
    pid_t peer_pid;           /* whose namespace that is; 0: peer_ns */
    int peer_ns;              /* without peer_pid: the file of a namespace; 0: here */
    unsigned master;          /* index of a bridge, or 0 */
    unsigned mtu;             /* both ends; 0: the kernel's choice */
    const unsigned char *mac; /* of the peer, 6 bytes, or NULL */
};

/* A macvlan or ipvlan, which is made down and in another network namespace. */
struct link_child {
    const char *kind; /* "macvlan", "ipvlan" */
    const char *mode; /* as ip-link names it, or NULL: bridge, l2 */
    const char *name; /* must be free in this namespace as well, before Linux 6.13 */
    unsigned parent;  /* index, here */
    pid_t pid;        /* as peer_pid and peer_ns */
    int ns;
    unsigned mtu;             /* 0: the parent's */
    const unsigned char *mac; /* 6 bytes, or NULL; not for an ipvlan */
};

/* -ENODEV when there is none. */
int link_index(const char *name, unsigned *ret);
/* 1: a bridge; 0: some other interface. -ENODEV when there is none. */
int link_is_bridge(const char *name);
/* One request: the pair, the peer's namespace, the master. */
int link_add_veth(int nl, const struct link_veth *v);
/* -EOPNOTSUPP: the kernel has no such driver (also of the two below). -EINVAL: no such mode. */
int link_add_child(int nl, const struct link_child *c);
/* "eth0.100" of "eth0", up. -ENODEV: no such parent. */
int link_add_vlan(int nl, const char *name, const char *parent, unsigned id);
/* An interface that leads nowhere, up. */
int link_add_dummy(int nl, const char *name);
int link_del(int nl, const char *name);
int link_set_up(int nl, unsigned index);
/* Of an interface that is down. */
int link_rename(int nl, unsigned index, const char *name);
/* The sysctl arp_notify: whether the kernel tells neighbours of IPv4 addresses when the interface
 * is set up. */
int link_set_arp_notify(int nl, unsigned index, bool on);
/* Tells its neighbours of the IPv4 addresses that it has, with its MAC address (a gratuitous ARP
 * request for each), and of IPv6 ones if the sysctl ndisc_notify says so. It must be up, and have a
 * MAC address of its own. */
int link_announce(int nl, unsigned index, const char *name);
/* Waits until the interface has a carrier and the kernel has told everybody concerned, a bridge
 * that it is a port of for one. -ETIMEDOUT. */
int link_wait_running(int nl, const char *name, int timeout_ms);
/* Lets a bridge send a frame back through the port it came from (a container that connects to its
 * own published port). */
int link_set_hairpin(int nl, unsigned index);
/* address: "172.17.0.2/16" or "fd00::2/64". No duplicate detection for IPv6. */
int link_add_address(int nl, unsigned index, const char *address);
/* "02:42:ac:11:00:02". -EINVAL. */
int mac_parse(const char *s, unsigned char out[static 6]);
