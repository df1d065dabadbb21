/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of a container's interface: one request makes the pair, with the peer in the
 * container's namespace and this end at the bridge. */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/setup.h"
#include "sys/link.h"
#include "sys/netlink.h"

int setup_net_host(struct setup *s, struct err *e) {
    const struct rt_net *net = &s->request.net;
    if (!str_eq(net->mode, "bridge") || !(s->new_ns & CLONE_NEWNET))
        return 0;
    unsigned char mac[6];
    struct link_veth veth = {.name = str_or_empty(net->host_if),
                             .peer_name = str_or_empty(net->name),
                             .peer_pid = s->pid,
                             .mtu = net->mtu > 0 ? (unsigned)net->mtu : 0};
    if (!str_empty(net->mac)) {
        if (mac_parse(net->mac, mac) < 0)
            return err_set(e, ERR_INVALID, "invalid MAC address: %s", net->mac);
        veth.mac = mac;
    }
    int r = link_index(str_or_empty(net->bridge), &veth.master);
    if (r < 0)
        return err_sys(e, r, "failed to find bridge %s", str_or_empty(net->bridge));
    auto_fd nl = nl_open(NETLINK_ROUTE);
    if (nl < 0)
        return err_sys(e, nl, "failed to open a netlink socket");
    r = link_add_veth(nl, &veth);
    if (r == -EEXIST) {
        /* The name is this container's own: left by an earlier start whose namespace is still being
         * destroyed. */
        (void)link_del(nl, veth.name); /* gone meanwhile: fine */
        r = link_add_veth(nl, &veth);
    }
    if (r == -EXFULL)
        return err_set(e, ERR_SYSTEM, "bridge %s is full: a bridge takes at most 1023 containers",
                       net->bridge);
    if (r < 0)
        return err_sys(e, r, "failed to add interface %s to bridge %s", veth.name, net->bridge);
    s->host_if = xstrdup(veth.name);
    unsigned index;
    r = link_index(veth.name, &index);
    if (r >= 0)
        r = link_set_hairpin(nl, index);
    return r < 0 ? err_sys(e, r, "failed to set up bridge port %s", veth.name) : 0;
}
