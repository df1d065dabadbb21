/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/endpoints.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/endpoint_sysctls.h"
#include "engine/netd_link.h"
#include "engine/netfiles.h"
#include "network/bridge.h"
#include "network/firewall.h"
#include "sys/link.h"

#define EP struct endpoint
static const struct field endpoint_fields[] = {
    FIELD(EP, "Network", FIELD_STR, network, 0),
    FIELD(EP, "NetworkID", FIELD_STR, network_id, FIELD_OMIT_EMPTY),
    FIELD(EP, "WantIP4", FIELD_STR, want_ip4, FIELD_OMIT_EMPTY),
    FIELD(EP, "WantIP6", FIELD_STR, want_ip6, FIELD_OMIT_EMPTY),
    FIELD(EP, "WantMac", FIELD_STR, want_mac, FIELD_OMIT_EMPTY),
    FIELD(EP, "LinkLocal", FIELD_STRV, link_local, FIELD_OMIT_EMPTY),
    FIELD(EP, "Links", FIELD_STRV, links, FIELD_OMIT_EMPTY),
    FIELD(EP, "Aliases", FIELD_STRV, aliases, FIELD_OMIT_EMPTY),
    FIELD(EP, "DriverOpts", FIELD_STRMAP, driver_opts, FIELD_OMIT_EMPTY),
    FIELD(EP, "GwPriority", FIELD_INT, gw_priority, FIELD_OMIT_EMPTY),
    FIELD(EP, "Id", FIELD_STR, id, FIELD_OMIT_EMPTY),
    FIELD(EP, "HostIf", FIELD_STR, host_if, FIELD_OMIT_EMPTY),
    FIELD(EP, "IfName", FIELD_STR, if_name, FIELD_OMIT_EMPTY),
    FIELD(EP, "Mac", FIELD_STR, mac, FIELD_OMIT_EMPTY),
    FIELD(EP, "Address", FIELD_STR, address, FIELD_OMIT_EMPTY),
    FIELD(EP, "Gateway", FIELD_STR, gateway, FIELD_OMIT_EMPTY),
    FIELD(EP, "Address6", FIELD_STR, address6, FIELD_OMIT_EMPTY),
    FIELD(EP, "Gateway6", FIELD_STR, gateway6, FIELD_OMIT_EMPTY),
    FIELD(EP, "PrefixLen", FIELD_INT, prefix_len, FIELD_OMIT_EMPTY),
    FIELD(EP, "PrefixLen6", FIELD_INT, prefix_len6, FIELD_OMIT_EMPTY),
    FIELD(EP, "Changing", FIELD_BOOL_T, changing, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table endpoint_table = FIELD_TABLE(EP, endpoint_fields);

#define for_each_endpoint(ep, c)                                                                   \
    for (struct endpoint *ep = (c)->rec.endpoints.items;                                           \
         ep && ep < (struct endpoint *)(c)->rec.endpoints.items + (c)->rec.endpoints.count; ep++)

/* ---- what is asked for ----------------------------------------------------------------------- */
static const char *mode_network(const struct container *c) {
    const char *mode = c->rec.host.network_mode;

    if (mode_container(mode))
        return NULL;
    if (c->rec.config.network_disabled)
        return "none";
    return network_mode_is_bridge(mode) ? "bridge" : mode;
}

static struct network *network_of(const struct container *c, const struct endpoint *ep) {
    struct network *n = map_get(&c->engine->network_names, ep->network);

    return n ? n : network_find(c->engine, ep->network, NULL);
}

int endpoint_check_wants(const struct network *n, const struct endpoint_settings *s,
                         struct err *e) {
    const struct endpoint_ipam *i = s->ipam_config;
    bool user = network_is_user(n);

    if (i && (!str_empty(i->ipv4_address) || !str_empty(i->ipv6_address))) {
        if (!user)
            return err_set(e, ERR_INVALID,
                           "user specified IP address is supported on user defined networks only");
        if (!n->rec.own_subnets)
            return err_set(
                e, ERR_INVALID,
                "user specified IP address is supported only when connecting to networks "
                "with user configured subnets");
    }
    if (strv_len(s->aliases) && !user)
        return err_set(e, ERR_INVALID,
                       "network-scoped alias is supported only for containers in user defined "
                       "networks");
    return endpoint_sysctls_check(&s->driver_opts, e);
}

static void take_settings(struct endpoint *ep, const struct endpoint_settings *s) {
    const struct endpoint_ipam *i = s->ipam_config;

    if (i) {
        str_set(&ep->want_ip4, i->ipv4_address);
        str_set(&ep->want_ip6, i->ipv6_address);
        strv_free(ep->link_local);
        ep->link_local = strv_dup(i->link_local_ips);
    }
    str_set(&ep->want_mac, s->mac_address);
    strv_free(ep->links);
    strv_free(ep->aliases);
    ep->links = strv_dup(s->links);
    ep->aliases = strv_dup(s->aliases);
    strmap_done(&ep->driver_opts);
    strmap_copy(&ep->driver_opts, &s->driver_opts);
    ep->gw_priority = s->gw_priority;
}

static struct endpoint *add(struct container *c, const char *name) {
    struct endpoint *ep = field_array_add(&c->rec.endpoints, &endpoint_table);
    struct network *n = network_find(c->engine, name, NULL);

    str_set(&ep->network, n ? n->rec.name : name);
    return ep;
}

static bool names_others_only(const struct networking_config *n) {
    for (size_t i = 0; i < n->endpoints.count; i++)
        if (network_mode_is_bridge(n->endpoints.keys[i]))
            return false;
    return n->endpoints.count > 0;
}

int endpoints_plan(struct container *c, const struct networking_config *n, struct err *e) {
    const char *main = mode_network(c);
    struct network *main_network = main ? network_find(c->engine, main, NULL) : NULL;
    struct endpoint *first;

    if (!main)
        return 0;
    /* Clients that name a network here only mean it instead of the default bridge. */
    if (!(str_eq(main, "bridge") && names_others_only(n))) {
        first = add(c, main);
        if (!str_empty(c->rec.config.mac_address))
            str_set(&first->want_mac, c->rec.config.mac_address);
    }
    for (size_t i = 0; i < n->endpoints.count; i++) {
        const char *name = n->endpoints.keys[i];
        const struct endpoint_settings *s =
            field_map_at(&n->endpoints, struct endpoint_settings, i);
        struct network *other =
            network_find(c->engine, network_mode_is_bridge(name) ? "bridge" : name, NULL);
        struct endpoint *ep;

        if (other && endpoint_check_wants(other, s, e) < 0)
            return -EINVAL;
        if (str_eq(name, main) || (other && other == main_network)) {
            ep = field_array_at(&c->rec.endpoints, struct endpoint, 0);
            auto_free char *mac = ep->want_mac ? xstrdup(ep->want_mac) : NULL;

            take_settings(ep, s);
            if (str_empty(ep->want_mac))
                str_set(&ep->want_mac, mac);
            continue;
        }
        if (mode_is_host(main) || network_mode_is_none(main))
            return err_set(e, ERR_INVALID,
                           mode_is_host(main)
                               ? "container cannot be disconnected from host network or connected "
                                 "to host network"
                               : "container cannot be connected to multiple networks with one of "
                                 "the networks in private (none) mode");
        ep = add(c, name);
        take_settings(ep, s);
    }
    return 0;
}

struct endpoint *endpoint_on(const struct container *c, const struct network *n) {
    for_each_endpoint(ep, c) if (str_eq(ep->network, n->rec.name) ||
                                 str_eq(ep->network, n->rec.id)) return ep;
    return NULL;
}

struct endpoint *endpoint_main(const struct container *c) {
    const char *name = mode_network(c);
    struct network *n = name ? network_find(c->engine, name, NULL) : NULL;

    for_each_endpoint(ep, c) if (str_eq(ep->network, name) ||
                                 (n && str_eq(ep->network, n->rec.name))) return ep;
    return NULL;
}

/* As libnetwork: not an internal network; then the highest priority, then the first by name. */
const struct endpoint *endpoint_gateway_without(const struct container *c, int family,
                                                const struct endpoint *without) {
    const struct endpoint *best = NULL;

    for_each_endpoint(ep, c) {
        const char *gateway = family == AF_INET ? ep->gateway : ep->gateway6;
        const struct network *n = network_of(c, ep);

        if (ep == without || !ep->id || str_empty(gateway) || !n || n->rec.internal)
            continue;
        if (!best || ep->gw_priority > best->gw_priority ||
            (ep->gw_priority == best->gw_priority && strcmp(ep->network, best->network) < 0))
            best = ep;
    }
    return best;
}

const struct endpoint *endpoint_gateway(const struct container *c, int family) {
    return endpoint_gateway_without(c, family, NULL);
}

bool endpoints_need_names(const struct container *c) {
    for_each_endpoint(ep, c) {
        const struct network *n = network_of(c, ep);

        if (n && network_is_user(n))
            return true;
    }
    return false;
}

/* ---- attach ---------------------------------------------------------------------------------- */
static void clear(struct endpoint *ep) {
    char **texts[] = {&ep->id,      &ep->host_if, &ep->if_name,  &ep->mac,
                      &ep->address, &ep->gateway, &ep->address6, &ep->gateway6};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        str_set(texts[i], NULL);
    ep->prefix_len = ep->prefix_len6 = 0;
    ep->changing = false;
}

static void give_back(struct network *n, const char *address, const char *host_if) {
    struct ip ip;
    struct ipam_subnet *s;

    if (str_empty(address) || ip_parse(address, &ip) < 0)
        return;
    for (size_t i = 0; i < n->subnet_count; i++) {
        s = n->subnets[i];
        if (cidr_has(ipam_subnet_cidr(s), &ip))
            ipam_release(s, &ip, host_if);
    }
}

/* The subnet that has the wanted address, else the first of the family. */
static struct ipam_subnet *choose_subnet(const struct network *n, int family,
                                         const struct ip *wanted) {
    for (size_t i = 0; wanted && i < n->subnet_count; i++)
        if (cidr_has(ipam_subnet_cidr(n->subnets[i]), wanted))
            return n->subnets[i];
    return network_subnet(n, family);
}

static int take_address(const struct network *n, int family, const char *want, char **ret_address,
                        char **ret_gateway, int64_t *ret_prefix, struct ip *ret, struct err *e) {
    auto_free char *label = network_label(n);
    struct ip wanted, got, gateway;
    struct ipam_subnet *s;
    char text[IP_TEXT_MAX];
    int r;

    if (!str_empty(want) && (ip_parse(want, &wanted) < 0 || wanted.family != family))
        return err_set(e, ERR_INVALID, "invalid IPv%d address: %s", family == AF_INET ? 4 : 6,
                       want);
    s = choose_subnet(n, family, str_empty(want) ? NULL : &wanted);
    if (!s && !str_empty(want))
        return err_set(e, ERR_INVALID,
                       "Invalid address %s: It does not belong to any of this network's subnets",
                       want);
    if (!s)
        return 0;
    r = ipam_take(s, str_empty(want) ? NULL : &wanted, label, &got, e);
    if (r < 0)
        return r;
    gateway = ipam_subnet_gateway(s);
    str_set(ret_address, ip_text(&got, text));
    str_set(ret_gateway, ip_is_set(&gateway) ? ip_text(&gateway, text) : NULL);
    *ret_prefix = ipam_subnet_cidr(s)->prefix;
    *ret = got;
    return 0;
}

static void put_guard(const struct network *n, const struct endpoint *ep) {
    struct fw_guard g = {0};
    struct ip ip;
    int r;

    if (!n->engine->firewall || !network_has_bridge(n) || mac_parse(ep->mac, g.mac) < 0)
        return;
    snprintf(g.host_if, sizeof g.host_if, "%s", ep->host_if);
    if (!str_empty(ep->address) && ip_parse(ep->address, &ip) == 0)
        g.addresses[g.count++] = ip;
    if (!str_empty(ep->address6) && ip_parse(ep->address6, &ip) == 0)
        g.addresses[g.count++] = ip;
    r = firewall_guard_put(n->engine->firewall, &g);
    if (r < 0)
        log_warn("a container's interface cannot be guarded against false addresses", "interface",
                 ep->host_if, "error", strerror(-r));
}

static void detach_one(struct container *c, struct endpoint *ep) {
    struct network *n = network_of(c, ep);

    if (!ep->id)
        return;
    if (n) {
        n->endpoints--;
        give_back(n, ep->address, ep->host_if);
        give_back(n, ep->address6, ep->host_if);
        if (n->engine->firewall && network_has_bridge(n))
            (void)firewall_guard_del(n->engine->firewall, ep->host_if); /* as good as gone */
        if (network_is_user(n))
            netd_endpoint_del(c->engine->netd, n->rec.id, c->rec.id);
    }
    clear(ep);
}

static int attach_one(struct container *c, struct endpoint *ep, unsigned number, struct err *e) {
    struct network *n = network_of(c, ep);
    struct ip ip = {0}, ip6 = {0};
    char id[ID_LEN + 1], mac[MAC_TEXT_MAX];
    unsigned char rnd[4];
    char hex[9];
    int r = 0;

    if (!n)
        return err_set(e, ERR_NOT_FOUND, "network %s not found", ep->network);
    if (n->rec.config_only)
        return err_set(e, ERR_FORBIDDEN, "configuration network \"%s\" cannot have containers",
                       n->rec.name);
    if (network_has_bridge(n) && n->endpoints >= BRIDGE_PORTS_MAX)
        return err_set(e, ERR_SYSTEM,
                       "the bridge %s has %d containers: a Linux bridge takes no more ports. Use "
                       "another network for further containers",
                       n->set.bridge, BRIDGE_PORTS_MAX);
    if (str_eq(n->rec.driver, "bridge") && !n->subnet_count)
        return err_set(
            e, ERR_INVALID,
            "this daemon has no default bridge (--bridge=none): start the container with "
            "--network none or host");
    r = network_bring_up_if_missing(n, e);
    if (r == 0)
        r = take_address(n, AF_INET, ep->want_ip4, &ep->address, &ep->gateway, &ep->prefix_len, &ip,
                         e);
    if (r == 0)
        r = take_address(n, AF_INET6, ep->want_ip6, &ep->address6, &ep->gateway6, &ep->prefix_len6,
                         &ip6, e);
    if (r < 0) {
        give_back(n, ep->address, NULL);
        clear(ep);
        return r;
    }
    id_new(id);
    str_set(&ep->id, id);
    str_set(&ep->network, n->rec.name);
    str_set(&ep->network_id, n->rec.id);
    n->endpoints++;
    if (!n->subnet_count)
        return 0; /* host and none */
    random_bytes(rnd, sizeof rnd);
    hex_encode(rnd, sizeof rnd, hex);
    ep->host_if = xasprintf("veth%.7s", hex);
    ep->if_name = xasprintf("%s%u", n->set.if_prefix, number);
    mac_of_ip(&ip, mac);
    str_set(&ep->mac, str_empty(ep->want_mac) ? mac : ep->want_mac);
    put_guard(n, ep);
    return 0;
}

static unsigned next_number(const struct container *c) {
    for (unsigned i = 0;; i++) {
        auto_free char *digits = xasprintf("%u", i);
        bool used = false;

        for_each_endpoint(
            ep, c) if (ep->if_name && str_ends(ep->if_name, digits) &&
                       !(ep->if_name[strlen(ep->if_name) - strlen(digits) - 1] >= '0' &&
                         ep->if_name[strlen(ep->if_name) - strlen(digits) - 1] <= '9')) used = true;
        if (!used)
            return i;
    }
}

struct endpoint *endpoint_add(struct container *c, const struct network *n,
                              const struct endpoint_settings *s) {
    struct endpoint *ep = add(c, n->rec.name);

    take_settings(ep, s);
    return ep;
}

int endpoint_attach_one(struct container *c, struct endpoint *ep, struct err *e) {
    return attach_one(c, ep, next_number(c), e);
}

void endpoint_drop(struct container *c, const struct network *n) {
    struct endpoint *ep = endpoint_on(c, n);

    if (!ep)
        return;
    detach_one(c, ep);
    field_array_del(&c->rec.endpoints, &endpoint_table,
                    (size_t)(ep - (struct endpoint *)c->rec.endpoints.items));
}

int endpoints_attach(struct container *c, struct err *e) {
    struct endpoint *main = endpoint_main(c);
    int r = 0;

    if (main)
        r = attach_one(c, main, 0, e);
    for_each_endpoint(ep, c) {
        if (r < 0)
            break;
        if (ep != main)
            r = attach_one(c, ep, next_number(c), e);
    }
    if (r < 0) {
        endpoints_release(c);
        return r;
    }
    endpoints_tell_names(c);
    return 0;
}

void endpoints_release(struct container *c) {
    bool names = endpoints_need_names(c), attached = false;

    for_each_endpoint(ep, c) {
        attached = attached || ep->id;
        detach_one(c, ep);
    }
    if (names && attached)
        netd_sandbox_del(c->engine->netd, c->rec.id);
}

static void retake(struct network *n, const char *address, const char *container) {
    auto_err e = ERR_INIT;
    struct ipam_subnet *s;
    struct ip ip, got;

    if (str_empty(address) || ip_parse(address, &ip) < 0)
        return;
    s = choose_subnet(n, ip.family, &ip);
    if (!s || ipam_take(s, &ip, n->rec.name, &got, &e) < 0)
        log_warn("the address of a running container could not be reserved", "container", container,
                 "address", address, "error", s ? err_msg(&e) : "it is in no subnet any more");
}

void endpoints_adopt(struct container *c) {
    for_each_endpoint(ep, c) {
        struct network *n = network_of(c, ep);

        if (!ep->id || !n)
            continue;
        n->endpoints++;
        retake(n, ep->address, c->rec.id);
        retake(n, ep->address6, c->rec.id);
        if (n->subnet_count)
            put_guard(n, ep);
    }
}

char **endpoints_networks(const struct container *c) {
    char **ids = NULL;

    for_each_endpoint(ep, c) if (ep->id) strv_add(&ids, ep->network_id);
    return ids;
}

void endpoints_events(struct engine *eng, char *const *networks, const char *container,
                      const char *action) {
    strv_for_each (id, networks) {
        const struct network *n = map_get(&eng->networks, id);

        if (n)
            network_event(n, action, container);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */
static void tell_endpoint(const struct container *c, const struct network *n,
                          const struct endpoint *ep) {
    auto_strv names = NULL;
    auto_free char *short_id = xasprintf("%.*s", ID_SHORT_LEN, c->rec.id);
    struct netd_endpoint p = {
        .network = n->rec.id, .container = c->rec.id, .network_name = n->rec.name};

    strv_add(&names, c->rec.name);
    strv_for_each (alias, ep->aliases)
        if (!strv_has(names, alias))
            strv_add(&names, alias);
    if (!strv_has(names, short_id))
        strv_add(&names, short_id);
    p.names = names;
    if (!str_empty(ep->address))
        (void)ip_parse(ep->address, &p.ip4); /* ours: it parses */
    if (!str_empty(ep->address6))
        (void)ip_parse(ep->address6, &p.ip6);
    netd_endpoint_put(c->engine->netd, &p);
}

static void add_links(const struct endpoint *ep, char ***ret) {
    strv_for_each (link, ep->links) {
        const char *colon = strrchr(link, ':');

        /* "name:alias" -> "alias=name" */
        strv_take(ret, colon ? xasprintf("%s=%.*s", colon + 1, (int)(colon - link), link)
                             : xasprintf("%s=%s", link, link));
    }
}

void endpoints_tell_names(const struct container *c) {
    auto_strv networks = NULL;
    auto_strv links = NULL;
    auto_strv servers = NULL;
    auto_strv search = NULL;
    auto_strv options = NULL;
    bool internal = true;

    if (!endpoints_need_names(c))
        return;
    for_each_endpoint(ep, c) {
        const struct network *n = network_of(c, ep);

        if (!n || !ep->id)
            continue;
        internal = internal && n->rec.internal;
        if (!network_is_user(n))
            continue;
        tell_endpoint(c, n, ep);
        strv_add(&networks, n->rec.id);
        add_links(ep, &links);
    }
    netfiles_resolver(c, &servers, &search, &options);
    netd_sandbox_put(c->engine->netd, &(struct netd_sandbox){.id = c->rec.id,
                                                             .networks = networks,
                                                             .servers = servers,
                                                             .search = search,
                                                             .options = options,
                                                             .links = links,
                                                             .internal = internal,
                                                             .pidfd = c->pidfd});
}

/* ---- for the set-up process ------------------------------------------------------------------ */
void endpoint_interface(const struct container *c, const struct endpoint *ep,
                        struct rt_interface *i) {
    const struct network *n = network_of(c, ep);

    if (network_has_bridge(n)) {
        str_set(&i->kind, "veth");
        str_set(&i->bridge, n->set.bridge);
        str_set(&i->host_if, ep->host_if);
    } else {
        str_set(&i->kind, n->rec.driver);
        str_set(&i->parent, n->set.parent);
        str_set(&i->link_mode, n->set.mode);
    }
    str_set(&i->name, ep->if_name);
    if (!str_eq(n->rec.driver, "ipvlan")) /* all of a parent share its address */
        str_set(&i->mac, ep->mac);
    if (!str_empty(ep->address))
        strv_take(&i->addresses, xasprintf("%s/%lld", ep->address, (long long)ep->prefix_len));
    if (!str_empty(ep->address6))
        strv_take(&i->addresses, xasprintf("%s/%lld", ep->address6, (long long)ep->prefix_len6));
    strv_for_each (ip, ep->link_local)
        strv_take(&i->addresses, xasprintf("%s/%d", ip, strchr(ip, ':') ? 64 : 16));
    if (ep == endpoint_gateway(c, AF_INET))
        str_set(&i->gateway, ep->gateway);
    if (ep == endpoint_gateway(c, AF_INET6))
        str_set(&i->gateway6, ep->gateway6);
    i->mtu = n->set.mtu;
    endpoint_sysctls_take(&ep->driver_opts, &i->sysctls);
}

void endpoints_fill(const struct container *c, struct rt_net *ret) {
    const char *mode = c->rec.host.network_mode;
    const struct endpoint *main = endpoint_main(c);

    if (mode_is_host(mode) || mode_container(mode)) {
        str_set(&ret->mode, mode_is_host(mode) ? "host" : "join");
        return;
    }
    str_set(&ret->mode, "none");
    if (main && main->if_name) {
        endpoint_interface(c, main, field_array_add(&ret->interfaces, &rt_interface_table));
        str_set(&ret->mode, "own");
    }
    for_each_endpoint(ep, c) {
        if (ep == main || !ep->if_name)
            continue;
        endpoint_interface(c, ep, field_array_add(&ret->interfaces, &rt_interface_table));
        str_set(&ret->mode, "own");
    }
    if (endpoints_need_names(c))
        ret->netd = xasprintf("%s/netd.sock", c->engine->options.exec_root);
}
