/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of a network and of the daemon mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <net/if.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "engine/networks.h"
#include "sys/link.h"

#define BR          "com.docker.network.bridge."
#define MTU_MIN     68 /* RFC 791 */
#define MTU_MAX     65535
#define ID_IN_NAMES 12

/* ---- options of a network -------------------------------------------------------------------- */
void network_settings_done(struct network_settings *s) {
    free(s->if_prefix);
    free(s->parent);
    free(s->mode);
    *s = (struct network_settings){0};
}

static int read_bool(const char *key, const char *value, bool *ret, struct err *e) {
    if (str_to_bool(value, ret) < 0)
        return err_set(e, ERR_INVALID,
                       "failed to parse %s value: %s (strconv.ParseBool: parsing \"%s\": invalid "
                       "syntax)",
                       key, value, value);
    return 0;
}

static int read_mtu(const char *key, const char *value, int64_t *ret, struct err *e) {
    int64_t mtu;

    if (str_to_i64(value, &mtu) < 0 || mtu < 0 || (mtu > 0 && mtu < MTU_MIN) || mtu > MTU_MAX)
        return err_set(e, ERR_INVALID, "failed to parse %s value: %s", key, value);
    *ret = mtu;
    return 0;
}

static int read_ip(const char *key, const char *value, int family, struct ip *ret, struct err *e) {
    struct ip ip;

    if (str_empty(value))
        return 0;
    if (ip_parse(value, &ip) < 0 || (family && ip.family != family))
        return err_set(e, ERR_INVALID, "failed to parse %s value: %s", key, value);
    *ret = ip;
    return 0;
}

static int read_gateway_mode(const char *key, const char *value, bool *ret, struct err *e) {
    if (!str_eq(value, "nat") && !str_eq(value, "routed") && !str_empty(value))
        return err_set(e, ERR_INVALID, "failed to parse %s value: %s (it must be nat or routed)",
                       key, value);
    *ret = str_eq(value, "routed");
    return 0;
}

static int bridge_option(const char *key, const char *value, struct network_settings *s,
                         struct err *e) {
    const char *name = str_after(key, BR);

    if (str_eq(key, "com.docker.network.driver.mtu") || str_eq(key, "mtu"))
        return read_mtu(key, value, &s->mtu, e);
    if (str_eq(key, "com.docker.network.container_iface_prefix") ||
        str_eq(key, "com.docker.network.container_interface_prefix")) {
        /* with the number it must fit IFNAMSIZ */
        if (strlen(value) > 10 || strpbrk(value, "/: \t%"))
            return err_set(e, ERR_INVALID, "failed to parse %s value: %s", key, value);
        str_set(&s->if_prefix, value);
        return 0;
    }
    if (str_eq(key, "com.docker.network.host_ipv4"))
        return read_ip(key, value, AF_INET, &s->snat[0], e);
    if (str_eq(key, "com.docker.network.host_ipv6"))
        return read_ip(key, value, AF_INET6, &s->snat[1], e);
    if (!name)
        return 0; /* labels of other drivers are carried along, as in Docker */
    if (str_eq(name, "name")) {
        if (strlen(value) >= IFNAMSIZ)
            return err_set(e, ERR_INVALID, "the bridge name %s is too long", value);
        snprintf(s->bridge, sizeof s->bridge, "%s", value);
        return 0;
    }
    if (str_eq(name, "enable_icc"))
        return read_bool(key, value, &s->icc, e);
    if (str_eq(name, "enable_ip_masquerade"))
        return read_bool(key, value, &s->masquerade, e);
    if (str_eq(name, "inhibit_ipv4"))
        return read_bool(key, value, &s->inhibit_ipv4, e);
    if (str_eq(name, "host_binding_ipv4") || str_eq(name, "host_binding_ip")) {
        int r = read_ip(key, value, 0, &s->host_binding, e);

        if (r == 0 && ip_is_any(&s->host_binding))
            s->host_binding = (struct ip){0}; /* everywhere, of both families */
        return r;
    }
    if (str_eq(name, "gateway_mode_ipv4"))
        return read_gateway_mode(key, value, &s->routed4, e);
    if (str_eq(name, "gateway_mode_ipv6"))
        return read_gateway_mode(key, value, &s->routed6, e);
    if (str_eq(name, "default_bridge"))
        return 0;
    return err_set(e, ERR_INVALID, "unknown option of the bridge driver: %s=%s", key, value);
}

static bool is_one_of(const char *s, const char *const *list) {
    for (; *list; list++)
        if (str_eq(s, *list))
            return true;
    return false;
}

