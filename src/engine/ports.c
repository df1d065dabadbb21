/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/netd_link.h"
#include "engine/port_map.h"
#include "network/firewall.h"

#define PP struct published_port
static const struct field published_fields[] = {
    FIELD(PP, "Port", FIELD_INT, port, 0),
    FIELD(PP, "Proto", FIELD_STR, proto, 0),
    FIELD(PP, "HostIp", FIELD_STR, host_ip, 0),
    FIELD(PP, "HostPort", FIELD_INT, host_port, 0),
    FIELD_END,
};
const struct field_table published_port_table = FIELD_TABLE(PP, published_fields);

#define for_each_port(p, c)                                                                        \
    for (struct published_port *p = (c)->rec.ports.items;                                          \
         p && p < (struct published_port *)(c)->rec.ports.items + (c)->rec.ports.count; p++)

/* ---- what is asked for ----------------------------------------------------------------------- */
struct wants {
    struct netd_port *items;
    uint16_t *ports; /* of the container, in parallel */
    size_t count;
};

static void wants_done(struct wants *w) {
    free(w->items);
    free(w->ports);
    *w = (struct wants){0};
}

/* Docker's range for what names no port. */
static void ephemeral_range(uint16_t *ret_first, uint16_t *ret_last) {
    auto_buf text = BUF_INIT;
    unsigned first = 32768, last = 60999;

    text.max = 64;
    if (io_read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", &text) < 0 ||
        sscanf(buf_str(&text), "%u %u", &first, &last) != 2 || first == 0 || last > UINT16_MAX ||
        first > last) {
        first = 32768;
        last = 60999;
    }
    *ret_first = (uint16_t)first;
    *ret_last = (uint16_t)last;
}

static void add_want(const struct container *c, uint16_t port, uint8_t proto, const char *host_ip,
                     const char *host_port, struct wants *w) {
    const struct endpoint *gw = endpoint_gateway(c, AF_INET);
    const struct endpoint *any = gw ? gw : endpoint_gateway(c, AF_INET6);
    struct network *n = any ? map_get(&c->engine->networks, any->network_id) : NULL;
    struct netd_port p = {.proto = proto, .to_port = port};

    if (!any || !n)
        return; /* an internal network, or none: Docker publishes nothing there either */
    if (str_empty(host_port) || str_eq(host_port, "0"))
        ephemeral_range(&p.first, &p.last);
    else
        (void)port_range_parse(host_port, &p.first, &p.last); /* checked at create */
    if (!str_empty(host_ip)) {
        (void)ip_parse(host_ip, &p.hosts[p.host_count++]);
    } else if (ip_is_set(&n->set.host_binding)) {
        p.hosts[p.host_count++] = n->set.host_binding;
    } else {
        (void)ip_parse("0.0.0.0", &p.hosts[p.host_count++]);
        (void)ip_parse("::", &p.hosts[p.host_count++]);
    }
    (void)ip_parse(gw ? gw->address : any->address6, &p.to);
    w->items = xreallocarray(w->items, w->count + 1, sizeof *w->items);
    w->ports = xreallocarray(w->ports, w->count + 1, sizeof *w->ports);
    w->items[w->count] = p;
    w->ports[w->count++] = port;
}

static bool wants_port(const struct wants *w, uint16_t port, uint8_t proto) {
    for (size_t i = 0; i < w->count; i++)
        if (w->ports[i] == port && w->items[i].proto == proto)
            return true;
    return false;
}

static void wants_of_map(const struct container *c, const char *port_map, struct wants *w) {
    auto_json *doc = NULL;

    if (str_empty(port_map) || jsn_parse(port_map, strlen(port_map), &doc, NULL) < 0 || !doc ||
        !json_object_is_type(doc, json_type_object))
        return;
    json_object_object_foreach(doc, key, list) {
        uint16_t port;
        uint8_t proto;

        if (port_parse(key, &port, &proto) < 0 || !json_object_is_type(list, json_type_array))
            continue;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            struct json_object *b = json_object_array_get_idx(list, i);

            add_want(c, port, proto, jsn_str(b, "HostIp"), jsn_str(b, "HostPort"), w);
        }
    }
}

