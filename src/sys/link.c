/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "sys/netlink.h"

int link_index(const char *name, unsigned *ret) {
    struct ifreq req = {0};
    if (strlen(name) >= sizeof(req.ifr_name))
        return -ENODEV;
    memcpy(req.ifr_name, name, strlen(name) + 1);
    auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &req) < 0)
        return -errno;
    *ret = (unsigned)req.ifr_ifindex;
    return 0;
}

int link_is_bridge(const char *name) {
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq req = {.ifr_data = (char *)&info};
    if (strlen(name) >= sizeof(req.ifr_name))
        return -ENODEV;
    memcpy(req.ifr_name, name, strlen(name) + 1);
    auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (ioctl(fd, SIOCETHTOOL, &req) < 0)
        return errno == EOPNOTSUPP ? 0 : -errno; /* loopback has no driver to tell of */
    return str_eq(info.driver, "bridge");
}

static void put_namespace(struct nl_msg *m, pid_t pid, int ns) {
    if (pid)
        nl_put_u32(m, IFLA_NET_NS_PID, (uint32_t)pid);
    else if (ns > 0)
        nl_put_u32(m, IFLA_NET_NS_FD, (uint32_t)ns);
}

int link_add_veth(int nl, const struct link_veth *v) {
    struct nl_msg m;
    nl_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, v->name);
    if (v->mtu)
        nl_put_u32(&m, IFLA_MTU, v->mtu);
    if (v->master)
        nl_put_u32(&m, IFLA_MASTER, v->master);
    size_t link = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "veth");
    size_t data = nl_nest(&m, IFLA_INFO_DATA);
    size_t peer = nl_nest(&m, VETH_INFO_PEER);
    /* The peer cannot be set up in the same request: its other end does not exist yet. */
    struct ifinfomsg peer_info = {0};
    nl_put_raw(&m, &peer_info, sizeof(peer_info));
    nl_put_str(&m, IFLA_IFNAME, v->peer_name);
    if (v->mtu)
        nl_put_u32(&m, IFLA_MTU, v->mtu);
    if (v->mac)
        nl_put(&m, IFLA_ADDRESS, v->mac, 6);
    put_namespace(&m, v->peer_pid, v->peer_ns);
    nl_nest_end(&m, peer);
    nl_nest_end(&m, data);
    nl_nest_end(&m, link);
    return nl_talk(nl, &m);
}

static const struct {
    const char *kind, *mode;
    uint32_t value;
} child_modes[] = {
    {"macvlan", "bridge", MACVLAN_MODE_BRIDGE}, {"macvlan", "private", MACVLAN_MODE_PRIVATE},
    {"macvlan", "vepa", MACVLAN_MODE_VEPA},     {"macvlan", "passthru", MACVLAN_MODE_PASSTHRU},
    {"ipvlan", "l2", IPVLAN_MODE_L2},           {"ipvlan", "l3", IPVLAN_MODE_L3},
    {"ipvlan", "l3s", IPVLAN_MODE_L3S},
};

/* -1: none. The first one of a kind is its default. */
static int find_mode(const char *kind, const char *mode) {
    for (size_t i = 0; i < sizeof(child_modes) / sizeof(child_modes[0]); i++)
        if (str_eq(child_modes[i].kind, kind) && (!mode || str_eq(child_modes[i].mode, mode)))
            return (int)i;
    return -1;
}

int link_add_child(int nl, const struct link_child *c) {
    int mode = find_mode(c->kind, c->mode);
    if (mode < 0)
        return -EINVAL;
    struct nl_msg m;
    nl_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg info = {0};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, c->name);
    nl_put_u32(&m, IFLA_LINK, c->parent);
    if (c->mtu)
        nl_put_u32(&m, IFLA_MTU, c->mtu);
    if (c->mac)
        nl_put(&m, IFLA_ADDRESS, c->mac, 6);
    put_namespace(&m, c->pid, c->ns);
    size_t link = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, c->kind);
    size_t data = nl_nest(&m, IFLA_INFO_DATA);
    if (str_eq(c->kind, "macvlan")) {
        nl_put_u32(&m, IFLA_MACVLAN_MODE, child_modes[mode].value);
    } else {
        uint16_t value = (uint16_t)child_modes[mode].value;
        nl_put(&m, IFLA_IPVLAN_MODE, &value, sizeof(value));
    }
    nl_nest_end(&m, data);
    nl_nest_end(&m, link);
    return nl_talk(nl, &m);
}

