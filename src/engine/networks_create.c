/* SPDX-License-Identifier: Apache-2.0 */
/* A new network: dockerd's checks in its order and words, then subnets, record, bridge. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "engine/engine.h"
#include "engine/networks.h"

/* ---- checks ---------------------------------------------------------------------------------- */
static int check_name(struct engine *eng, const char *name, struct err *e) {
    static const char *const predefined[] = {"bridge", "host", "none", "default", NULL};

    if (str_empty(name) || strspn(name, " \t") == strlen(name))
        return err_set(e, ERR_INVALID, "invalid name: %s", str_or_empty(name));
    if (str_starts(name, "container:"))
        return err_set(e, ERR_FORBIDDEN, "operation is not permitted on predefined %s network ",
                       name);
    for (const char *const *p = predefined; *p; p++)
        if (str_eq(name, *p))
            return err_set(e, ERR_FORBIDDEN, "operation is not permitted on predefined %s network ",
                           name);
    if (map_get(&eng->network_names, name))
        return err_set(e, ERR_CONFLICT, "network with name %s already exists", name);
    return 0;
}

static int check_driver(struct network_record *r, struct err *e) {
    static const char *const known[] = {"bridge", "macvlan", "ipvlan", NULL};

    if (str_empty(r->driver) || str_eq(r->driver, "default"))
        str_set(&r->driver, "bridge");
    if (str_eq(r->driver, "host") || str_eq(r->driver, "null"))
        return err_set(e, ERR_FORBIDDEN, "only one instance of \"%s\" network is allowed",
                       r->driver);
    if (str_eq(r->driver, "overlay"))
        return err_set(e, ERR_SYSTEM,
                       "This node is not a swarm manager. Use \"docker swarm init\" or \"docker "
                       "swarm join\" to connect this node to swarm and try again.");
    for (const char *const *k = known; *k; k++)
        if (str_eq(r->driver, *k))
            return 0;
    return err_set(e, ERR_NOT_FOUND, "plugin \"%s\" not found", r->driver);
}

static int check_ipam_driver(const struct network_record *r, struct err *e) {
    if (!str_empty(r->ipam_driver) && !str_eq(r->ipam_driver, "default"))
        return err_set(e, ERR_NOT_FOUND, "plugin \"%s\" not found", r->ipam_driver);
    if (r->ipam_options.count)
        return err_set(e, ERR_INVALID, "the default IPAM driver has no options: %s=%s",
                       r->ipam_options.entries[0].key, r->ipam_options.entries[0].value);
    return 0;
}

/* --config-from: options, subnets and labels of a network that is there for this only. */
static int take_config(struct engine *eng, struct network_record *r, struct err *e) {
    struct network *from;

    if (str_empty(r->config_from))
        return 0;
    if (r->config_only)
        return err_set(e, ERR_FORBIDDEN,
                       "a configuration network cannot depend on another configuration network");
    from = map_get(&eng->network_names, r->config_from);
    if (!from)
        return err_set(e, ERR_NOT_FOUND, "configuration network \"%s\" does not exist",
                       r->config_from);
    if (!from->rec.config_only)
        return err_set(e, ERR_FORBIDDEN, "\"%s\" is not a configuration network", r->config_from);
    if (r->options.count || r->ipam.count || r->ipv6 || r->internal)
        return err_set(
            e, ERR_FORBIDDEN,
            "user-specified configurations are not supported if the network depends on a "
            "configuration network");
    strmap_copy(&r->options, &from->rec.options);
    for (size_t i = 0; i < from->rec.ipam.count; i++)
        field_copy(&network_ipam_table, field_array_add(&r->ipam, &network_ipam_table),
                   field_array_at(&from->rec.ipam, struct network_ipam, i));
    r->ipv6 = from->rec.ipv6;
    r->internal = from->rec.internal;
    return 0;
}

static int check_bridge_name(struct engine *eng, const struct network *n, struct err *e) {
    map_for_each (it, &eng->networks) {
        const struct network *other = it->value;

        if (*n->set.bridge && str_eq(other->set.bridge, n->set.bridge))
            return err_set(
                e, ERR_FORBIDDEN,
                "cannot create network %s (%s): conflicts with network %s (%s): networks "
                "have same bridge name",
                n->rec.id, n->set.bridge, other->rec.id, other->set.bridge);
    }
    return 0;
}