static int vlan_option(const struct network_record *r, const char *key, const char *value,
                       struct network_settings *s, struct err *e) {
    static const char *const macvlan[] = {"bridge", "private", "vepa", "passthru", NULL};
    static const char *const ipvlan[] = {"l2", "l3", "l3s", NULL};
    static const char *const flags[] = {"", "bridge", "private", "vepa", NULL};
    bool mac = str_eq(r->driver, "macvlan");

    if (str_eq(key, "parent") || str_eq(key, "com.docker.network.parent")) {
        if (strlen(value) >= IFNAMSIZ)
            return err_set(e, ERR_INVALID, "invalid parent interface %s: the name is too long",
                           value);
        if (str_eq(value, "lo"))
            return err_set(e, ERR_INVALID, "loopback interface is not a valid %s parent link",
                           r->driver);
        str_set(&s->parent, value);
        return 0;
    }
    if (str_eq(key, "com.docker.network.driver.mtu"))
        return read_mtu(key, value, &s->mtu, e);
    if ((mac && str_eq(key, "macvlan_mode")) || (!mac && str_eq(key, "ipvlan_mode"))) {
        if (!is_one_of(value, mac ? macvlan : ipvlan))
            return err_set(e, ERR_INVALID, "unknown %s mode: %s", r->driver, value);
        str_set(&s->mode, value);
        return 0;
    }
    if (!mac && str_eq(key, "ipvlan_flag")) {
        if (!is_one_of(value, flags))
            return err_set(e, ERR_INVALID, "unknown ipvlan flag: %s", value);
        if (!str_empty(value) && !str_eq(value, "bridge"))
            return err_set(e, ERR_INVALID, "ipvlan_flag=%s is not supported: only bridge", value);
        return 0;
    }
    return 0; /* labels of other drivers are carried along, as in Docker */
}

int network_settings_parse(const struct network_record *r, struct network_settings *ret,
                           struct err *e) {
    struct network_settings s = {.icc = true, .masquerade = true};
    bool bridge = str_eq(r->driver, "bridge");
    int failed = 0;

    if (bridge)
        snprintf(s.bridge, sizeof s.bridge, "br-%.*s", ID_IN_NAMES, r->id);
    str_set(&s.if_prefix, "eth");
    strmap_for_each(o, &r->options) {
        if (failed < 0)
            break;
        failed = bridge ? bridge_option(o->key, o->value, &s, e)
                        : vlan_option(r, o->key, o->value, &s, e);
    }
    if (failed < 0) {
        network_settings_done(&s);
        return failed;
    }
    if (!bridge && str_empty(s.mode))
        str_set(&s.mode, str_eq(r->driver, "macvlan") ? "bridge" : "l2");
    *ret = s;
    return 0;
}

/* ---- the parent of macvlan and ipvlan ---------------------------------------------------------
 */
/* "eth0.10": VLAN 10 on eth0. */
static bool vlan_parts(const char *name, char base[static IFNAMSIZ], uint16_t *ret_id) {
    const char *dot = strrchr(name, '.');
    uint64_t id;

    if (!dot || dot == name || str_to_u64(dot + 1, &id) < 0 || id == 0 || id > 4094)
        return false;
    snprintf(base, IFNAMSIZ, "%.*s", (int)(dot - name), name);
    *ret_id = (uint16_t)id;
    return true;
}

static char *dummy_name(const struct network *n) {
    return xasprintf("dm-%.*s", ID_IN_NAMES, n->rec.id);
}

int network_parent_up(struct network *n, struct err *e) {
    bool driver = str_eq(n->rec.driver, "macvlan") || str_eq(n->rec.driver, "ipvlan");
    char base[IFNAMSIZ];
    unsigned index;
    uint16_t id;
    int r;

    if (!driver)
        return 0;
    if (str_empty(n->set.parent)) {
        free(n->set.parent);
        n->set.parent = dummy_name(n); /* a network of containers only, as Docker's */
    }
    if (link_index(n->set.parent, &index) == 0)
        return 0;
    {
        auto_free char *dummy = dummy_name(n);

        if (str_eq(n->set.parent, dummy)) {
            r = link_add_dummy(n->engine->netlink, dummy);
            if (r == -EOPNOTSUPP)
                return err_set(e, ERR_SYSTEM,
                               "this kernel has no dummy driver (CONFIG_DUMMY): name a parent "
                               "interface with -o parent=");
            return r < 0 ? err_sys(e, r, "failed to make the parent interface %s", dummy) : 0;
        }
    }
    if (!vlan_parts(n->set.parent, base, &id))
        return err_set(e, ERR_INVALID,
                       "invalid subinterface vlan name %s: there is no such interface",
                       n->set.parent);
    r = link_add_vlan(n->engine->netlink, n->set.parent, base, id);
    if (r < 0)
        return err_sys(e, r, "failed to make the VLAN interface %s on %s", n->set.parent, base);
    n->rec.made_parent = true;
    return 0;
}

void network_parent_down(struct network *n) {
    auto_free char *dummy = dummy_name(n);

    if (n->rec.made_parent || str_eq(n->set.parent, dummy))
        (void)link_del(n->engine->netlink, n->set.parent); /* gone already: fine */
}