int link_add_vlan(int nl, const char *name, const char *parent, unsigned id) {
    unsigned index;
    int r = link_index(parent, &index);
    if (r < 0)
        return r;
    struct nl_msg m;
    nl_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, name);
    nl_put_u32(&m, IFLA_LINK, index);
    size_t link = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "vlan");
    size_t data = nl_nest(&m, IFLA_INFO_DATA);
    uint16_t value = (uint16_t)id;
    nl_put(&m, IFLA_VLAN_ID, &value, sizeof(value));
    nl_nest_end(&m, data);
    nl_nest_end(&m, link);
    return id < 1 || id > 4094 ? -EINVAL : nl_talk(nl, &m);
}

int link_add_dummy(int nl, const char *name) {
    struct nl_msg m;
    nl_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, name);
    size_t link = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "dummy");
    nl_nest_end(&m, link);
    return nl_talk(nl, &m);
}

int link_del(int nl, const char *name) {
    struct nl_msg m;
    nl_init(&m, RTM_DELLINK, 0);
    struct ifinfomsg info = {0};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, name);
    return nl_talk(nl, &m);
}

int link_set_up(int nl, unsigned index) {
    struct nl_msg m;
    nl_init(&m, RTM_NEWLINK, 0);
    struct ifinfomsg info = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    nl_put_raw(&m, &info, sizeof(info));
    return nl_talk(nl, &m);
}

int link_rename(int nl, unsigned index, const char *name) {
    struct nl_msg m;
    nl_init(&m, RTM_NEWLINK, 0);
    struct ifinfomsg info = {.ifi_index = (int)index};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, name);
    return nl_talk(nl, &m);
}

int link_wait_running(int nl, const char *name, int timeout_ms) {
    const struct timespec pause = {.tv_nsec = 100 * 1000};
    struct ifreq req = {0};
    struct nl_msg m;
    if (strlen(name) >= sizeof(req.ifr_name))
        return -ENODEV;
    memcpy(req.ifr_name, name, strlen(name) + 1);
    /* The kernel tells of a carrier in the background; one that is asked about (since Linux 6.8)
     * at once. */
    nl_init(&m, RTM_GETLINK, 0);
    struct ifinfomsg info = {0};
    nl_put_raw(&m, &info, sizeof(info));
    nl_put_str(&m, IFLA_IFNAME, name);
    nl_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS); /* of no interest, and long */
    int r = nl_talk(nl, &m);
    for (int left = timeout_ms * 10; r >= 0; left--) {
        if (ioctl(nl, SIOCGIFFLAGS, &req) < 0) /* any socket of the namespace does */
            return -errno;
        if (req.ifr_flags & IFF_RUNNING)
            return 0;
        if (left <= 0)
            return -ETIMEDOUT;
        (void)nanosleep(&pause, NULL); /* interrupted: asks earlier */
    }
    return r;
}

/* One of the interface's IPv4 settings: the sysctl of the same name, without a file. */
static void put_arp_notify(struct nl_msg *m, uint32_t on) {
    size_t spec = nl_nest(m, IFLA_AF_SPEC);
    size_t inet = nl_nest(m, AF_INET);
    size_t conf = nl_nest(m, IFLA_INET_CONF);
    nl_put_u32(m, IPV4_DEVCONF_ARP_NOTIFY, on);
    nl_nest_end(m, conf);
    nl_nest_end(m, inet);
    nl_nest_end(m, spec);
}

int link_set_arp_notify(int nl, unsigned index, bool on) {
    struct nl_msg m;
    nl_init(&m, RTM_SETLINK, 0);
    struct ifinfomsg info = {.ifi_index = (int)index};
    nl_put_raw(&m, &info, sizeof(info));
    put_arp_notify(&m, on);
    return nl_talk(nl, &m);
}