/* ---- subnets --------------------------------------------------------------------------------- */
/* What our networks have, and (host) what the machine has beside. Owned by the caller. */
static struct cidr *used_subnets(struct engine *eng, bool host, size_t *ret_n) {
    struct cidr *used = NULL;
    size_t n = 0;

    if (host && ipam_host_subnets(&used, &n) < 0)
        n = 0; /* the kernel's routes win, then: as if there were none */
    map_for_each (it, &eng->networks) {
        const struct network *other = it->value;

        for (size_t i = 0; i < other->subnet_count; i++) {
            used = xreallocarray(used, n + 1, sizeof *used);
            used[n++] = *ipam_subnet_cidr(other->subnets[i]);
        }
    }
    *ret_n = n;
    return used;
}

static int parse_config(const struct network_ipam *i, struct ipam_config *ret, struct err *e) {
    struct ipam_config c = {.aux = i->aux.count ? &i->aux : NULL};

    if (cidr_parse(str_or_empty(i->subnet), &c.subnet) < 0)
        return err_set(e, ERR_INVALID, "Invalid subnet %s : invalid CIDR address: %s",
                       str_or_empty(i->subnet), str_or_empty(i->subnet));
    if (!str_empty(i->ip_range) && cidr_parse(i->ip_range, &c.range) < 0)
        return err_set(e, ERR_INVALID, "Invalid range %s : invalid CIDR address: %s", i->ip_range,
                       i->ip_range);
    if (!str_empty(i->gateway)) {
        auto_free char *plain = xstrndup(i->gateway, strcspn(i->gateway, "/"));

        if (ip_parse(plain, &c.gateway) < 0)
            return err_set(e, ERR_INVALID, "invalid gateway address: %s", i->gateway);
    }
    *ret = c;
    return 0;
}

int network_open_subnets(struct network *n, struct err *e) {
    if (n->rec.ipam.count > NETWORK_SUBNETS_MAX)
        return err_set(e, ERR_INVALID, "a network has at most %d subnets", NETWORK_SUBNETS_MAX);
    for (size_t k = 0; k < n->rec.ipam.count; k++) {
        struct network_ipam *i = field_array_at(&n->rec.ipam, struct network_ipam, k);
        struct ipam_config c;
        struct ip gateway;
        char text[IP_TEXT_MAX];
        int r = parse_config(i, &c, e);

        if (r == 0)
            r = ipam_subnet_new(&c, &n->subnets[n->subnet_count], e);
        if (r < 0)
            return r;
        gateway = ipam_subnet_gateway(n->subnets[n->subnet_count++]);
        if (ip_is_set(&gateway))
            str_set(&i->gateway, ip_text(&gateway, text));
    }
    return 0;
}

static int check_overlap(struct engine *eng, const struct network_record *r, struct err *e) {
    size_t n;
    auto_free struct cidr *used = used_subnets(eng, false, &n);

    for (size_t k = 0; k < r->ipam.count; k++) {
        struct ipam_config c;
        int failed = parse_config(field_array_at(&r->ipam, struct network_ipam, k), &c, e);

        if (failed < 0)
            return failed;
        for (size_t i = 0; i < n; i++)
            if (cidr_overlap(&used[i], &c.subnet))
                return err_set(e, ERR_FORBIDDEN,
                               "Pool overlaps with other one on this address space");
    }
    return 0;
}

static bool has_family(const struct network_record *r, int family) {
    for (size_t k = 0; k < r->ipam.count; k++) {
        struct cidr c;

        if (cidr_parse(field_array_at(&r->ipam, struct network_ipam, k)->subnet, &c) == 0 &&
            c.ip.family == family)
            return true;
    }
    return false;
}

static int choose_subnet(struct engine *eng, struct network_record *r, int family, struct err *e) {
    size_t n;
    auto_free struct cidr *used = used_subnets(eng, true, &n);
    char text[CIDR_TEXT_MAX];
    struct network_ipam *i;
    struct cidr chosen;
    int failed = ipam_choose(&eng->pools, family, used, n, &chosen, e);

    if (failed < 0)
        return failed;
    i = field_array_add(&r->ipam, &network_ipam_table);
    str_set(&i->subnet, cidr_text(&chosen, text));
    return 0;
}

