/* SPDX-License-Identifier: Apache-2.0 */
#include "network/network.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "network/nft.h"
#include "sys/link.h"
#include "sys/netlink.h"

#define BRIDGE_PORTS_MAX 1023 /* BR_MAX_PORTS - 1 of the kernel's bridge */
#define MTU_DEFAULT      1500
#define MTU_MIN          68 /* RFC 791 */
#define MTU_MAX          65535

/* An address in use, or one whose interface has not quite gone yet. */
struct lease {
    char *host_if;
    bool released;
};

struct network {
    char *bridge, *table, *subnet_text, *gateway_text;
    int64_t mtu;
    int nl;
    struct nft *nft;
    struct nft_rules rules;
    uint32_t gateway, first, last, next; /* host byte order; first..last may be given out */
    int prefix_len;
    struct map leases; /* address text -> struct lease */
    size_t in_use;
};

static int parse_cidr(const char *s, uint32_t *ret_address, int *ret_prefix) {
    auto_free char *copy = xstrdup(s);
    char *slash = strchr(copy, '/');
    struct in_addr a;
    uint64_t prefix;

    if (!slash)
        return -EINVAL;
    *slash = '\0';
    if (inet_pton(AF_INET, copy, &a) != 1 || str_to_u64(slash + 1, &prefix) < 0 || prefix > 32)
        return -EINVAL;
    *ret_address = ntohl(a.s_addr);
    *ret_prefix = (int)prefix;
    return 0;
}

static uint32_t mask_of(int prefix) {
    return prefix == 0 ? 0 : ~UINT32_C(0) << (32 - prefix);
}

static char *address_text(uint32_t address) {
    struct in_addr a = {htonl(address)};
    char text[INET_ADDRSTRLEN];

    return xstrdup(inet_ntop(AF_INET, &a, text, sizeof text));
}

/* ---- the bridge ------------------------------------------------------------------------------ */
static int add_bridge(struct network *n) {
    struct ifinfomsg i = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct nl_msg m;
    size_t nest;

    nl_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
    nl_put_raw(&m, &i, sizeof i);
    nl_put_str(&m, IFLA_IFNAME, n->bridge);
    nl_put_u32(&m, IFLA_MTU, (uint32_t)n->mtu);
    nest = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "bridge");
    nl_nest_end(&m, nest);
    return nl_talk(n->nl, &m);
}