int link_announce(int nl, unsigned index, const char *name) {
    struct ifreq req = {0};
    if (strlen(name) >= sizeof(req.ifr_name))
        return -ENODEV;
    memcpy(req.ifr_name, name, strlen(name) + 1);
    auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &req) < 0)
        return -errno;
    int r = link_set_arp_notify(nl, index, true);
    if (r < 0)
        return r;
    struct nl_msg m;
    struct ifinfomsg info = {.ifi_index = (int)index};
    /* An address that is set, be it the same one, is a new one to the protocols: they announce it.
     * The kernel comes to the setting, which is off again, after that. */
    nl_init(&m, RTM_SETLINK, 0);
    nl_put_raw(&m, &info, sizeof(info));
    nl_put(&m, IFLA_ADDRESS, req.ifr_hwaddr.sa_data, 6);
    put_arp_notify(&m, 0);
    return nl_talk(nl, &m);
}

int link_set_hairpin(int nl, unsigned index) {
    struct nl_msg m;
    nl_init(&m, RTM_SETLINK, 0);
    struct ifinfomsg info = {.ifi_family = AF_BRIDGE, .ifi_index = (int)index};
    nl_put_raw(&m, &info, sizeof(info));
    size_t port = nl_nest(&m, IFLA_PROTINFO | NLA_F_NESTED);
    nl_put_u8(&m, IFLA_BRPORT_MODE, 1);
    nl_nest_end(&m, port);
    return nl_talk(nl, &m);
}

struct ip {
    unsigned char family, len;
    unsigned char bytes[16];
};

static int ip_parse(const char *s, struct ip *ret) {
    if (inet_pton(AF_INET, s, ret->bytes) == 1) {
        ret->family = AF_INET;
        ret->len = 4;
    } else if (inet_pton(AF_INET6, s, ret->bytes) == 1) {
        ret->family = AF_INET6;
        ret->len = 16;
    } else {
        return -EINVAL;
    }
    return 0;
}

int link_add_address(int nl, unsigned index, const char *address) {
    char text[64];
    const char *slash = strchr(address, '/');
    if (!slash || (size_t)(slash - address) >= sizeof(text))
        return -EINVAL;
    memcpy(text, address, (size_t)(slash - address));
    text[slash - address] = '\0';
    struct ip ip;
    uint64_t prefix;
    int r = ip_parse(text, &ip);
    if (r < 0)
        return r;
    if (str_to_u64(slash + 1, &prefix) < 0 || prefix > ip.len * 8u)
        return -EINVAL;

    struct nl_msg m;
    nl_init(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg info = {
        .ifa_family = ip.family, .ifa_prefixlen = (uint8_t)prefix, .ifa_index = index};
    if (ip.family == AF_INET6)
        info.ifa_flags = IFA_F_NODAD;
    nl_put_raw(&m, &info, sizeof(info));
    nl_put(&m, IFA_LOCAL, ip.bytes, ip.len);
    nl_put(&m, IFA_ADDRESS, ip.bytes, ip.len);
    if (ip.family == AF_INET && prefix < 31) {
        uint32_t net;
        memcpy(&net, ip.bytes, 4);
        uint32_t broadcast = net | htonl(prefix ? 0xffffffffu >> prefix : 0xffffffffu);
        nl_put(&m, IFA_BROADCAST, &broadcast, 4);
    }
    return nl_talk(nl, &m);
}

int mac_parse(const char *s, unsigned char out[static 6]) {
    unsigned char mac[6];
    for (int i = 0; i < 6; i++) {
        int v = 0;
        for (int k = 0; k < 2; k++) {
            char c = *s++;
            int d = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
            if (d < 0)
                return -EINVAL;
            v = v * 16 + d;
        }
        mac[i] = (unsigned char)v;
        if (*s++ != (i == 5 ? '\0' : ':'))
            return -EINVAL;
    }
    memcpy(out, mac, 6);
    return 0;
}
