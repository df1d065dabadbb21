/* SPDX-License-Identifier: Apache-2.0 */

/* /networks */
#include <errno.h>
#include <string.h>

#include "api/router.h"
#include "api/show.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/create_body.h"
#include "engine/endpoints.h"
#include "engine/networks.h"

/* ---- show ------------------------------------------------------------------------------------ */
static void emit_containers(const struct network *n, struct jw *w) {
    jw_object(w);
    map_for_each (it, &n->engine->containers) {
        const struct container *c = it->value;
        const struct endpoint *ep = endpoint_on(c, n);
        auto_free char *address = NULL, *address6 = NULL;

        if (!ep || !ep->id)
            continue;
        if (!str_empty(ep->address))
            address = xasprintf("%s/%d", ep->address, (int)ep->prefix_len);
        if (!str_empty(ep->address6))
            address6 = xasprintf("%s/%d", ep->address6, (int)ep->prefix_len6);
        jw_key(w, c->rec.id);
        jw_object(w);
        jw_kstr(w, "Name", c->rec.name);
        jw_kstr(w, "EndpointID", ep->id);
        jw_kstr(w, "MacAddress", ep->mac);
        jw_kstr(w, "IPv4Address", address);
        jw_kstr(w, "IPv6Address", address6);
        jw_end_object(w);
    }
    jw_end_object(w);
}

static void emit_ipam(const struct network_record *r, struct jw *w) {
    jw_object(w);
    jw_kstr(w, "Driver", str_empty(r->ipam_driver) ? "default" : r->ipam_driver);
    if (r->ipam_options.count) {
        jw_key(w, "Options");
        jw_object(w);
        strmap_for_each(o, &r->ipam_options) jw_kstr(w, o->key, o->value);
        jw_end_object(w);
    } else {
        jw_knull(w, "Options");
    }
    jw_key(w, "Config");
    jw_array(w);
    for (size_t i = 0; i < r->ipam.count; i++)
        field_emit(&network_ipam_table, field_array_at(&r->ipam, struct network_ipam, i), w);
    jw_end_array(w);
    jw_end_object(w);
}

static void emit_map(const char *key, const struct strmap *m, struct jw *w) {
    jw_key(w, key);
    jw_object(w);
    strmap_for_each(e, m) jw_kstr(w, e->key, e->value);
    jw_end_object(w);
}

static void emit(const struct network *n, bool containers, int version, struct jw *w) {
    const struct network_record *r = &n->rec;
    char when[TIME_TEXT_MAX];

    jw_object(w);
    jw_kstr(w, "Name", r->name);
    jw_kstr(w, "Id", r->id);
    jw_kstr(w, "Created", time_format(r->created_ns, when));
    jw_kstr(w, "Scope", "local");
    jw_kstr(w, "Driver", r->driver);
    if (version >= 47)
        jw_kbool(w, "EnableIPv4", !str_eq(r->driver, "bridge") || n->subnet_count > 0);
    jw_kbool(w, "EnableIPv6", r->ipv6);
    jw_key(w, "IPAM");
    emit_ipam(r, w);
    jw_kbool(w, "Internal", r->internal);
    jw_kbool(w, "Attachable", r->attachable);
    jw_kbool(w, "Ingress", r->ingress);
    jw_key(w, "ConfigFrom");
    jw_object(w);
    jw_kstr(w, "Network", r->config_from);
    jw_end_object(w);
    jw_kbool(w, "ConfigOnly", r->config_only);
    jw_key(w, "Containers");
    if (containers) {
        emit_containers(n, w);
    } else {
        jw_object(w);
        jw_end_object(w);
    }
    emit_map("Options", &r->options, w);
    emit_map("Labels", &r->labels, w);
    jw_end_object(w);
}

/* ---- list, inspect --------------------------------------------------------------------------- */
static const char *const list_filters[] = {"driver", "type",  "name",     "id",
                                           "label",  "scope", "dangling", NULL};

static bool matches(const struct network *n, const struct filters *f, bool by_dangling,
                    bool dangling) {
    bool used = n->endpoints > 0;

    return filters_match(f, "name", n->rec.name) && filters_match(f, "id", n->rec.id) &&
           filters_exact(f, "driver", n->rec.driver) &&
           filters_exact(f, "type", n->predefined ? "builtin" : "custom") &&
           filters_exact(f, "scope", "local") && filters_labels(f, "label", &n->rec.labels) &&
           (!by_dangling || dangling == (!n->predefined && !used));
}

static void list(struct api_call *c) {
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    bool dangling = false;
    struct jw w;

    if (call_filters(c, list_filters, &f, &e) < 0 ||
        filters_bool(&f, "dangling", false, &dangling, &e) < 0) {
        call_error(c, &e);
        return;
    }
    strv_for_each (type, filters_get(&f, "type"))
        if (!str_eq(type, "builtin") && !str_eq(type, "custom")) {
            call_errorf(c, ERR_INVALID, "invalid filter: 'type'='%s'", type);
            return;
        }
    jw_init(&w, &b);
    jw_array(&w);
    map_for_each (it, &c->engine->networks)
        if (matches(it->value, &f, filters_has(&f, "dangling"), dangling))
            emit(it->value, c->version < 28, c->version, &w); /* since 1.28 without containers */
    jw_end_array(&w);
    call_json(c, 200, &b);
}

