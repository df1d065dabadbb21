/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/links.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/netfiles.h"
#include "network/firewall.h"

/* A link is kept as "id:alias". */
static struct container *target(const struct container *c, const char *link,
                                const char **ret_alias) {
    auto_free char *id = xstrndup(link, strcspn(link, ":"));

    *ret_alias = strchr(link, ':') + 1;
    return map_get(&c->engine->containers, id);
}

static const struct endpoint *bridge_endpoint(const struct container *c) {
    const struct network *n = network_default(c->engine);
    const struct endpoint *ep = n ? endpoint_on(c, n) : NULL;

    return ep && ep->id && !str_empty(ep->address) ? ep : NULL;
}

static bool applies(const struct container *c) {
    return c->rec.links && network_mode_is_bridge(c->rec.host.network_mode);
}

/* ---- create ---------------------------------------------------------------------------------- */
static struct container *owner_of_network(struct container *c, struct err *e) {
    for (int depth = 0; c && depth < 8 && mode_container(c->rec.host.network_mode); depth++)
        c = container_find(c->engine, mode_container(c->rec.host.network_mode), e);
    return c;
}

int links_plan(struct container *c, struct err *e) {
    strv_for_each (link, c->rec.host.links) {
        auto_free char *name = xstrndup(link, strcspn(link, ":"));
        const char *colon = strchr(link, ':'), *alias = colon ? strrchr(colon, '/') : NULL;
        struct container *other;

        /* "/db:/web/alias" is how inspect shows them; clients send that back. */
        alias = alias ? alias + 1 : colon ? colon + 1 : *name == '/' ? name + 1 : name;
        if (str_empty(name) || str_empty(alias) || strchr(alias, ':'))
            return err_set(e, ERR_INVALID, "bad format for links: %s", link);
        other = container_find(c->engine, name, NULL);
        if (!other)
            return err_set(e, ERR_INVALID, "could not get container for %s: No such container: %s",
                           name, name);
        other = owner_of_network(other, e);
        if (!other)
            return err_set(e, ERR_INVALID, "could not get container for %s", name);
        if (mode_is_host(other->rec.host.network_mode))
            return err_set(
                e, ERR_INVALID,
                "conflicting options: host type networking can't be used with links. This "
                "would result in undefined behavior");
        strv_take(&c->rec.links, xasprintf("%s:%s", other->rec.id, alias));
    }
    return 0;
}

