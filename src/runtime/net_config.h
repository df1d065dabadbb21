/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Interfaces from inside their network namespace: used by the container's first process at a start,
 * and by a helper of A that has entered the namespace when a running container is connected.
 * `nl`: nl_open(NETLINK_ROUTE) in there. `proc`: the root of a proc file system that no container
 * has prepared; below sys/net it shows what the namespace of the calling process has.
 */
#include <stdbool.h>

#include "base/err.h"
#include "runtime/request.h"
#include "sys/route.h"

/* path: below /proc/sys. -errno. */
int net_sysctl_write(int proc, const char *path, const char *value);
/* The path below /proc/sys of "net.ipv4.ip_forward", or of the same with slashes, where an
 * interface's name may hold dots. The caller's. */
char *net_sysctl_path(const char *key);

bool net_has_ipv6(const struct rt_interface *i);
/* Names the interface that A has made, configures it and sets it up; routes, but no default one.
 * made_as: its name until now. ns_has_ipv6: it has to be turned off for an interface without. */
int net_configure(int nl, int proc, const struct rt_interface *i, bool ns_has_ipv6,
                  const char *made_as, struct err *e);
/* The default routes that the interface itself wants. */
int net_own_gateways(int nl, const struct rt_interface *i, struct err *e);
/* Tells the neighbours at a bridge, who may know its addresses as those of another; best effort.
 * The bridge lets nothing through until it has seen that its port has a carrier: host_nl, a netlink
 * socket of the host's namespace, waits for that. Others are told when the interface is set up. */
void net_announce(int nl, int host_nl, const struct rt_interface *i, int patience_ms);

/* The default routes of a namespace: IPv4, IPv6. */
struct net_defaults {
    struct route route[2];
    bool set[2];
};
int net_defaults_read(int nl, struct net_defaults *ret, struct err *e);
/* What `wanted`, an array of struct rt_default, comes to. */
int net_defaults_plan(const struct field_array *wanted, struct net_defaults *ret, struct err *e);
/* Makes them hold instead of those in `now`. */
int net_defaults_apply(int nl, const struct net_defaults *now, const struct net_defaults *wanted,
                       struct err *e);