static struct network *find(struct api_call *c) {
    auto_err e = ERR_INIT;
    struct network *n = network_find(c->engine, call_param(c, 0), &e);

    if (!n)
        call_error(c, &e);
    return n;
}

static void inspect(struct api_call *c) {
    const char *scope = call_query(c, "scope");
    struct network *n = find(c);
    auto_buf b = BUF_INIT;
    struct jw w;

    if (!n)
        return;
    if (!str_empty(scope) && !str_eq(scope, "local")) {
        call_errorf(c, ERR_NOT_FOUND, "network %s not found", call_param(c, 0));
        return;
    }
    jw_init(&w, &b);
    emit(n, true, c->version, &w);
    call_json(c, 200, &b);
}

/* ---- create ---------------------------------------------------------------------------------- */
struct create_ipam {
    char *driver;
    struct strmap options;
    struct field_array config; /* struct network_ipam */
};
static const struct field create_ipam_fields[] = {
    FIELD(struct create_ipam, "Driver", FIELD_STR, driver, 0),
    FIELD(struct create_ipam, "Options", FIELD_STRMAP, options, 0),
    FIELD_SUB(struct create_ipam, "Config", FIELD_ARRAY, config, 0, network_ipam_table),
    FIELD_END,
};
static const struct field_table create_ipam_table =
    FIELD_TABLE(struct create_ipam, create_ipam_fields);

struct config_from {
    char *network;
};
static const struct field config_from_fields[] = {
    FIELD(struct config_from, "Network", FIELD_STR, network, 0),
    FIELD_END,
};
static const struct field_table config_from_table =
    FIELD_TABLE(struct config_from, config_from_fields);

/* The body of POST /networks/create. */
struct create {
    char *name, *driver, *scope;
    bool check_duplicate, ipv6, internal, attachable, ingress, config_only;
    int ipv4; /* FIELD_TRI */
    struct create_ipam ipam;
    struct config_from config_from;
    struct strmap options, labels;
};
#define NC struct create
static const struct field create_fields[] = {
    FIELD(NC, "Name", FIELD_STR, name, 0),
    FIELD(NC, "CheckDuplicate", FIELD_BOOL_T, check_duplicate, 0), /* names are unique anyway */
    FIELD(NC, "Driver", FIELD_STR, driver, 0),
    FIELD(NC, "Scope", FIELD_STR, scope, 0),
    FIELD(NC, "EnableIPv4", FIELD_TRI, ipv4, 0),
    FIELD(NC, "EnableIPv6", FIELD_BOOL_T, ipv6, 0),
    FIELD_SUB(NC, "IPAM", FIELD_STRUCT, ipam, 0, create_ipam_table),
    FIELD(NC, "Internal", FIELD_BOOL_T, internal, 0),
    FIELD(NC, "Attachable", FIELD_BOOL_T, attachable, 0),
    FIELD(NC, "Ingress", FIELD_BOOL_T, ingress, 0),
    FIELD(NC, "ConfigOnly", FIELD_BOOL_T, config_only, 0),
    FIELD_SUB(NC, "ConfigFrom", FIELD_STRUCT, config_from, 0, config_from_table),
    FIELD(NC, "Options", FIELD_STRMAP, options, 0),
    FIELD(NC, "Labels", FIELD_STRMAP, labels, 0),
    FIELD_END,
};
static const struct field_table create_table = FIELD_TABLE(NC, create_fields);

static void created(void *arg, struct network *n, const char *warning, struct err *e) {
    struct api_call *c = arg;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (!n) {
        call_error(c, e);
        return;
    }
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "Id", n->rec.id);
    jw_kstr(&w, "Warning", warning);
    jw_end_object(&w);
    call_json(c, 201, &b);
}

static int read_create(struct create *body, struct network_record *ret, struct err *e) {
    if (body->ipv4 == 0)
        return err_set(e, ERR_INVALID, "networks without IPv4 are not supported: EnableIPv4=false");
    if (str_eq(body->scope, "swarm") || str_eq(body->scope, "global"))
        return err_set(e, ERR_SYSTEM,
                       "This node is not a swarm manager. Use \"docker swarm init\" or \"docker "
                       "swarm join\" to connect this node to swarm and try again.");
    str_set(&ret->name, body->name);
    str_set(&ret->driver, body->driver);
    ret->ipv6 = body->ipv6;
    ret->internal = body->internal;
    ret->attachable = body->attachable;
    ret->ingress = body->ingress;
    ret->config_only = body->config_only;
    str_set(&ret->config_from, body->config_from.network);
    str_set(&ret->ipam_driver, body->ipam.driver);
    strmap_copy(&ret->ipam_options, &body->ipam.options);
    for (size_t i = 0; i < body->ipam.config.count; i++)
        field_copy(&network_ipam_table, field_array_add(&ret->ipam, &network_ipam_table),
                   field_array_at(&body->ipam.config, struct network_ipam, i));
    strmap_copy(&ret->options, &body->options);
    strmap_copy(&ret->labels, &body->labels);
    return 0;
}

