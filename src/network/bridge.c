/* SPDX-License-Identifier: Apache-2.0 */
#include "network/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/io.h"
#include "base/str.h"
#include "sys/link.h"
#include "sys/netlink.h"

#define MTU_DEFAULT   1500
#define MCAST_MAX     16384 /* groups: each IPv6 address is one; beyond, snooping is turned off */
#define SYSCTL_MAX    256
#define CONF_DIR      "/proc/sys/net/ipv6/conf"
#define NEIGH_FORMAT  "/proc/sys/net/ipv%d/neigh/default/gc_thresh%d"
#define ACCEPT_RA_ALL 2 /* also while forwarding */

/* ---- sysctls --------------------------------------------------------------------------------- */
static int read_number(const char *path, int64_t *ret) {
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r < 0)
        return r;
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    return str_to_i64(buf_str(&text), ret);
}

static int set_number(const char *path, int64_t value) {
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value); /* fits */
    return io_write_existing_at(AT_FDCWD, path, text);
}

/* -ENOENT where the kernel has no IPv6. */
static int set_ipv6(const char *name, const char *key, int64_t value) {
    char path[SYSCTL_MAX];
    int n = snprintf(path, sizeof path, CONF_DIR "/%s/%s", name, key);

    return n < 0 || (size_t)n >= sizeof path ? -ENAMETOOLONG : set_number(path, value);
}

/* The tables of neighbours are the host's, for all its bridges together; 1,024 entries, the
 * kernel's own limit, are what one full bridge needs. They are settings of the first network
 * namespace only: elsewhere the files are not there. */
static void raise_neighbours(void) {
    static const int64_t WANTED[] = {8192, 16384, 32768};

    for (int version = 4; version <= 6; version += 2)
        for (int i = 3; i >= 1; i--) { /* the kernel does not mind the order, the table does */
            char path[SYSCTL_MAX];
            int64_t now;

            (void)snprintf(path, sizeof path, NEIGH_FORMAT, version, i); /* fits */
            if (read_number(path, &now) == 0 && now < WANTED[i - 1])
                (void)set_number(path, WANTED[i - 1]); /* a read-only /proc: as it was then */
        }
}

/* ---- one bridge ------------------------------------------------------------------------------ */
static int add_bridge(int nl, const struct bridge_config *c) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    unsigned char mac[6];
    struct nl_msg m;
    size_t nest;

    /* A bridge without an address of its own takes the lowest of its ports, another one with each
     * container: neighbours would lose it. */
    random_bytes(mac, sizeof mac);
    mac[0] = 0x02;
    mac[1] = 0x42;
    nl_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    nl_put_raw(&m, &info, sizeof info);
    nl_put_str(&m, IFLA_IFNAME, c->name);
    nl_put(&m, IFLA_ADDRESS, mac, sizeof mac);
    nl_put_u32(&m, IFLA_MTU, c->mtu > 0 ? (uint32_t)c->mtu : MTU_DEFAULT);
    nest = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "bridge");
    nl_nest_end(&m, nest);
    return nl_talk(nl, &m);
}

static int change_bridge(int nl, unsigned index, const struct bridge_config *c) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
    struct nl_msg m;

    if (c->mtu <= 0)
        return 0; /* nobody said, and a bridge that was there keeps what it has */
    nl_init(&m, RTM_NEWLINK, 0);
    nl_put_raw(&m, &info, sizeof info);
    nl_put_u32(&m, IFLA_MTU, (uint32_t)c->mtu);
    return nl_talk(nl, &m);
}

static void raise_multicast(int nl, unsigned index) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
    struct nl_msg m;
    size_t link, data;

    nl_init(&m, RTM_NEWLINK, 0);
    nl_put_raw(&m, &info, sizeof info);
    link = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "bridge");
    data = nl_nest(&m, IFLA_INFO_DATA);
    nl_put_u32(&m, IFLA_BR_MCAST_HASH_MAX, MCAST_MAX);
    nl_nest_end(&m, data);
    nl_nest_end(&m, link);
    (void)nl_talk(nl, &m); /* a kernel without IGMP snooping refuses, and floods anyway */
}

static int set_ipv6_of(const struct bridge_config *c, bool fresh, struct err *e) {
    int r;

    if (!c->ipv6) {
        /* A bridge of somebody else keeps the addresses that he gave it. */
        if (fresh)
            (void)set_ipv6(c->name, "disable_ipv6", 1); /* no IPv6 in the kernel: as wanted */
        return 0;
    }
    r = set_ipv6(c->name, "disable_ipv6", 0);
    if (r < 0)
        return err_sys(e, r, "cannot turn on IPv6 for the bridge %s", c->name);
    /* The bridge has its carrier with the first container. Until its link-local address had passed
     * the detection of duplicates, a second or two, nobody would be found behind it. */
    r = fresh ? set_ipv6(c->name, "accept_dad", 0) : 0;
    if (r < 0)
        return err_sys(e, r, "cannot turn off duplicate detection for the bridge %s", c->name);
    /* A container must not be able to make itself the host's router. */
    r = set_ipv6(c->name, "accept_ra", 0);
    if (r < 0)
        return err_sys(e, r, "cannot turn off router advertisements for the bridge %s", c->name);
    return 0;
}

