/* SPDX-License-Identifier: Apache-2.0 */

/* /networks: the three that every engine has. User networks are refused by name until they exist.
 */
#include <string.h>

#include "api/router.h"
#include "api/show.h"
#include "base/alloc.h"
#include "base/clock.h"

static const struct {
    const char *name, *driver;
} builtin[] = {{"bridge", "bridge"}, {"host", "host"}, {"none", "null"}};
#define BUILTIN (sizeof builtin / sizeof *builtin)

static void emit_containers(struct engine *eng, const char *name, struct jw *w) {
    jw_key(w, "Containers");
    jw_object(w);
    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;
        auto_free char *address = NULL;

        if (!c->rec.running || !str_eq(show_network_name(c), name))
            continue;
        address = c->rec.net.address
                      ? xasprintf("%s/%d", c->rec.net.address, (int)c->rec.net.prefix_len)
                      : NULL;
        jw_key(w, c->rec.id);
        jw_object(w);
        jw_kstr(w, "Name", c->rec.name);
        jw_kstr(w, "EndpointID", c->rec.net.endpoint_id);
        jw_kstr(w, "MacAddress", c->rec.net.mac);
        jw_kstr(w, "IPv4Address", address);
        jw_kstr(w, "IPv6Address", "");
        jw_end_object(w);
    }
    jw_end_object(w);
}

static void emit(struct engine *eng, size_t i, bool containers, struct jw *w) {
    bool bridge = str_eq(builtin[i].driver, "bridge") && network_bridge(eng->network);
    char id[ID_LEN + 1], when[TIME_TEXT_MAX];

    show_network_id(eng, builtin[i].name, id);
    jw_object(w);
    jw_kstr(w, "Name", builtin[i].name);
    jw_kstr(w, "Id", id);
    jw_kstr(w, "Created", time_format(eng->started_ns, when));
    jw_kstr(w, "Scope", "local");
    jw_kstr(w, "Driver", builtin[i].driver);
    jw_kbool(w, "EnableIPv6", false);
    jw_key(w, "IPAM");
    jw_object(w);
    jw_kstr(w, "Driver", "default");
    jw_knull(w, "Options");
    jw_key(w, "Config");
    jw_array(w);
    if (bridge) {
        jw_object(w);
        jw_kstr(w, "Subnet", network_subnet(eng->network));
        jw_kstr(w, "Gateway", network_gateway(eng->network));
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
    jw_kbool(w, "Internal", false);
    jw_kbool(w, "Attachable", false);
    jw_kbool(w, "Ingress", false);
    jw_key(w, "ConfigFrom");
    jw_object(w);
    jw_kstr(w, "Network", "");
    jw_end_object(w);
    jw_kbool(w, "ConfigOnly", false);
    if (containers) {
        emit_containers(eng, builtin[i].name, w);
    } else {
        jw_key(w, "Containers");
        jw_object(w);
        jw_end_object(w);
    }
    jw_key(w, "Options");
    jw_object(w);
    if (bridge) {
        jw_kstr(w, "com.docker.network.bridge.default_bridge", "true");
        jw_kstr(w, "com.docker.network.bridge.enable_icc", eng->options.net.icc ? "true" : "false");
        jw_kstr(w, "com.docker.network.bridge.enable_ip_masquerade",
                eng->options.net.ip_masq ? "true" : "false");
        jw_kstr(w, "com.docker.network.bridge.name", network_bridge(eng->network));
    }
    jw_end_object(w);
    jw_key(w, "Labels");
    jw_object(w);
    jw_end_object(w);
    jw_end_object(w);
}

static const char *const list_filters[] = {"driver", "type",  "name",     "id",
                                           "label",  "scope", "dangling", NULL};

static void list(struct api_call *c) {
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    struct strmap none = {0};
    struct jw w;

    if (call_filters(c, list_filters, &f, &e) < 0) {
        call_error(c, &e);
        return;
    }
    jw_init(&w, &b);
    jw_array(&w);
    for (size_t i = 0; i < BUILTIN; i++) {
        char id[ID_LEN + 1];

        show_network_id(c->engine, builtin[i].name, id);
        if (filters_match(&f, "name", builtin[i].name) && filters_match(&f, "id", id) &&
            filters_exact(&f, "driver", builtin[i].driver) &&
            filters_exact(&f, "type", "builtin") && filters_exact(&f, "scope", "local") &&
            filters_labels(&f, "label", &none) &&
            (!filters_has(&f, "dangling") || filters_exact(&f, "dangling", "false")))
            emit(c->engine, i, false, &w);
    }
    jw_end_array(&w);
    call_json(c, 200, &b);
}

/* Index of the network that the path names, or -1 after a 404. */
static int find(struct api_call *c) {
    const char *want = call_param(c, 0);

    for (size_t i = 0; i < BUILTIN; i++) {
        char id[ID_LEN + 1];

        show_network_id(c->engine, builtin[i].name, id);
        if (str_eq(want, builtin[i].name) || (*want && str_starts(id, want)))
            return (int)i;
    }
    call_errorf(c, ERR_NOT_FOUND, "network %s not found", want);
    return -1;
}

static void inspect(struct api_call *c) {
    int i = find(c);
    auto_buf b = BUF_INIT;
    struct jw w;

    if (i < 0)
        return;
    jw_init(&w, &b);
    emit(c->engine, (size_t)i, true, &w);
    call_json(c, 200, &b);
}

static void remove_network(struct api_call *c) {
    int i = find(c);

    if (i >= 0)
        call_errorf(c, ERR_FORBIDDEN, "%s is a pre-defined network and cannot be removed",
                    builtin[i].name);
}

static void not_yet(struct api_call *c) {
    call_errorf(c, ERR_NOT_IMPLEMENTED,
                "%s %s is not implemented yet: this engine has the networks bridge, host and none",
                c->route->method, c->route->pattern);
}

static void prune(struct api_call *c) {
    auto_err e = ERR_INIT;
    auto_filters f = {0};
    static const char *const keys[] = {"label", "label!", "until", NULL};

    if (call_filters(c, keys, &f, &e) < 0)
        call_error(c, &e);
    else
        call_text(c, 200, "application/json", "{\"NetworksDeleted\":null}\n");
}

const struct route routes_networks[] = {
    {"GET", "/networks", 0, list},
    {"POST", "/networks/prune", 0, prune},
    {"POST", "/networks/create", 0, not_yet},
    {"GET", "/networks/{id}", 0, inspect},
    {"DELETE", "/networks/{id}", 0, remove_network},
    {"POST", "/networks/{id}/connect", 0, not_yet},
    {"POST", "/networks/{id}/disconnect", 0, not_yet},
    {NULL, NULL, 0, NULL},
};
