/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process' side of the network, and sysctls. Kernel files are reached through b->proc, a
 * proc file system that the image cannot have prepared.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "runtime/setup.h"
#include "sys/link.h"
#include "sys/netlink.h"
#include "sys/path.h"

#define LO_INDEX 1 /* the loopback interface of every network namespace */

/* path: below /proc/sys. */
static int write_sysctl(struct init *b, const char *path, const char *value) {
    auto_free char *file = xasprintf("sys/%s", path);
    if (strstr(file, "/../") || str_ends(file, "/.."))
        return -EINVAL; /* what has been checked is the beginning */
    auto_fd fd =
        path_open_in_how(b->proc, file, O_WRONLY, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    return fd < 0 ? fd : io_write_all(fd, value, strlen(value));
}

int init_net_lo(struct init *b, struct err *e) {
    if (!(b->s->new_ns & CLONE_NEWNET))
        return 0;
    auto_fd nl = nl_open(NETLINK_ROUTE);
    int r = nl < 0 ? nl : link_set_up(nl, LO_INDEX);
    return r < 0 ? err_sys(e, r, "failed to set up the loopback interface") : 0;
}

/* As Docker's network sandbox: an endpoint without an IPv6 address has no IPv6 at all. */
static void choose_ipv6(struct init *b, bool on) {
    (void)write_sysctl(b, "net/ipv6/conf/all/disable_ipv6", on ? "0" : "1"); /* no IPv6: fine */
}

int init_net_interface(struct init *b, struct err *e) {
    const struct rt_net *net = &b->s->request.net;
    if (!(b->s->new_ns & CLONE_NEWNET))
        return 0;
    choose_ipv6(b, !str_empty(net->address6));
    if (!str_eq(net->mode, "bridge"))
        return 0;
    unsigned index;
    int r = link_index(net->name, &index);
    auto_fd nl = r < 0 ? r : nl_open(NETLINK_ROUTE);
    if (nl < 0)
        return err_sys(e, nl, "failed to find interface %s", net->name);
    if (!str_empty(net->address)) {
        r = link_add_address(nl, index, net->address);
        if (r < 0)
            return err_sys(e, r, "failed to set address %s", net->address);
    }
    if (!str_empty(net->address6)) {
        r = link_add_address(nl, index, net->address6);
        if (r < 0)
            return err_sys(e, r, "failed to set address %s", net->address6);
    }
    r = link_set_up(nl, index);
    if (r < 0)
        return err_sys(e, r, "failed to set up interface %s", net->name);
    const char *gateways[] = {net->gateway, net->gateway6};
    for (size_t i = 0; i < 2; i++) {
        if (str_empty(gateways[i]))
            continue;
        r = link_add_default_route(nl, index, gateways[i]);
        if (r < 0)
            return err_sys(e, r, "failed to set gateway %s", gateways[i]);
    }
    return 0;
}

/* "net.ipv4.ip_forward" or with slashes; an interface's name may hold dots in the second form. */
static char *sysctl_path(const char *key) {
    char *path = xstrdup(key);
    const char *separator = strpbrk(key, "./");
    if (separator && *separator == '.')
        for (char *p = path; *p; p++)
            *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
    return path;
}

static void default_sysctls(struct init *b) {
    if (!(b->s->new_ns & CLONE_NEWNET))
        return;
    const struct oci_spec *spec = &b->s->request.spec;
    char range[32];
    snprintf(range, sizeof(range), "0 %u", idmap_top(&spec->lin.gid_mappings));
    /* As Docker since 20.10: ping and low ports need no capability. Best effort: a kernel without
     * them behaves as ever. */
    (void)write_sysctl(b, "net/ipv4/ping_group_range", range);
    (void)write_sysctl(b, "net/ipv4/ip_unprivileged_port_start", "0");
}

int init_sysctls(struct init *b, struct err *e) {
    default_sysctls(b);
    strmap_for_each(entry, &b->s->request.spec.lin.sysctl) {
        auto_free char *path = sysctl_path(entry->key);
        int r = write_sysctl(b, path, entry->value);
        if (r < 0)
            return err_sys(e, r, "open /proc/sys/%s", path);
    }
    return 0;
}