static void create(struct api_call *c) {
    auto_json *parsed = NULL;
    struct network_record want;
    auto_err e = ERR_INIT;
    struct create body;
    int r = call_json_body(c, false, &parsed, &e);

    field_init(&create_table, &body);
    field_init(&network_record_table, &want);
    if (r == 0)
        r = field_parse(&create_table, parsed, &body, "", &e);
    if (r == 0)
        r = read_create(&body, &want, &e);
    field_done(&create_table, &body);
    if (r == 0)
        network_create(c->engine, &want, created, c);
    else
        call_error(c, &e);
    field_done(&network_record_table, &want);
}

/* ---- remove, prune --------------------------------------------------------------------------- */
static void remove_network(struct api_call *c) {
    auto_err e = ERR_INIT;

    if (network_remove(c->engine, call_param(c, 0), &e) < 0)
        call_error(c, &e);
    else
        call_empty(c, 204);
}

static void prune(struct api_call *c) {
    static const char *const keys[] = {"label", "label!", "until", NULL};
    struct strmap attrs = {0};
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    auto_strv names = NULL;
    int64_t until = 0;
    struct jw w;

    if (call_filters(c, keys, &f, &e) < 0 || filters_until(&f, &until, &e) < 0) {
        call_error(c, &e);
        return;
    }
    networks_prune(c->engine, &f, until, &names);
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstrv(&w, "NetworksDeleted", names);
    jw_end_object(&w);
    strmap_put(&attrs, "reclaimed", "0");
    events_publish(c->engine->events, "network", "prune", "", &attrs);
    strmap_done(&attrs);
    call_json(c, 200, &b);
}

/* ---- connect, disconnect --------------------------------------------------------------------- */
struct connect {
    char *container;
    struct endpoint_settings settings;
    bool force;
};
static const struct field connect_fields[] = {
    FIELD(struct connect, "Container", FIELD_STR, container, 0),
    FIELD_SUB(struct connect, "EndpointConfig", FIELD_STRUCT, settings, 0, endpoint_settings_table),
    FIELD(struct connect, "Force", FIELD_BOOL_T, force, 0),
    FIELD_END,
};
static const struct field_table connect_table = FIELD_TABLE(struct connect, connect_fields);

static void changed(void *arg, struct err *e) {
    struct api_call *c = arg;

    if (e->class == ERR_NONE)
        call_empty(c, 200);
    else
        call_error(c, e);
}

static void change(struct api_call *c, bool connecting) {
    auto_json *parsed = NULL;
    struct container *x = NULL;
    auto_err e = ERR_INIT;
    struct connect body;
    struct network *n = NULL;
    int r = call_json_body(c, false, &parsed, &e);

    field_init(&connect_table, &body);
    if (r == 0)
        r = field_parse(&connect_table, parsed, &body, "", &e);
    if (r == 0 && !(n = network_find(c->engine, call_param(c, 0), &e)))
        r = -ENOENT;
    if (r == 0 && !(x = container_find(c->engine, body.container, &e))) {
        r = -ENOENT;
        if (!connecting && body.force) {
            err_done(&e);
            r = err_set(&e, ERR_NOT_FOUND, "endpoint %s not found", str_or_empty(body.container));
        }
    }
    if (r == 0 && connecting)
        r = create_body_check_endpoint(&body.settings, &x->rec.config, &e);
    if (r < 0)
        call_error(c, &e);
    else if (connecting)
        network_connect(n, x, &body.settings, changed, c);
    else
        network_disconnect(n, x, body.force, changed, c);
    field_done(&connect_table, &body);
}

static void connect_container(struct api_call *c) {
    change(c, true);
}

static void disconnect_container(struct api_call *c) {
    change(c, false);
}

const struct route routes_networks[] = {
    {"GET", "/networks", 0, list},
    {"POST", "/networks/prune", ROUTE_DURABLE, prune},
    {"POST", "/networks/create", ROUTE_BODY | ROUTE_JSON_BODY, create},
    {"GET", "/networks/{id}", 0, inspect},
    {"DELETE", "/networks/{id}", ROUTE_DURABLE, remove_network},
    {"POST", "/networks/{id}/connect", ROUTE_BODY | ROUTE_JSON_BODY | ROUTE_DURABLE,
     connect_container},
    {"POST", "/networks/{id}/disconnect", ROUTE_BODY | ROUTE_JSON_BODY | ROUTE_DURABLE,
     disconnect_container},
    {NULL, NULL, 0, NULL},
};