static void collect(const struct container *c, struct wants *w) {
    if (mode_is_host(c->rec.host.network_mode))
        return; /* discarded, as the create has told */
    wants_of_map(c, c->rec.host.port_bindings, w);
    if (!c->rec.host.publish_all_ports)
        return;
    strmap_for_each(port, &c->rec.config.exposed_ports) {
        uint16_t number;
        uint8_t proto;

        if (port_parse(port->key, &number, &proto) == 0 && !wants_port(w, number, proto))
            add_want(c, number, proto, NULL, NULL, w);
    }
}

/* ---- conflicts among our own ----------------------------------------------------------------- */
static bool meets(const struct ip *a, const struct ip *b) {
    return a->family == b->family && (ip_is_any(a) || ip_is_any(b) || ip_equal(a, b));
}

static bool is_taken(const struct container *c, const struct netd_port *p,
                     const struct ip **ret_ip) {
    map_for_each (it, &c->engine->containers) {
        const struct container *other = it->value;

        for_each_port(o, other) {
            struct ip ip;

            if (o->host_port != p->first || port_proto_number(o->proto) != p->proto ||
                ip_parse(o->host_ip, &ip) < 0)
                continue;
            for (unsigned i = 0; i < p->host_count; i++)
                if (meets(&ip, &p->hosts[i])) {
                    *ret_ip = &p->hosts[i];
                    return true;
                }
        }
    }
    return false;
}

static int driver_error(const struct container *c, struct err *e, const char *text) {
    const struct endpoint *gw = endpoint_gateway(c, AF_INET);

    return err_set(e, ERR_SYSTEM,
                   "driver failed programming external connectivity on endpoint %s (%s): %s",
                   c->rec.name, gw ? str_or_empty(gw->id) : "", text);
}

static int check_conflicts(const struct container *c, const struct wants *w, struct err *e) {
    for (size_t i = 0; i < w->count; i++) {
        const struct netd_port *p = &w->items[i];
        const struct ip *where;
        char text[IP_TEXT_MAX];
        auto_free char *message = NULL;

        if (p->first != p->last || !is_taken(c, p, &where))
            continue;
        ip_text(where, text);
        message = xasprintf(where->family == AF_INET6 ? "Bind for [%s]:%u failed: port is already "
                                                        "allocated"
                                                      : "Bind for %s:%u failed: port is already "
                                                        "allocated",
                            text, p->first);
        return driver_error(c, e, message);
    }
    return 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */
/* The rule of a published port; false: it needs none, the relay serves it. */
static bool rule_of(const struct container *c, const struct published_port *p,
                    struct fw_port *ret) {
    struct fw_port f = {.host_port = (uint16_t)p->host_port, .to_port = (uint16_t)p->port};
    const struct endpoint *ep;
    const struct network *n;

    if (ip_parse(p->host_ip, &f.host) < 0 || ip_is_loopback(&f.host))
        return false;
    ep = endpoint_gateway(c, f.host.family);
    n = ep ? map_get(&c->engine->networks, ep->network_id) : NULL;
    if (!n || !network_has_bridge(n) ||
        ip_parse(f.host.family == AF_INET ? ep->address : ep->address6, &f.to) < 0)
        return false;
    f.proto = (uint8_t)port_proto_number(p->proto);
    snprintf(f.bridge, sizeof f.bridge, "%s", n->set.bridge);
    *ret = f;
    return true;
}

static int put_rules(const struct container *c, const struct published_port *p, size_t count) {
    auto_free struct fw_port *rules = xcalloc(count ? count : 1, sizeof *rules);
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (rule_of(c, &p[i], &rules[n]))
            n++;
    return n && c->engine->firewall ? firewall_ports_put(c->engine->firewall, rules, n) : 0;
}

/* By what is published alone: the network behind it may have gone. Those without a rule are missing
 * there, which is success. */
static int del_rules(const struct container *c, const struct published_port *p, size_t count) {
    auto_free struct fw_port *rules = xcalloc(count ? count : 1, sizeof *rules);
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        rules[n] = (struct fw_port){.proto = (uint8_t)port_proto_number(p[i].proto),
                                    .host_port = (uint16_t)p[i].host_port};
        if (ip_parse(p[i].host_ip, &rules[n].host) == 0)
            n++;
    }
    return n && c->engine->firewall ? firewall_ports_del(c->engine->firewall, rules, n) : 0;
}

