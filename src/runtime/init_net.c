/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process' side of the network, and sysctls. Kernel files are reached through b->proc, a
 * proc file system that the image cannot have prepared.
 */
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>

#include "base/alloc.h"
#include "runtime/idmap.h"
#include "runtime/net_config.h"
#include "runtime/setup.h"
#include "sys/link.h"
#include "sys/netlink.h"

#define PORT_OPENS_MS 5 /* it does while other things are done; a start is not held up for it */
#define LO_INDEX      1 /* the loopback interface of every network namespace */

int init_net_lo(struct init *b, struct err *e) {
    if (!(b->s->new_ns & CLONE_NEWNET))
        return 0;
    auto_fd nl = nl_open(NETLINK_ROUTE);
    int r = nl < 0 ? nl : link_set_up(nl, LO_INDEX);
    return r < 0 ? err_sys(e, r, "failed to set up the loopback interface") : 0;
}

static const struct rt_interface *interface_at(const struct init *b, size_t n) {
    return field_array_at(&b->s->request.net.interfaces, struct rt_interface, n);
}

int init_net_interfaces(struct init *b, struct err *e) {
    size_t count = b->s->request.net.interfaces.count;
    bool ipv6 = false;
    if (!(b->s->new_ns & CLONE_NEWNET))
        return 0;
    for (size_t n = 0; n < count; n++)
        ipv6 = ipv6 || net_has_ipv6(interface_at(b, n));
    /* As Docker's network sandbox: none at all when nothing has an address of it. */
    (void)net_sysctl_write(b->proc, "net/ipv6/conf/all/disable_ipv6",
                           ipv6 ? "0" : "1"); /* a kernel without IPv6: fine */
    if (!count)
        return 0;
    auto_fd nl = nl_open(NETLINK_ROUTE);
    int r = nl < 0 ? err_sys(e, nl, "failed to open a netlink socket") : 0;
    for (size_t n = 0; r >= 0 && n < count; n++) {
        char name[IFNAMSIZ];
        r = net_configure(nl, b->proc, interface_at(b, n), ipv6, setup_net_made_as(b->s, n, name),
                          e);
    }
    for (size_t n = 0; r >= 0 && n < count; n++)
        r = net_own_gateways(nl, interface_at(b, n), e);
    return r;
}

void init_net_announce(struct init *b) {
    size_t count = b->s->request.net.interfaces.count;
    auto_fd nl = count ? nl_open(NETLINK_ROUTE) : -1;
    for (size_t n = 0; nl >= 0 && n < count; n++)
        net_announce(nl, b->s->host_nl, interface_at(b, n), PORT_OPENS_MS);
}

static void default_sysctls(struct init *b) {
    if (!(b->s->new_ns & CLONE_NEWNET))
        return;
    const struct oci_spec *spec = &b->s->request.spec;
    char range[32];
    snprintf(range, sizeof(range), "0 %u", idmap_top(&spec->lin.gid_mappings));
    /* As Docker since 20.10: ping and low ports need no capability. Best effort: a kernel without
     * them behaves as ever. */
    (void)net_sysctl_write(b->proc, "net/ipv4/ping_group_range", range);
    (void)net_sysctl_write(b->proc, "net/ipv4/ip_unprivileged_port_start", "0");
}

int init_sysctls(struct init *b, struct err *e) {
    default_sysctls(b);
    strmap_for_each(entry, &b->s->request.spec.lin.sysctl) {
        auto_free char *path = net_sysctl_path(entry->key);
        int r = net_sysctl_write(b->proc, path, entry->value);
        if (r < 0)
            return err_sys(e, r, "open /proc/sys/%s", path);
    }
    return 0;
}