static bool bridge_has_address(const struct network *n) {
    struct ifaddrs *all = NULL;
    bool found = false;

    if (getifaddrs(&all) < 0)
        return false;
    for (struct ifaddrs *a = all; a && !found; a = a->ifa_next)
        found = a->ifa_addr && a->ifa_addr->sa_family == AF_INET &&
                str_eq(a->ifa_name, n->bridge) &&
                ((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr.s_addr == htonl(n->gateway);
    freeifaddrs(all);
    return found;
}

static int open_bridge(struct network *n, const char *bip, struct err *e) {
    unsigned index;
    int r = add_bridge(n);

    if (r < 0 && r != -EEXIST)
        return err_sys(e, r, "cannot make the bridge %s", n->bridge);
    /* Nobody wants the subnet on eth0. libnetwork's words. */
    if (r == -EEXIST && link_is_bridge(n->bridge) == 0)
        return err_set(e, ERR_INVALID, "existing interface %s is not a bridge", n->bridge);
    r = link_index(n->bridge, &index);
    if (r == 0 && !bridge_has_address(n))
        r = link_add_address(n->nl, index, bip);
    if (r == -EEXIST)
        r = 0;
    if (r == 0)
        r = link_set_up(n->nl, index);
    if (r < 0)
        return err_sys(e, r, "cannot set up the bridge %s with %s", n->bridge, bip);
    return 0;
}

/* ---- open, close ----------------------------------------------------------------------------- */
int network_options_check(const struct network_options *o, struct err *e) {
    uint32_t address, fixed;
    int prefix = 0, fixed_prefix = 0;
    struct in_addr gateway;

    if (str_eq(o->bridge, "none"))
        return 0;
    if (strlen(o->bridge) >= IFNAMSIZ)
        return err_set(e, ERR_INVALID, "the bridge name %s is too long", o->bridge);
    if (parse_cidr(o->bip, &address, &prefix) < 0 || prefix > 30)
        return err_set(e, ERR_INVALID,
                       "invalid --bip %s: an address with a prefix of at most 30 bits is needed",
                       o->bip);
    if (!str_empty(o->fixed_cidr) &&
        (parse_cidr(o->fixed_cidr, &fixed, &fixed_prefix) < 0 || fixed_prefix < prefix ||
         ((fixed ^ address) & mask_of(prefix)) != 0))
        return err_set(e, ERR_INVALID,
                       "invalid --fixed-cidr %s: it must lie in the bridge's subnet",
                       o->fixed_cidr);
    if (!str_empty(o->gateway) && inet_pton(AF_INET, o->gateway, &gateway) != 1)
        return err_set(e, ERR_INVALID, "invalid --default-gateway %s: it is not an IPv4 address",
                       o->gateway);
    if (o->mtu < 0 || (o->mtu > 0 && o->mtu < MTU_MIN) || o->mtu > MTU_MAX)
        return err_set(e, ERR_INVALID, "invalid --mtu %lld: it must be 0 (the default) or %d to %d",
                       (long long)o->mtu, MTU_MIN, MTU_MAX);
    return 0;
}

static int plan_addresses(struct network *n, const struct network_options *o, struct err *e) {
    uint32_t subnet, fixed;
    int prefix = 0, r;

    r = network_options_check(o, e);
    if (r == 0)
        r = parse_cidr(o->bip, &n->gateway, &n->prefix_len);
    if (r < 0)
        return r;
    subnet = n->gateway & mask_of(n->prefix_len);
    n->first = subnet + 1;
    n->last = (subnet | ~mask_of(n->prefix_len)) - 1;
    if (!str_empty(o->fixed_cidr) && parse_cidr(o->fixed_cidr, &fixed, &prefix) == 0) {
        fixed &= mask_of(prefix);
        if (fixed > n->first)
            n->first = fixed;
        if ((fixed | ~mask_of(prefix)) < n->last)
            n->last = fixed | ~mask_of(prefix);
    }
    n->next = n->first;
    {
        auto_free char *text = address_text(subnet);

        n->subnet_text = xasprintf("%s/%d", text, n->prefix_len);
    }
    n->gateway_text = str_empty(o->gateway) ? address_text(n->gateway) : xstrdup(o->gateway);
    n->rules = (struct nft_rules){.table = n->table,
                                  .bridge = n->bridge,
                                  .subnet = htonl(subnet),
                                  .mask = htonl(mask_of(n->prefix_len)),
                                  .masquerade = o->ip_masq,
                                  .icc = o->icc};
    return 0;
}

int network_open(const struct network_options *o, struct network **ret, struct err *e) {
    struct network *n = xnew(struct network);
    int r;

    n->nl = -1;
    if (str_eq(o->bridge, "none")) {
        *ret = n;
        return 0;
    }
    n->bridge = xstrdup(o->bridge);
    n->table = xstrdup(o->table);
    n->mtu = o->mtu > 0 ? o->mtu : MTU_DEFAULT;
    r = plan_addresses(n, o, e);
    if (r == 0) {
        n->nl = nl_open(NETLINK_ROUTE);
        if (n->nl < 0)
            r = err_sys(e, n->nl, "cannot open a netlink socket");
    }
    if (r == 0)
        r = open_bridge(n, o->bip, e);
    if (r < 0) {
        network_close(n);
        return r;
    }
    if (o->ip_forward) {
        r = io_write_existing_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1");
        if (r < 0)
            log_warn("IPv4 forwarding could not be turned on: containers reach only this host",
                     "error", strerror(-r));
    }
    r = nft_open(&n->nft);
    if (r == 0)
        r = nft_write(n->nft, &n->rules);
    if (r < 0)
        log_warn("the nf_tables rules could not be written: containers are not masqueraded",
                 "error", strerror(-r));
    *ret = n;
    return 0;
}

static void lease_free(void *arg) {
    struct lease *l = arg;

    free(l->host_if);
    free(l);
}

void network_close(struct network *n) {
    if (!n)
        return;
    nft_close(n->nft);
    fd_close(n->nl);
    map_clear(&n->leases, lease_free);
    free(n->bridge);
    free(n->table);
    free(n->subnet_text);
    free(n->gateway_text);
    free(n);
}

void network_withdraw(struct network *n) {
    if (n->nft)
        (void)nft_delete(n->nft, n->table); /* nothing is left to do about it */
}

/* ---- endpoints ------------------------------------------------------------------------------- */
void network_endpoint_done(struct network_endpoint *ep) {
    free(ep->host_if);
    free(ep->mac);
    free(ep->address);
    free(ep->gateway);
    *ep = (struct network_endpoint){0};
}

/* Free, or released by a container whose interface has gone since. A name space is taken down in
 * the background, and somebody who joined it may keep it alive: its address must rest as long. */
static bool is_free(struct network *n, uint32_t address) {
    auto_free char *text = NULL;
    struct lease *l;

    if (address == n->gateway)
        return false;
    text = address_text(address);
    if (str_eq(text, n->gateway_text))
        return false;
    l = map_get(&n->leases, text);
    if (!l)
        return true;
    if (!l->released || if_nametoindex(l->host_if) != 0)
        return false;
    map_del(&n->leases, text);
    lease_free(l);
    return true;
}

static void take(struct network *n, const char *address, const char *host_if) {
    struct lease *l = xnew(struct lease), *old;

    l->host_if = xstrdup(host_if);
    old = map_put(&n->leases, address, l);
    if (old)
        lease_free(old);
    n->in_use++;
}

int network_attach(struct network *n, const char *mac, struct network_endpoint *ret,
                   struct err *e) {
    uint64_t size = (uint64_t)n->last - n->first + 1;
    unsigned char rnd[4];
    uint32_t address = 0;
    char hex[9];

    if (!n->bridge)
        return err_set(e, ERR_INVALID,
                       "this daemon has no default bridge (--bridge=none): start "
                       "the container with --network none or host");
    if (n->in_use >= BRIDGE_PORTS_MAX)
        return err_set(e, ERR_SYSTEM,
                       "the bridge %s has %d containers: a Linux bridge takes no more ports. Use "
                       "another network for further containers",
                       n->bridge, BRIDGE_PORTS_MAX);
    for (uint64_t i = 0; i < size && address == 0; i++) {
        if (is_free(n, n->next))
            address = n->next;
        n->next = n->next == n->last ? n->first : n->next + 1;
    }
    if (address == 0)
        return err_set(e, ERR_SYSTEM,
                       "no available IPv4 addresses on this network's address pools: "
                       "bridge (%s)",
                       n->subnet_text);
    random_bytes(rnd, sizeof rnd);
    hex_encode(rnd, sizeof rnd, hex);
    *ret = (struct network_endpoint){.host_if = xasprintf("veth%.7s", hex),
                                     .address = address_text(address),
                                     .gateway = xstrdup(n->gateway_text),
                                     .prefix_len = n->prefix_len,
                                     .mtu = n->mtu};
    ret->mac = str_empty(mac) ? xasprintf("02:42:%02x:%02x:%02x:%02x", address >> 24,
                                          address >> 16 & 255, address >> 8 & 255, address & 255)
                              : xstrdup(mac);
    take(n, ret->address, ret->host_if);
    return 0;
}

int network_adopt(struct network *n, const struct network_endpoint *ep, struct err *e) {
    struct lease *l;

    if (!n->bridge)
        return err_set(e, ERR_CONFLICT, "this daemon has no default bridge any more");
    l = map_get(&n->leases, ep->address);
    if (l && !l->released && !str_eq(l->host_if, ep->host_if))
        return err_set(e, ERR_CONFLICT, "the address %s is in use twice", ep->address);
    take(n, ep->address, str_or_empty(ep->host_if));
    return 0;
}

void network_release(struct network *n, const struct network_endpoint *ep) {
    struct lease *l = map_get(&n->leases, ep->address);

    if (!l || l->released || !str_eq(l->host_if, ep->host_if))
        return;
    l->released = true;
    n->in_use--;
}

const char *network_bridge(const struct network *n) {
    return n->bridge;
}

const char *network_subnet(const struct network *n) {
    return n->subnet_text;
}

const char *network_gateway(const struct network *n) {
    return n->gateway_text;
}

int network_fd(const struct network *n) {
    return n->nft ? nft_watch_fd(n->nft) : -1;
}

bool network_on_event(struct network *n) {
    int r;

    if (!nft_was_disturbed(n->nft, n->table))
        return false;
    r = nft_write(n->nft, &n->rules);
    if (r < 0)
        log_error("the nf_tables rules were removed by somebody and could not be written again",
                  "error", strerror(-r));
    else
        log_warn("the nf_tables rules were removed by somebody and are written again");
    return true;
}