static void log_rules(const struct container *c, int r) {
    if (r < 0)
        log_warn("the rules of published ports could not be written", "container", c->rec.id,
                 "error", strerror(-r));
}

/* ---- publish --------------------------------------------------------------------------------- */
struct publishing {
    struct engine *engine;
    char id[ID_LEN + 1];
    struct wants wants;
    char *port_map; /* of ports_add() */
    ports_done *done;
    void *arg;
};

static void publishing_free(struct publishing *x) {
    wants_done(&x->wants);
    free(x->port_map);
    free(x);
}

static void record(struct container *c, const struct wants *w, const uint16_t *chosen) {
    for (size_t i = 0; i < w->count; i++)
        for (unsigned k = 0; k < w->items[i].host_count; k++) {
            struct published_port *p = field_array_add(&c->rec.ports, &published_port_table);
            char text[IP_TEXT_MAX];

            p->port = w->ports[i];
            str_set(&p->proto, port_proto_name(w->items[i].proto));
            str_set(&p->host_ip, ip_text(&w->items[i].hosts[k], text));
            p->host_port = chosen[i];
        }
}

/* What was added lasts: the next start publishes it as well. */
static void remember(struct container *c, const char *port_map) {
    auto_json *have = NULL, *more = NULL;

    if (str_empty(port_map) || jsn_parse(port_map, strlen(port_map), &more, NULL) < 0)
        return;
    if (str_empty(c->rec.host.port_bindings) ||
        jsn_parse(c->rec.host.port_bindings, strlen(c->rec.host.port_bindings), &have, NULL) < 0 ||
        !have)
        have = json_object_new_object();
    json_object_object_foreach(more, key, list) {
        struct json_object *old = jsn_get(have, key);

        strmap_put(&c->rec.config.exposed_ports, key, "");
        if (!old || !json_object_is_type(old, json_type_array)) {
            json_object_object_add(have, key, json_object_get(list));
            continue;
        }
        for (size_t i = 0;
             json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++)
            json_object_array_add(old, json_object_get(json_object_array_get_idx(list, i)));
    }
    str_set(&c->rec.host.port_bindings,
            json_object_to_json_string_ext(have, JSON_C_TO_STRING_PLAIN));
}

static void reserved(void *arg, const uint16_t *ports, struct err *e) {
    struct publishing *x = arg;
    struct container *c = map_get(&x->engine->containers, x->id);
    auto_err own = ERR_INIT;
    size_t before;

    if (!c || (!c->starting && !c->rec.running)) {
        netd_release(x->engine->netd, x->id, NULL, 0);
        (void)err_set(&own, ERR_CONFLICT, "the container has ended meanwhile"); /* sets */
    } else if (!ports) {
        auto_free char *text = xasprintf("Error starting userland proxy: %s", err_msg(e));

        (void)driver_error(c, &own, text); /* sets, cannot fail */
    } else {
        before = c->rec.ports.count;
        record(c, &x->wants, ports);
        log_rules(c, put_rules(c, (struct published_port *)c->rec.ports.items + before,
                               c->rec.ports.count - before));
        remember(c, x->port_map);
    }
    x->done(x->arg, &own);
    publishing_free(x);
}

static void start_publishing(struct container *c, struct publishing *x) {
    auto_err e = ERR_INIT;

    x->engine = c->engine;
    snprintf(x->id, sizeof x->id, "%s", c->rec.id);
    if (!x->wants.count || check_conflicts(c, &x->wants, &e) < 0) {
        x->done(x->arg, &e);
        publishing_free(x);
        return;
    }
    netd_reserve(c->engine->netd, c->rec.id, x->wants.items, x->wants.count, reserved, x);
}

void ports_publish(struct container *c, ports_done *done, void *arg) {
    struct publishing *x = xnew(struct publishing);

    x->done = done;
    x->arg = arg;
    collect(c, &x->wants);
    start_publishing(c, x);
}

