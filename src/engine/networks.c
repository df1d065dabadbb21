/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/networks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "engine/container.h"
#include "format/digest.h"
#include "network/bridge.h"
#include "network/firewall.h"
#include "sys/link.h"
#include "sys/netlink.h"

#define REPAIR_PAUSE_MS 500

/* ---- records --------------------------------------------------------------------------------- */
#define NI struct network_ipam
static const struct field ipam_fields[] = {
    FIELD(NI, "Subnet", FIELD_STR, subnet, FIELD_OMIT_EMPTY),
    FIELD(NI, "IPRange", FIELD_STR, ip_range, FIELD_OMIT_EMPTY),
    FIELD(NI, "Gateway", FIELD_STR, gateway, FIELD_OMIT_EMPTY),
    FIELD(NI, "AuxiliaryAddresses", FIELD_STRMAP, aux, FIELD_OMIT_EMPTY),
    /* What the clients send, and what answers had before 1.22. */
    FIELD(NI, "AuxAddress", FIELD_STRMAP, aux, FIELD_NO_EMIT),
    FIELD_END,
};
const struct field_table network_ipam_table = FIELD_TABLE(NI, ipam_fields);

#define NR struct network_record
static const struct field record_fields[] = {
    FIELD(NR, "Id", FIELD_STR, id, 0),
    FIELD(NR, "Name", FIELD_STR, name, 0),
    FIELD(NR, "Driver", FIELD_STR, driver, 0),
    FIELD(NR, "Created", FIELD_INT, created_ns, 0),
    FIELD(NR, "IPv6", FIELD_BOOL_T, ipv6, FIELD_OMIT_EMPTY),
    FIELD(NR, "Internal", FIELD_BOOL_T, internal, FIELD_OMIT_EMPTY),
    FIELD(NR, "Attachable", FIELD_BOOL_T, attachable, FIELD_OMIT_EMPTY),
    FIELD(NR, "ConfigOnly", FIELD_BOOL_T, config_only, FIELD_OMIT_EMPTY),
    FIELD(NR, "OwnSubnets", FIELD_BOOL_T, own_subnets, FIELD_OMIT_EMPTY),
    FIELD(NR, "MadeParent", FIELD_BOOL_T, made_parent, FIELD_OMIT_EMPTY),
    FIELD(NR, "ConfigFrom", FIELD_STR, config_from, FIELD_OMIT_EMPTY),
    FIELD(NR, "IpamDriver", FIELD_STR, ipam_driver, FIELD_OMIT_EMPTY),
    FIELD(NR, "IpamOptions", FIELD_STRMAP, ipam_options, FIELD_OMIT_EMPTY),
    FIELD_SUB(NR, "Ipam", FIELD_ARRAY, ipam, FIELD_LIST_EMPTY, network_ipam_table),
    FIELD(NR, "Options", FIELD_STRMAP, options, FIELD_OMIT_EMPTY),
    FIELD(NR, "Labels", FIELD_STRMAP, labels, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table network_record_table = FIELD_TABLE(NR, record_fields);

void network_free(struct network *n) {
    if (!n)
        return;
    for (size_t i = 0; i < n->subnet_count; i++)
        ipam_subnet_free(n->subnets[i]);
    network_settings_done(&n->set);
    field_done(&network_record_table, &n->rec);
    free(n);
}

void network_register(struct network *n) {
    map_put(&n->engine->networks, n->rec.id, n);
    map_put(&n->engine->network_names, n->rec.name, n);
}

/* ---- look-up --------------------------------------------------------------------------------- */
struct network *network_find(struct engine *eng, const char *ref, struct err *e) {
    struct network *found = map_get(&eng->networks, str_or_empty(ref));
    size_t matches = 0;

    if (!found)
        found = map_get(&eng->network_names, str_or_empty(ref));
    if (found)
        return found;
    if (!str_empty(ref))
        map_for_each (it, &eng->networks)
            if (str_starts(it->key, ref)) {
                found = it->value;
                matches++;
            }
    if (matches == 1)
        return found;
    if (matches > 1)
        (void)err_set(e, ERR_INVALID, "network %s is ambiguous (%zu matches found on ID prefix)",
                      ref, matches); /* sets, cannot fail */
    else
        (void)err_set(e, ERR_NOT_FOUND, "network %s not found", str_or_empty(ref)); /* sets */
    return NULL;
}

struct network *network_default(struct engine *eng) {
    struct network *n = map_get(&eng->network_names, "bridge");

    return n && n->subnet_count ? n : NULL;
}

bool network_is_user(const struct network *n) {
    return !n->predefined;
}

bool network_has_bridge(const struct network *n) {
    return str_eq(n->rec.driver, "bridge") && *n->set.bridge;
}

struct ipam_subnet *network_subnet(const struct network *n, int family) {
    for (size_t i = 0; i < n->subnet_count; i++)
        if (ipam_subnet_cidr(n->subnets[i])->ip.family == family)
            return n->subnets[i];
    return NULL;
}

char *network_label(const struct network *n) {
    return xasprintf("%s (%.12s)", n->rec.name, n->rec.id);
}

void network_event(const struct network *n, const char *action, const char *container_id) {
    struct strmap attrs = {0};

    if (container_id)
        strmap_put(&attrs, "container", container_id);
    strmap_put(&attrs, "name", n->rec.name);
    strmap_put(&attrs, "type", n->rec.driver);
    events_publish(n->engine->events, "network", action, n->rec.id, &attrs);
    strmap_done(&attrs);
}

/* ---- bring up -------------------------------------------------------------------------------- */
static int put_rules(const struct network *n) {
    struct fw_network f = {.masquerade = n->set.masquerade && !n->rec.internal,
                           .icc = n->set.icc,
                           .internal = n->rec.internal,
                           .snat = {n->set.snat[0], n->set.snat[1]},
                           .routed4 = n->set.routed4,
                           .routed6 = n->set.routed6};

    if (!n->engine->firewall)
        return 0; /* the start has warned */
    snprintf(f.bridge, sizeof f.bridge, "%s", n->set.bridge);
    for (size_t i = 0; i < n->subnet_count; i++)
        f.subnets[f.subnet_count++] = cidr_network(ipam_subnet_cidr(n->subnets[i]));
    return firewall_network_put(n->engine->firewall, &f);
}

static int up_bridge(struct network *n, struct err *e) {
    struct cidr addresses[NETWORK_SUBNETS_MAX];
    struct bridge_config c = {.name = n->set.bridge,
                              .addresses = addresses,
                              .mtu = n->set.mtu,
                              .ipv6 = network_subnet(n, AF_INET6) != NULL};
    int r;

    for (size_t i = 0; i < n->subnet_count; i++) {
        struct ip gateway = ipam_subnet_gateway(n->subnets[i]);

        if (!ip_is_set(&gateway) || (gateway.family == AF_INET && n->set.inhibit_ipv4))
            continue;
        addresses[c.count++] = (struct cidr){gateway, ipam_subnet_cidr(n->subnets[i])->prefix};
    }
    r = bridge_make(n->engine->netlink, &c, e);
    if (r < 0)
        return r;
    r = put_rules(n);
    if (r < 0)
        log_warn("the nf_tables rules of a network could not be written", "network", n->rec.name,
                 "error", strerror(-r));
    return 0;
}

int network_bring_up(struct network *n, struct err *e) {
    if (network_has_bridge(n))
        return up_bridge(n, e);
    return network_parent_up(n, e);
}

int network_bring_up_if_missing(struct network *n, struct err *e) {
    const char *name = network_has_bridge(n) ? n->set.bridge : n->set.parent;
    unsigned index;

    if (!n->subnet_count || (!str_empty(name) && link_index(name, &index) == 0))
        return 0;
    return network_bring_up(n, e);
}

static void take_down(struct network *n) {
    int r = 0;

    if (network_has_bridge(n)) {
        if (n->engine->firewall)
            r = firewall_network_del(n->engine->firewall, n->set.bridge);
        if (r < 0)
            log_warn("the nf_tables rules of a network could not be removed", "network",
                     n->rec.name, "error", strerror(-r));
        r = bridge_remove(n->engine->netlink, n->set.bridge);
    } else {
        network_parent_down(n);
    }
    if (r < 0)
        log_warn("the bridge of a network could not be removed", "network", n->rec.name, "error",
                 strerror(-r));
}

/* ---- the predefined ones --------------------------------------------------------------------- */
static void predefined_id(const struct engine *eng, const char *name, char out[static ID_LEN + 1]) {
    auto_free char *text = xasprintf("%s/network/%s", eng->id, name);
    char digest[DIGEST_SIZE];

    digest_of(text, strlen(text), digest);
    memcpy(out, digest + DIGEST_LEN - ID_LEN, ID_LEN + 1);
}

static struct network *new_predefined(struct engine *eng, const char *name, const char *driver) {
    struct network *n = xnew(struct network);
    char id[ID_LEN + 1];

    n->engine = eng;
    n->predefined = true;
    field_init(&network_record_table, &n->rec);
    predefined_id(eng, name, id);
    str_set(&n->rec.id, id);
    str_set(&n->rec.name, name);
    str_set(&n->rec.driver, driver);
    n->rec.created_ns = eng->started_ns;
    network_register(n);
    return n;
}

static void bridge_options(const struct network_options *o, struct network_record *r) {
    auto_free char *mtu = xasprintf("%lld", (long long)(o->mtu > 0 ? o->mtu : 1500));

    strmap_put(&r->options, "com.docker.network.bridge.default_bridge", "true");
    strmap_put(&r->options, "com.docker.network.bridge.enable_icc", o->icc ? "true" : "false");
    strmap_put(&r->options, "com.docker.network.bridge.enable_ip_masquerade",
               o->ip_masq ? "true" : "false");
    strmap_put(&r->options, "com.docker.network.bridge.host_binding_ipv4",
               str_empty(o->host_binding) ? "0.0.0.0" : o->host_binding);
    strmap_put(&r->options, "com.docker.network.bridge.name", o->bridge);
    strmap_put(&r->options, "com.docker.network.driver.mtu", mtu);
}

static int open_default_bridge(struct engine *eng, struct err *e) {
    const struct network_options *o = &eng->options.net;
    struct network *n = new_predefined(eng, "bridge", "bridge");
    int r;

    if (str_eq(o->bridge, "none"))
        return 0;
    bridge_options(o, &n->rec);
    n->rec.ipv6 = o->ipv6;
    r = network_default_subnets(o, &eng->pools, &n->rec.ipam, e);
    if (r == 0)
        r = network_settings_parse(&n->rec, &n->set, e);
    if (r == 0)
        r = network_open_subnets(n, e);
    if (r == 0)
        r = network_bring_up(n, e);
    return r;
}

/* ---- load ------------------------------------------------------------------------------------ */
static int load_one(void *arg, const char *id, const char *doc) {
    struct engine *eng = arg;
    struct network *n = xnew(struct network);
    auto_err e = ERR_INIT;
    int r;

    n->engine = eng;
    field_init(&network_record_table, &n->rec);
    r = field_parse_text(&network_record_table, doc, strlen(doc), &n->rec, &e);
    if (r == 0)
        r = network_settings_parse(&n->rec, &n->set, &e);
    if (r == 0)
        r = network_open_subnets(n, &e);
    if (r < 0) {
        log_error("a network cannot be read from the database and is left out", "network", id,
                  "error", err_msg(&e));
        network_free(n);
        return 0;
    }
    network_register(n);
    /* A network that cannot come up now (a parent interface that is not there yet) does when a
     * container needs it. */
    if (!n->rec.config_only && network_bring_up(n, &e) < 0)
        log_warn("a network could not be brought up", "network", n->rec.name, "error", err_msg(&e));
    return 0;
}

int networks_open(struct engine *eng, struct err *e) {
    int r = network_options_check(&eng->options.net, e);

    if (r < 0)
        return r;
    strv_for_each (pool, eng->options.net.address_pools) {
        r = ipam_pools_add(&eng->pools, pool, e);
        if (r < 0)
            return r;
    }
    if (!eng->pools.count)
        ipam_pools_default(&eng->pools, eng->id);
    eng->netlink = nl_open(NETLINK_ROUTE);
    if (eng->netlink < 0)
        return err_sys(e, eng->netlink, "cannot open a netlink socket");
    if (eng->options.net.ip_forward) {
        r = bridge_forwarding(true, eng->options.net.ipv6);
        if (r < 0)
            log_warn("forwarding could not be turned on: containers reach only this host", "error",
                     strerror(-r));
    }
    r = eng->options.net.firewall ? firewall_open(eng->options.net.table, &eng->firewall) : 0;
    if (r < 0)
        log_warn(
            "nf_tables cannot be used: containers are not masqueraded and no port is published "
            "by address translation",
            "error", strerror(-r));
    if (eng->firewall)
        firewall_begin(eng->firewall);
    (void)new_predefined(eng, "host", "host"); /* registered */
    (void)new_predefined(eng, "none", "null");
    r = open_default_bridge(eng, e);
    if (r == 0)
        r = store_load(eng->store, "network", load_one, eng, e);
    return r;
}

void networks_adopted(struct engine *eng) {
    int r = eng->firewall ? firewall_commit(eng->firewall) : 0;

    if (r < 0)
        log_warn("the nf_tables rules could not be written: containers are not masqueraded",
                 "error", strerror(-r));
}

static void free_network(void *arg) {
    network_free(arg);
}

void networks_close(struct engine *eng, bool withdraw) {
    loop_fd_free(eng->network_watch);
    loop_timer_free(eng->network_pause);
    map_done(&eng->network_names);
    map_clear(&eng->networks, free_network);
    if (withdraw && eng->firewall)
        firewall_withdraw(eng->firewall);
    firewall_close(eng->firewall);
    fd_close(eng->netlink);
    ipam_pools_done(&eng->pools);
}

/* ---- remove ---------------------------------------------------------------------------------- */
static void drop(struct network *n) {
    struct engine *eng = n->engine;
    struct store_txn *t = store_txn_new();

    take_down(n);
    store_txn_del(t, "network", n->rec.id);
    store_commit(eng->store, t, NULL, NULL);
    network_event(n, "destroy", NULL);
    map_del(&eng->network_names, n->rec.name);
    map_del(&eng->networks, n->rec.id);
    network_free(n);
}

int network_remove(struct engine *eng, const char *ref, struct err *e) {
    struct network *n = network_find(eng, ref, e);

    if (!n)
        return -ENOENT;
    if (n->predefined)
        return err_set(e, ERR_FORBIDDEN, "%s is a pre-defined network and cannot be removed",
                       n->rec.name);
    if (n->endpoints > 0)
        return err_set(e, ERR_FORBIDDEN,
                       "error while removing network: network %s id %s has active endpoints",
                       n->rec.name, n->rec.id);
    if (n->rec.config_only)
        map_for_each (it, &eng->networks) {
            const struct network *other = it->value;

            if (str_eq(other->rec.config_from, n->rec.name))
                return err_set(e, ERR_FORBIDDEN, "configuration network \"%s\" is in use",
                               n->rec.name);
        }
    drop(n);
    return 0;
}

void networks_prune(struct engine *eng, const struct filters *f, int64_t until_ns,
                    char ***ret_names) {
    map_for_each (it, &eng->networks) {
        struct network *n = it->value;

        if (n->predefined || n->endpoints > 0 || (until_ns && n->rec.created_ns > until_ns) ||
            !filters_labels(f, "label", &n->rec.labels) ||
            !filters_labels(f, "label!", &n->rec.labels))
            continue;
        strv_add(ret_names, n->rec.name);
        drop(n);
    }
}

/* ---- the firewall's watch -------------------------------------------------------------------- */
static void on_pause_end(void *arg) {
    struct engine *eng = arg;

    loop_timer_free(eng->network_pause);
    eng->network_pause = NULL;
    loop_fd_set(eng->network_watch, LOOP_READ);
}

static void on_change(void *arg, unsigned events) {
    struct engine *eng = arg;

    (void)events;
    if (!firewall_on_event(eng->firewall))
        return;
    /* Two daemons with one table would take each other's rules away as fast as they can. */
    loop_fd_set(eng->network_watch, 0);
    eng->network_pause = loop_timer_new(eng->loop, REPAIR_PAUSE_MS, 0, on_pause_end, eng);
}

void networks_watch(struct engine *eng) {
    int fd = eng->firewall ? firewall_fd(eng->firewall) : -1;

    if (fd >= 0)
        eng->network_watch = loop_fd_new(eng->loop, fd, LOOP_READ, on_change, eng);
}