int bridge_make(int nl, const struct bridge_config *c, struct err *e) {
    unsigned index = 0;
    bool fresh;
    int r;

    if (str_empty(c->name) || strlen(c->name) >= IFNAMSIZ)
        return err_set(e, ERR_INVALID, "the bridge name %s is too long: at most %d characters",
                       str_or_empty(c->name), IFNAMSIZ - 1);
    r = add_bridge(nl, c);
    if (r < 0 && r != -EEXIST)
        return err_sys(e, r, "cannot make the bridge %s", c->name);
    fresh = r == 0;
    /* Nobody wants the subnet on eth0. libnetwork's words. */
    if (!fresh && link_is_bridge(c->name) == 0)
        return err_set(e, ERR_INVALID, "existing interface %s is not a bridge", c->name);
    r = link_index(c->name, &index);
    if (r == 0 && !fresh)
        r = change_bridge(nl, index, c);
    if (r < 0) {
        r = err_sys(e, r, "cannot set up the bridge %s", c->name);
    } else {
        raise_multicast(nl, index);
        r = set_ipv6_of(c, fresh, e); /* before it is up: no link-local address appears */
    }
    for (size_t i = 0; i < c->count && r == 0; i++) {
        char text[CIDR_TEXT_MAX];
        int k = link_add_address(nl, index, cidr_text(&c->addresses[i], text));

        if (k < 0 && k != -EEXIST)
            r = err_sys(e, k, "cannot give the bridge %s the address %s", c->name, text);
    }
    if (r == 0) {
        int k = link_set_up(nl, index);

        if (k < 0)
            r = err_sys(e, k, "cannot set up the bridge %s", c->name);
    }
    if (r == 0)
        raise_neighbours();
    else if (fresh && index != 0)
        (void)link_del(nl, c->name); /* the first error is the one to tell */
    return r;
}

int bridge_remove(int nl, const char *name) {
    int is = link_is_bridge(name), r;

    if (is == -ENODEV)
        return 0;
    if (is < 0)
        return is;
    if (!is)
        return -EINVAL;
    r = link_del(nl, name);
    return r == -ENODEV ? 0 : r;
}

/* ---- the host -------------------------------------------------------------------------------- */
/* A host that forwards no longer listens to router advertisements, and would lose its own default
 * route; accept_ra 2 is how it goes on. */
static void keep_advertisements(void) {
    auto_dir *dir = NULL;
    auto_fd fd = open(CONF_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || io_open_dir(fd, &dir) < 0)
        return;
    for (struct dirent *d; (d = readdir(dir));) {
        char path[sizeof CONF_DIR + sizeof d->d_name + sizeof "/accept_ra"];
        int64_t now;

        /* "default" would have every bridge to come listen to its containers. */
        if (d->d_name[0] == '.' || str_eq(d->d_name, "all") || str_eq(d->d_name, "default"))
            continue;
        (void)snprintf(path, sizeof path, CONF_DIR "/%s/accept_ra", d->d_name); /* fits */
        if (read_number(path, &now) == 0 && now == 1)
            (void)set_number(path, ACCEPT_RA_ALL); /* it has gone, or the file is read-only */
    }
}

static int set_forwarding(const char *path) {
    int64_t now;
    int r = read_number(path, &now);

    return r < 0 || now > 0 ? r : set_number(path, 1);
}

int bridge_forwarding(bool ipv4, bool ipv6) {
    int r = 0;

    if (ipv4)
        r = set_forwarding("/proc/sys/net/ipv4/ip_forward");
    if (ipv6 && r == 0) {
        int64_t now = 0;

        if (read_number(CONF_DIR "/all/forwarding", &now) == 0 && now == 0)
            keep_advertisements();
        r = set_forwarding(CONF_DIR "/all/forwarding");
    }
    return r;
}

int bridge_list(const char *prefix, void (*each)(void *arg, const char *name), void *arg) {
    struct if_nameindex *all = if_nameindex();

    if (!all)
        return -errno;
    for (struct if_nameindex *i = all; i->if_index != 0; i++)
        if (str_starts(i->if_name, prefix) && link_is_bridge(i->if_name) == 1)
            each(arg, i->if_name);
    if_freenameindex(all);
    return 0;
}