void ports_add(struct container *c, const char *port_map, ports_done *done, void *arg) {
    struct publishing *x = xnew(struct publishing);

    x->done = done;
    x->arg = arg;
    x->port_map = xstrdup(port_map);
    wants_of_map(c, port_map, &x->wants);
    start_publishing(c, x);
}

/* ---- take away ------------------------------------------------------------------------------- */
static struct netd_port netd_of(const struct container *c, const struct published_port *p) {
    const struct endpoint *gw = endpoint_gateway(c, AF_INET);
    const struct endpoint *gw6 = endpoint_gateway(c, AF_INET6);
    struct netd_port n = {.proto = (uint8_t)port_proto_number(p->proto),
                          .host_count = 1,
                          .first = (uint16_t)p->host_port,
                          .last = (uint16_t)p->host_port,
                          .to_port = (uint16_t)p->port};

    (void)ip_parse(p->host_ip, &n.hosts[0]); /* ours: it parses */
    if (gw || gw6)
        (void)ip_parse(gw ? gw->address : gw6->address6, &n.to);
    return n;
}

void ports_withdraw(struct container *c) {
    if (!c->rec.ports.count)
        return;
    log_rules(c, del_rules(c, c->rec.ports.items, c->rec.ports.count));
    netd_release(c->engine->netd, c->rec.id, NULL, 0);
    field_array_clear(&c->rec.ports, &published_port_table);
}

static bool names_port(const struct published_port *p, const char *what) {
    const char *colon = strrchr(what, ':');
    uint16_t port, first, last;
    uint8_t proto;

    if (port_parse(colon ? colon + 1 : what, &port, &proto) < 0 || port != p->port ||
        proto != port_proto_number(p->proto))
        return false;
    if (!colon)
        return true;
    {
        auto_free char *host = xstrndup(what, (size_t)(colon - what));

        return port_range_parse(host, &first, &last) == 0 && p->host_port >= first &&
               p->host_port <= last;
    }
}

/* Out of the configuration too. */
static void forget(struct container *c, const struct published_port *p) {
    auto_json *have = NULL;
    auto_free char *key = xasprintf("%lld/%s", (long long)p->port, p->proto);
    auto_free char *number = xasprintf("%lld", (long long)p->host_port);
    struct json_object *list, *kept;

    if (str_empty(c->rec.host.port_bindings) ||
        jsn_parse(c->rec.host.port_bindings, strlen(c->rec.host.port_bindings), &have, NULL) < 0 ||
        !(list = jsn_get(have, key)) || !json_object_is_type(list, json_type_array))
        return;
    kept = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *b = json_object_array_get_idx(list, i);
        const char *host = jsn_str(b, "HostPort");

        if (!str_empty(host) && !str_eq(host, number))
            json_object_array_add(kept, json_object_get(b));
    }
    if (json_object_array_length(kept)) {
        json_object_object_add(have, key, kept);
    } else {
        json_object_put(kept);
        json_object_object_del(have, key);
    }
    str_set(&c->rec.host.port_bindings,
            json_object_to_json_string_ext(have, JSON_C_TO_STRING_PLAIN));
}

int ports_remove(struct container *c, char *const *what, struct err *e) {
    strv_for_each (one, what) {
        bool found = false;

        for_each_port(p, c) found = found || names_port(p, one);
        if (!found)
            return err_set(e, ERR_NOT_FOUND, "port %s of container %s is not published", one,
                           c->rec.name);
    }
    for (size_t i = 0; i < c->rec.ports.count;) {
        struct published_port *p = field_array_at(&c->rec.ports, struct published_port, i);
        struct netd_port n = netd_of(c, p);
        bool named = false;

        strv_for_each (one, what)
            named = named || names_port(p, one);
        if (!named) {
            i++;
            continue;
        }
        log_rules(c, del_rules(c, p, 1));
        netd_release(c->engine->netd, c->rec.id, &n, 1);
        forget(c, p);
        field_array_del(&c->rec.ports, &published_port_table, i);
    }
    return 0;
}