char **links_show(const struct container *c) {
    char **v = NULL;

    strv_for_each (link, c->rec.links) {
        const char *alias;
        const struct container *other = target(c, link, &alias);

        if (other)
            strv_take(&v, xasprintf("/%s:/%s/%s", other->rec.name, c->rec.name, alias));
    }
    return v;
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **links_names(const struct engine *engine) {
    char **v = NULL;

    map_for_each (it, &engine->containers) {
        const struct container *parent = it->value;

        if (!parent->committed || !applies(parent))
            continue;
        strv_for_each (link, parent->rec.links) {
            const char *alias;
            const struct container *other = target(parent, link, &alias);

            if (other)
                strv_take(&v, xasprintf("%s /%s/%s", other->rec.id, parent->rec.name, alias));
        }
    }
    if (v)
        qsort(v, strv_len(v), sizeof *v, compare_strings);
    return v;
}

int links_remove(struct container *c, const char *alias, struct err *e) {
    char **kept = NULL;
    bool found = false;

    strv_for_each (link, c->rec.links) {
        const char *own;

        (void)target(c, link, &own); /* the alias is what counts */
        if (str_eq(own, alias))
            found = true;
        else
            strv_add(&kept, link);
    }
    if (!found) {
        strv_free(kept);
        return err_set(e, ERR_NOT_FOUND, "Cannot get parent %s name %s", c->rec.name, alias);
    }
    links_close(c);
    strv_free(c->rec.links);
    c->rec.links = kept;
    if (c->rec.running) {
        links_open(c);
        netfiles_refresh(c);
    }
    container_save(c, NULL, NULL);
    return 0;
}

/* ---- start ----------------------------------------------------------------------------------- */
int links_check(const struct container *c, struct err *e) {
    if (!applies(c))
        return 0;
    strv_for_each (link, c->rec.links) {
        const char *alias;
        const struct container *other = target(c, link, &alias);

        if (other && !other->rec.running)
            return err_set(e, ERR_CONFLICT, "Cannot link to a non running container: /%s AS /%s/%s",
                           other->rec.name, c->rec.name, alias);
    }
    return 0;
}

static int compare_ports(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    long n = strtol(x, NULL, 10), m = strtol(y, NULL, 10);

    if (n != m)
        return n < m ? -1 : 1;
    return strcmp(x, y); /* tcp before udp */
}

/* "5432/tcp", by number; the caller's. */
static char **exposed(const struct container *c) {
    char **ports = NULL;

    strmap_for_each(port, &c->rec.config.exposed_ports) {
        if (strchr(port->key, '/'))
            strv_add(&ports, port->key);
        else
            strv_take(&ports, xasprintf("%s/tcp", port->key));
    }
    if (ports)
        qsort(ports, strv_len(ports), sizeof *ports, compare_ports);
    return ports;
}

static void change_rules(const struct container *parent, const struct container *child, bool put) {
    const struct endpoint *from = bridge_endpoint(parent), *to = bridge_endpoint(child);
    const struct network *n = network_default(parent->engine);
    auto_strv ports = exposed(child);
    int r = 0;

    if (!from || !to || n->set.icc || !parent->engine->firewall)
        return;
    strv_for_each (port, ports) {
        const char *proto = strchr(port, '/') + 1;
        struct fw_link l = {.proto = str_eq(proto, "udp")    ? IPPROTO_UDP
                                     : str_eq(proto, "sctp") ? IPPROTO_SCTP
                                                             : IPPROTO_TCP,
                            .port = (uint16_t)strtol(port, NULL, 10)};

        snprintf(l.bridge, sizeof l.bridge, "%s", n->set.bridge);
        if (ip_parse(from->address, &l.from) < 0 || ip_parse(to->address, &l.to) < 0)
            continue;
        r = put ? firewall_links_put(parent->engine->firewall, &l, 1)
                : firewall_links_del(parent->engine->firewall, &l, 1);
    }
    if (r < 0 && put)
        log_warn("the rules of a link could not be written", "container", parent->rec.id, "error",
                 strerror(-r));
}

static void change_all(struct container *c, bool put) {
    if (applies(c))
        strv_for_each (link, c->rec.links) {
            const char *alias;
            const struct container *other = target(c, link, &alias);

            if (other)
                change_rules(c, other, put);
        }
    map_for_each (it, &c->engine->containers) {
        const struct container *parent = it->value;

        if (parent == c || !parent->rec.running || !applies(parent))
            continue;
        strv_for_each (link, parent->rec.links)
            if (str_starts(link, c->rec.id))
                change_rules(parent, c, put);
    }
}

void links_open(struct container *c) {
    change_all(c, true);
}

void links_close(struct container *c) {
    change_all(c, false);
}

/* ---- environment ----------------------------------------------------------------------------- */
static char *prefix_of(const char *alias) {
    char *p = xstrdup(alias);

    for (char *q = p; *q; q++)
        *q = *q == '-' ? '_' : (char)toupper((unsigned char)*q);
    return p;
}

/* "5432", "tcp", "TCP" of "5432/tcp". */
struct port_words {
    char number[8], lower[8], upper[8];
};

static struct port_words words_of(const char *port) {
    struct port_words w = {0};
    const char *proto = strchr(port, '/') + 1;

    snprintf(w.number, sizeof w.number, "%.*s", (int)(proto - 1 - port), port);
    snprintf(w.lower, sizeof w.lower, "%s", proto);
    for (size_t i = 0; w.lower[i]; i++)
        w.upper[i] = (char)toupper((unsigned char)w.lower[i]);
    return w;
}

/* A run of neighbouring numbers has variables of its own for its first and last. */
static void put_runs(char ***env, const char *prefix, const char *ip, char *const *ports) {
    size_t n = strv_len(ports);

    for (size_t i = 0; i < n;) {
        struct port_words first = words_of(ports[i]), last;
        size_t j = i;
        long number = strtol(first.number, NULL, 10);

        while (j + 1 < n && strtol(ports[j + 1], NULL, 10) == number + (long)(j + 1 - i) &&
               str_eq(strchr(ports[j + 1], '/'), strchr(ports[i], '/')))
            j++;
        if (j > i) {
            last = words_of(ports[j]);
            strv_take(env, xasprintf("%s_PORT_%s_%s_START=%s://%s:%s", prefix, first.number,
                                     first.upper, first.lower, ip, first.number));
            strv_take(env,
                      xasprintf("%s_PORT_%s_%s_ADDR=%s", prefix, first.number, first.upper, ip));
            strv_take(env, xasprintf("%s_PORT_%s_%s_PROTO=%s", prefix, first.number, first.upper,
                                     first.lower));
            strv_take(env, xasprintf("%s_PORT_%s_%s_PORT_START=%s", prefix, first.number,
                                     first.upper, first.number));
            strv_take(env, xasprintf("%s_PORT_%s_%s_END=%s://%s:%s", prefix, last.number,
                                     last.upper, last.lower, ip, last.number));
            strv_take(env, xasprintf("%s_PORT_%s_%s_PORT_END=%s", prefix, first.number, first.upper,
                                     last.number));
        }
        i = j + 1;
    }
}

static void put_link(char ***env, const struct container *parent, const struct container *child,
                     const char *alias, const char *ip) {
    auto_free char *prefix = prefix_of(alias);
    auto_strv ports = exposed(child);

    if (ports) {
        struct port_words w = words_of(ports[0]);

        strv_take(env, xasprintf("%s_PORT=%s://%s:%s", prefix, w.lower, ip, w.number));
    }
    put_runs(env, prefix, ip, ports);
    strv_for_each (port, ports) {
        struct port_words w = words_of(port);

        strv_take(env, xasprintf("%s_PORT_%s_%s=%s://%s:%s", prefix, w.number, w.upper, w.lower, ip,
                                 w.number));
        strv_take(env, xasprintf("%s_PORT_%s_%s_ADDR=%s", prefix, w.number, w.upper, ip));
        strv_take(env, xasprintf("%s_PORT_%s_%s_PORT=%s", prefix, w.number, w.upper, w.number));
        strv_take(env, xasprintf("%s_PORT_%s_%s_PROTO=%s", prefix, w.number, w.upper, w.lower));
    }
    strv_take(env, xasprintf("%s_NAME=/%s/%s", prefix, parent->rec.name, alias));
    strv_for_each (v, child->rec.config.env)
        if (strchr(v, '=') && !str_starts(v, "HOME=") && !str_starts(v, "PATH="))
            strv_take(env, xasprintf("%s_ENV_%s", prefix, v));
}

void links_environment(const struct container *c, char ***env) {
    if (!applies(c))
        return;
    strv_for_each (link, c->rec.links) {
        const char *alias;
        const struct container *other = target(c, link, &alias);
        const struct endpoint *ep = other ? bridge_endpoint(other) : NULL;

        if (ep)
            put_link(env, c, other, alias, ep->address);
    }
}

/* ---- hosts ----------------------------------------------------------------------------------- */
void links_hosts(const struct container *c, struct buf *b) {
    if (!applies(c))
        return;
    strv_for_each (link, c->rec.links) {
        const char *alias;
        const struct container *other = target(c, link, &alias);
        const struct endpoint *ep = other ? bridge_endpoint(other) : NULL;

        if (!ep)
            continue;
        buf_printf(b, "%s\t%s %s", ep->address, alias, other->rec.config.hostname);
        if (!str_eq(alias, other->rec.name))
            buf_printf(b, " %s", other->rec.name);
        buf_putc(b, '\n');
    }
}

void links_refresh_parents(struct container *c) {
    map_for_each (it, &c->engine->containers) {
        struct container *parent = it->value;

        if (parent == c || !parent->rec.running || !applies(parent))
            continue;
        strv_for_each (link, parent->rec.links)
            if (str_starts(link, c->rec.id))
                netfiles_refresh(parent);
    }
}