/* ---- flags of the daemon --------------------------------------------------------------------- */
static int check_bip(const struct network_options *o, struct err *e) {
    struct cidr bip = {0}, fixed;
    struct cidr subnet;

    if (!str_empty(o->bip) &&
        (cidr_parse(o->bip, &bip) < 0 || bip.ip.family != AF_INET || bip.prefix > 30))
        return err_set(e, ERR_INVALID,
                       "invalid --bip %s: an address with a prefix of at most 30 bits is needed",
                       o->bip);
    subnet = cidr_network(&bip);
    if (!str_empty(o->fixed_cidr) &&
        (cidr_parse(o->fixed_cidr, &fixed) < 0 || fixed.ip.family != AF_INET ||
         (!str_empty(o->bip) && (fixed.prefix < bip.prefix || !cidr_has(&subnet, &fixed.ip)))))
        return err_set(e, ERR_INVALID,
                       "invalid --fixed-cidr %s: it must lie in the bridge's subnet",
                       o->fixed_cidr);
    if (!str_empty(o->fixed_cidr6) &&
        (cidr_parse(o->fixed_cidr6, &fixed) < 0 || fixed.ip.family != AF_INET6))
        return err_set(e, ERR_INVALID, "invalid --fixed-cidr-v6 %s: it is not an IPv6 subnet",
                       o->fixed_cidr6);
    return 0;
}

int network_options_check(const struct network_options *o, struct err *e) {
    struct ipam_pools pools = {0};
    struct ip ip;
    int r = 0;

    strv_for_each (pool, o->address_pools)
        if (r == 0)
            r = ipam_pools_add(&pools, pool, e);
    ipam_pools_done(&pools);
    if (r < 0 || str_eq(o->bridge, "none"))
        return r;
    if (strlen(o->bridge) >= IFNAMSIZ)
        return err_set(e, ERR_INVALID, "the bridge name %s is too long", o->bridge);
    r = check_bip(o, e);
    if (r < 0)
        return r;
    if (!str_empty(o->gateway) && (ip_parse(o->gateway, &ip) < 0 || ip.family != AF_INET))
        return err_set(e, ERR_INVALID, "invalid --default-gateway %s: it is not an IPv4 address",
                       o->gateway);
    if (!str_empty(o->gateway6) && (ip_parse(o->gateway6, &ip) < 0 || ip.family != AF_INET6))
        return err_set(e, ERR_INVALID, "invalid --default-gateway-v6 %s: it is not an IPv6 address",
                       o->gateway6);
    if (!str_empty(o->host_binding) && ip_parse(o->host_binding, &ip) < 0)
        return err_set(e, ERR_INVALID, "invalid --ip %s: it is not an IP address", o->host_binding);
    if (o->mtu < 0 || (o->mtu > 0 && o->mtu < MTU_MIN) || o->mtu > MTU_MAX)
        return err_set(e, ERR_INVALID, "invalid --mtu %lld: it must be 0 (the default) or %d to %d",
                       (long long)o->mtu, MTU_MIN, MTU_MAX);
    return 0;
}

static void add_subnet(struct field_array *ret, const struct cidr *subnet, const char *range,
                       const struct ip *gateway) {
    struct network_ipam *i = field_array_add(ret, &network_ipam_table);
    struct cidr network = cidr_network(subnet);
    char text[CIDR_TEXT_MAX], ip[IP_TEXT_MAX];

    str_set(&i->subnet, cidr_text(&network, text));
    if (!str_empty(range))
        str_set(&i->ip_range, range);
    str_set(&i->gateway, ip_text(gateway, ip));
}

int network_default_subnets(const struct network_options *o, const struct ipam_pools *pools,
                            struct field_array *ret, struct err *e) {
    struct cidr subnet;
    struct ip gateway;
    int r = 0;

    if (!str_empty(o->bip))
        r = cidr_parse(o->bip, &subnet); /* checked before */
    else
        r = ipam_choose(pools, AF_INET, NULL, 0, &subnet, e);
    if (r < 0)
        return r;
    gateway = subnet.ip;
    if (str_empty(o->bip) && cidr_at(&subnet, 1, &gateway) < 0)
        return err_set(e, ERR_SYSTEM, "the first address pool has no room for a gateway");
    add_subnet(ret, &subnet, o->fixed_cidr, &gateway);
    if (!o->ipv6)
        return 0;
    if (!str_empty(o->fixed_cidr6))
        r = cidr_parse(o->fixed_cidr6, &subnet);
    else
        r = ipam_choose(pools, AF_INET6, NULL, 0, &subnet, e);
    if (r < 0)
        return r;
    if (cidr_at(&subnet, 1, &gateway) < 0)
        return err_set(e, ERR_INVALID, "invalid --fixed-cidr-v6 %s: it has no room for a gateway",
                       str_or_empty(o->fixed_cidr6));
    add_subnet(ret, &subnet, NULL, &gateway);
    return 0;
}