/* ---- again ----------------------------------------------------------------------------------- */
static void told(void *arg, const uint16_t *ports, struct err *e) {
    if (!ports)
        log_warn("the host ports of a running container could not be reserved", "container", arg,
                 "error", err_msg(e));
    free(arg);
}

void ports_tell(struct container *c) {
    auto_free struct netd_port *all = NULL;
    size_t n = 0;

    if (!c->rec.ports.count)
        return;
    all = xcalloc(c->rec.ports.count, sizeof *all);
    for_each_port(p, c) all[n++] = netd_of(c, p);
    netd_reserve(c->engine->netd, c->rec.id, all, n, told, xstrdup(c->rec.id));
}

void ports_adopt(struct container *c) {
    if (c->rec.ports.count)
        log_rules(c, put_rules(c, c->rec.ports.items, c->rec.ports.count));
}

void ports_retarget(struct container *c) {
    if (!c->rec.ports.count)
        return;
    log_rules(c, del_rules(c, c->rec.ports.items, c->rec.ports.count));
    log_rules(c, put_rules(c, c->rec.ports.items, c->rec.ports.count));
    netd_release(c->engine->netd, c->rec.id, NULL, 0);
    ports_tell(c);
}

/* ---- show ------------------------------------------------------------------------------------ */
static char *port_key(const struct published_port *p) {
    return xasprintf("%lld/%s", (long long)p->port, p->proto);
}

void ports_emit_map(const struct container *c, struct jw *w) {
    struct strmap keys = {0};

    jw_object(w);
    if (c->rec.running) {
        strmap_for_each(port, &c->rec.config.exposed_ports) strmap_put(&keys, port->key, "");
        for_each_port(p, c) {
            auto_free char *key = port_key(p);

            strmap_put(&keys, key, "published");
        }
    }
    strmap_for_each(key, &keys) {
        if (!*key->value) {
            jw_knull(w, key->key);
            continue;
        }
        jw_key(w, key->key);
        jw_array(w);
        for_each_port(p, c) {
            auto_free char *own = port_key(p), *number = xasprintf("%lld", (long long)p->host_port);

            if (!str_eq(own, key->key))
                continue;
            jw_object(w);
            jw_kstr(w, "HostIp", p->host_ip);
            jw_kstr(w, "HostPort", number);
            jw_end_object(w);
        }
        jw_end_array(w);
    }
    jw_end_object(w);
    strmap_done(&keys);
}

void ports_emit_list(const struct container *c, struct jw *w) {
    jw_array(w);
    if (c->rec.running) {
        for_each_port(p, c) {
            jw_object(w);
            jw_kstr(w, "IP", p->host_ip);
            jw_kint(w, "PrivatePort", p->port);
            jw_kint(w, "PublicPort", p->host_port);
            jw_kstr(w, "Type", p->proto);
            jw_end_object(w);
        }
        strmap_for_each(port, &c->rec.config.exposed_ports) {
            bool published = false;
            uint16_t number;
            uint8_t proto;

            if (port_parse(port->key, &number, &proto) < 0)
                continue;
            for_each_port(p, c) published =
                published || (p->port == number && port_proto_number(p->proto) == proto);
            if (published)
                continue;
            jw_object(w);
            jw_kint(w, "PrivatePort", number);
            jw_kstr(w, "Type", port_proto_name(proto));
            jw_end_object(w);
        }
    }
    jw_end_array(w);
}

bool ports_match(const struct container *c, const char *text, bool published) {
    auto_free char *digits = xstrndup(text, strcspn(text, "/"));
    const char *slash = strchr(text, '/');
    int proto = port_proto_number(slash ? slash + 1 : "tcp");
    uint16_t first, last;

    if (proto < 0 || port_range_parse(digits, &first, &last) < 0)
        return false;
    if (published) {
        for_each_port(p, c) if (port_proto_number(p->proto) == proto && p->host_port >= first &&
                                p->host_port <= last) return true;
        return false;
    }
    strmap_for_each(port, &c->rec.config.exposed_ports) {
        uint16_t number;
        uint8_t own;

        if (port_parse(port->key, &number, &own) == 0 && own == proto && number >= first &&
            number <= last)
            return true;
    }
    return false;
}
