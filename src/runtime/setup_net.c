/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of a container's interfaces. Of a veth, one request makes the pair, with the peer
 * in the container's namespace and this end at the bridge. */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/setup.h"
#include "sys/link.h"
#include "sys/netlink.h"

const char *setup_net_made_as(const struct setup *s, size_t n, char out[static IFNAMSIZ]) {
    const struct rt_interface *i =
        field_array_at(&s->request.net.interfaces, struct rt_interface, n);
    if (str_eq(i->kind, "veth"))
        return str_or_empty(i->name);
    /* Before Linux 6.13 the name must be free on the host as well: no other set-up process makes
     * this one. */
    snprintf(out, IFNAMSIZ, "fm%x.%x", (unsigned)s->maker, (unsigned)n & 0xfff);
    return out;
}

/* ---- veth ------------------------------------------------------------------------------------ */

static int find_bridge(const struct rt_interface *i, unsigned *ret, struct err *e) {
    *ret = 0;
    if (str_empty(i->bridge))
        return 0;
    int r = link_index(i->bridge, ret);
    return r < 0 ? err_sys(e, r, "failed to find bridge %s", i->bridge) : 0;
}

static int veth_error(const struct rt_interface *i, int r, struct err *e) {
    if (r == -EXFULL)
        return err_set(e, ERR_SYSTEM, "bridge %s is full: a bridge takes at most 1023 containers",
                       i->bridge);
    if (r == -EEXIST)
        return err_set(e, ERR_CONFLICT, "the container has an interface %s already", i->name);
    return err_sys(e, r, "failed to add interface %s to bridge %s", i->host_if,
                   str_or_empty(i->bridge));
}

static int make_veth(struct setup *s, int nl, const struct rt_interface *i, unsigned char *mac,
                     struct err *e) {
    struct link_veth veth = {.name = str_or_empty(i->host_if),
                             .peer_name = str_or_empty(i->name),
                             .peer_pid = s->net_ns >= 0 ? 0 : s->pid,
                             .peer_ns = s->net_ns,
                             .mtu = i->mtu > 0 ? (unsigned)i->mtu : 0,
                             .mac = mac};
    int r = find_bridge(i, &veth.master, e);
    if (r < 0)
        return r;
    r = link_add_veth(nl, &veth);
    if (r == -EEXIST && link_del(nl, veth.name) >= 0) {
        /* The name was this container's own: left by an earlier start whose namespace is still
         * being destroyed, or by a set-up process that was killed. */
        r = link_add_veth(nl, &veth);
    }
    if (r < 0)
        return veth_error(i, r, e);
    strv_add(&s->host_ifs, veth.name);
    unsigned index;
    r = veth.master ? link_index(veth.name, &index) : 0;
    if (r >= 0 && veth.master)
        r = link_set_hairpin(nl, index);
    return r < 0 ? err_sys(e, r, "failed to set up bridge port %s", veth.name) : 0;
}

/* ---- macvlan and ipvlan ---------------------------------------------------------------------- */

static int child_error(const struct rt_interface *i, int r, struct err *e) {
    if (r == -EOPNOTSUPP)
        return err_set(
            e, ERR_NOT_IMPLEMENTED,
            "this kernel has no %s driver (%s): networks of the driver %s need one; load "
            "the module %s or use a kernel that has it",
            i->kind, str_eq(i->kind, "macvlan") ? "CONFIG_MACVLAN" : "CONFIG_IPVLAN", i->kind,
            i->kind);
    return err_sys(e, r, "failed to create the %s port", i->kind); /* as Docker */
}

static int make_child(struct setup *s, int nl, const struct rt_interface *i, size_t n,
                      unsigned char *mac, struct err *e) {
    char name[IFNAMSIZ];
    struct link_child child = {.kind = i->kind,
                               .mode = str_empty(i->link_mode) ? NULL : i->link_mode,
                               .name = setup_net_made_as(s, n, name),
                               .pid = s->net_ns >= 0 ? 0 : s->pid,
                               .ns = s->net_ns,
                               .mtu = i->mtu > 0 ? (unsigned)i->mtu : 0,
                               .mac = str_eq(i->kind, "macvlan") ? mac : NULL};
    int r = link_index(str_or_empty(i->parent), &child.parent);
    if (r < 0)
        return err_sys(e, r, "error occurred looking up the %s parent iface %s", i->kind,
                       str_or_empty(i->parent));
    r = link_add_child(nl, &child);
    if (r == -EINVAL && child.mode)
        return err_set(e, ERR_INVALID, "the %s mode %s cannot be had on parent interface %s",
                       i->kind, child.mode, i->parent);
    return r < 0 ? child_error(i, r, e) : 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int make(struct setup *s, int nl, size_t n, struct err *e) {
    const struct rt_interface *i =
        field_array_at(&s->request.net.interfaces, struct rt_interface, n);
    unsigned char mac[6];
    bool has_mac = !str_empty(i->mac);
    if (str_empty(i->name))
        return err_set(e, ERR_INVALID, "an interface without a name");
    if (has_mac && mac_parse(i->mac, mac) < 0)
        return err_set(e, ERR_INVALID, "invalid MAC address: %s", i->mac);
    if (str_eq(i->kind, "veth"))
        return make_veth(s, nl, i, has_mac ? mac : NULL, e);
    if (str_eq(i->kind, "macvlan") || str_eq(i->kind, "ipvlan"))
        return make_child(s, nl, i, n, has_mac ? mac : NULL, e);
    return err_set(e, ERR_INVALID, "unknown kind of interface \"%s\"", str_or_empty(i->kind));
}

int setup_net_host(struct setup *s, struct err *e) {
    size_t count = s->request.net.interfaces.count;
    if (!count)
        return 0;
    if (s->net_ns < 0 && !(s->new_ns & CLONE_NEWNET))
        return err_set(e, ERR_INVALID,
                       "interfaces need a network namespace of the container's own");
    auto_fd nl = nl_open(NETLINK_ROUTE);
    int r = nl < 0 ? err_sys(e, nl, "failed to open a netlink socket") : 0;
    for (size_t n = 0; r >= 0 && n < count; n++)
        r = make(s, nl, n, e);
    return r;
}

void setup_net_undo(struct setup *s) {
    if (!s->host_ifs)
        return;
    auto_fd nl = nl_open(NETLINK_ROUTE);
    strv_for_each (name, s->host_ifs)
        if (nl >= 0)
            (void)link_del(nl, name); /* gone with its namespace: fine */
    s->host_ifs = strv_free(s->host_ifs);
}