/* An entry without a subnet asks for one of the pools. */
static int plan_subnets(struct engine *eng, struct network_record *r, struct err *e) {
    int failed = 0;

    r->own_subnets = r->ipam.count > 0;
    if (r->ipam.count) {
        const struct network_ipam *first = field_array_at(&r->ipam, struct network_ipam, 0);

        if (r->ipam.count == 1 && str_empty(first->subnet) && str_empty(first->gateway) &&
            str_empty(first->ip_range) && !first->aux.count) {
            field_done(&network_ipam_table, field_array_at(&r->ipam, struct network_ipam, 0));
            r->ipam.count = 0;
            r->own_subnets = false;
        }
    }
    failed = check_overlap(eng, r, e);
    if (failed == 0 && !has_family(r, AF_INET))
        failed = choose_subnet(eng, r, AF_INET, e);
    if (failed == 0 && r->ipv6 && !has_family(r, AF_INET6))
        failed = choose_subnet(eng, r, AF_INET6, e);
    if (failed == 0 && !r->ipv6 && has_family(r, AF_INET6))
        r->ipv6 = true;
    return failed;
}

/* ---- create ---------------------------------------------------------------------------------- */
struct creation {
    struct engine *engine;
    char id[ID_LEN + 1];
    network_created *done;
    void *arg;
};

static void save(const struct network *n, void (*done)(void *arg, int r), void *arg) {
    auto_free char *doc = field_to_text(&network_record_table, &n->rec);
    struct store_txn *t = store_txn_new();

    store_txn_put(t, "network", n->rec.id, doc);
    store_commit(n->engine->store, t, done, arg);
}

static void drop(struct network *n) {
    struct store_txn *t = store_txn_new();

    store_txn_del(t, "network", n->rec.id);
    store_commit(n->engine->store, t, NULL, NULL);
    map_del(&n->engine->network_names, n->rec.name);
    map_del(&n->engine->networks, n->rec.id);
    network_free(n);
}

static void recorded(void *arg, int written) {
    struct creation *x = arg;
    struct network *n = map_get(&x->engine->networks, x->id);
    auto_err e = ERR_INIT;
    int r = written;

    if (!n)
        r = err_set(&e, ERR_NOT_FOUND, "network %s not found", x->id); /* removed meanwhile */
    else if (written < 0)
        r = err_sys(&e, written, "cannot save network %s", n->rec.name);
    else if (!n->rec.config_only)
        r = network_bring_up(n, &e);
    if (r < 0 && n) {
        drop(n);
        n = NULL;
    }
    if (n && n->rec.made_parent)
        save(n, NULL, NULL);
    if (n)
        network_event(n, "create", NULL);
    x->done(x->arg, n, "", &e);
    free(x);
}

static int prepare(struct engine *eng, struct network *n, struct err *e) {
    struct network_record *r = &n->rec;
    char id[ID_LEN + 1];
    int failed = check_name(eng, r->name, e);

    if (failed == 0 && r->ingress)
        failed = err_set(e, ERR_FORBIDDEN, "Ingress network can only be global scope network");
    if (failed == 0)
        failed = check_driver(r, e);
    if (failed == 0)
        failed = check_ipam_driver(r, e);
    if (failed == 0)
        failed = take_config(eng, r, e);
    if (failed < 0)
        return failed;
    id_new(id);
    str_set(&r->id, id);
    r->created_ns = clock_real_ns();
    failed = network_settings_parse(r, &n->set, e);
    if (failed == 0)
        failed = check_bridge_name(eng, n, e);
    if (failed < 0 || r->config_only)
        return failed;
    failed = plan_subnets(eng, r, e);
    return failed < 0 ? failed : network_open_subnets(n, e);
}

void network_create(struct engine *eng, struct network_record *want, network_created *done,
                    void *arg) {
    struct network *n = xnew(struct network);
    struct creation *x;
    auto_err e = ERR_INIT;

    n->engine = eng;
    n->rec = *want;
    field_init(&network_record_table, want);
    if (prepare(eng, n, &e) < 0) {
        network_free(n);
        done(arg, NULL, "", &e);
        return;
    }
    network_register(n);
    x = xnew(struct creation);
    *x = (struct creation){.engine = eng, .done = done, .arg = arg};
    memcpy(x->id, n->rec.id, sizeof x->id);
    save(n, recorded, x);
}
