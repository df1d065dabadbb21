/* SPDX-License-Identifier: Apache-2.0 */
#include "api/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/config.h"
#include "engine/endpoints.h"
#include "engine/health.h"
#include "engine/ports.h"
#include "format/units.h"
#include "image/changes.h"

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fill_settings(const struct container *c, const struct endpoint *ep, bool aliases,
                          int version, struct endpoint_settings *s) {
    const struct network *n = network_find(c->engine, ep->network, NULL);

    str_set(&s->network_id, ep->network_id);
    str_set(&s->endpoint_id, ep->id);
    str_set(&s->gateway, ep->gateway);
    str_set(&s->ip_address, ep->address);
    s->ip_prefix_len = ep->prefix_len;
    str_set(&s->ipv6_gateway, ep->gateway6);
    str_set(&s->global_ipv6_address, ep->address6);
    s->global_ipv6_prefix_len = ep->prefix_len6;
    str_set(&s->mac_address, ep->mac);
    strmap_copy(&s->driver_opts, &ep->driver_opts);
    s->gw_priority = ep->gw_priority;
    if (!aliases)
        return;
    if (!str_empty(ep->want_ip4) || !str_empty(ep->want_ip6) || ep->link_local) {
        s->ipam_config = field_new_items(&endpoint_ipam_table, 1);
        str_set(&s->ipam_config->ipv4_address, ep->want_ip4);
        str_set(&s->ipam_config->ipv6_address, ep->want_ip6);
        s->ipam_config->link_local_ips = strv_dup(ep->link_local);
    }
    s->links = strv_dup(ep->links);
    s->aliases = strv_dup(ep->aliases);
    if (!n || !network_is_user(n) || !(ep->id || c->rec.running))
        return;
    if (version < 45) { /* the short id was one of the aliases */
        strv_take(&s->aliases, xasprintf("%.*s", ID_SHORT_LEN, c->rec.id));
        return;
    }
    strv_add(&s->dns_names, c->rec.name);
    strv_for_each (alias, ep->aliases)
        if (!strv_has(s->dns_names, alias))
            strv_add(&s->dns_names, alias);
    strv_take(&s->dns_names, xasprintf("%.*s", ID_SHORT_LEN, c->rec.id));
    if (!strv_has(s->dns_names, c->rec.config.hostname))
        strv_add(&s->dns_names, c->rec.config.hostname);
}

void show_networks(const struct container *c, bool aliases, int version, struct jw *w) {
    auto_strv names = NULL;

    for (size_t i = 0; i < c->rec.endpoints.count; i++)
        strv_add(&names, field_array_at(&c->rec.endpoints, struct endpoint, i)->network);
    if (names)
        qsort(names, strv_len(names), sizeof *names, compare_names);
    jw_object(w);
    strv_for_each (name, names)
        for (size_t i = 0; i < c->rec.endpoints.count; i++) {
            const struct endpoint *ep = field_array_at(&c->rec.endpoints, struct endpoint, i);
            struct endpoint_settings s;

            if (!str_eq(ep->network, name))
                continue;
            field_init(&endpoint_settings_table, &s);
            fill_settings(c, ep, aliases, version, &s);
            jw_key(w, name);
            field_emit(&endpoint_settings_table, &s, w);
            field_done(&endpoint_settings_table, &s);
        }
    jw_end_object(w);
}

const char *show_image_name(const struct container *c) {
    const char *name = c->rec.config.image;
    struct image *i;

    i = image_find(c->engine->images, name, NULL);
    return i && str_eq(i->id, c->rec.image_id) ? name : c->rec.image_id;
}

char *show_status_text(const struct container *c) {
    char since[UNITS_TEXT_MAX];
    int64_t now = clock_real_ns();
    const char *health = health_status(c);

    if (c->rec.dead)
        return xstrdup("Dead");
    if (c->removing)
        return xstrdup("Removal In Progress");
    if (container_is_restarting(c)) {
        units_human_duration(now - c->rec.finished_ns, since);
        return xasprintf("Restarting (%lld) %s ago", (long long)c->rec.exit_code, since);
    }
    if (c->rec.running) {
        units_human_duration(now - c->rec.started_ns, since);
        if (c->rec.paused)
            return xasprintf("Up %s (Paused)", since);
        if (str_eq(health, "starting"))
            return xasprintf("Up %s (health: starting)", since);
        if (health)
            return xasprintf("Up %s (%s)", since, health);
        return xasprintf("Up %s", since);
    }
    if (!c->rec.has_been_started || c->rec.finished_ns == 0)
        return xstrdup("Created");
    units_human_duration(now - c->rec.finished_ns, since);
    return xasprintf("Exited (%lld) %s ago", (long long)c->rec.exit_code, since);
}

/* Go quotes nothing here: arguments with blanks are put in single quotes. */
static char *command_text(const struct container *c) {
    struct buf b = BUF_INIT;

    buf_puts(&b, str_or_empty(c->rec.path));
    strv_for_each (arg, c->rec.args) {
        if (strchr(arg, ' '))
            buf_printf(&b, " '%s'", arg);
        else
            buf_printf(&b, " %s", arg);
    }
    return buf_take(&b);
}

/* All names in one order, as dockerd's index has them. */
static void names_emit(const struct container *c, char *const *link_names, struct jw *w) {
    auto_free char *name = xasprintf("/%s", c->rec.name);
    bool done = false;

    jw_array(w);
    strv_for_each (link, link_names) {
        const char *blank = strchr(link, ' ');

        if (!blank || strncmp(link, c->rec.id, (size_t)(blank - link)) != 0)
            continue;
        if (!done && strcmp(name, blank + 1) < 0) {
            jw_str(w, name);
            done = true;
        }
        jw_str(w, blank + 1);
    }
    if (!done)
        jw_str(w, name);
    jw_end_array(w);
}

void show_container_summary(const struct container *c, int version, char *const *link_names,
                            int64_t size_rw, int64_t size_root, struct jw *w) {
    auto_free char *status = show_status_text(c);
    auto_free char *command = command_text(c);

    jw_object(w);
    jw_kstr(w, "Id", c->rec.id);
    jw_key(w, "Names");
    names_emit(c, link_names, w);
    jw_kstr(w, "Image", show_image_name(c));
    jw_kstr(w, "ImageID", c->rec.image_id);
    jw_kstr(w, "Command", command);
    jw_kint(w, "Created", c->rec.created_ns / NS_PER_SEC);
    jw_key(w, "Ports");
    ports_emit_list(c, w);
    if (size_rw > 0)
        jw_kint(w, "SizeRw", size_rw);
    if (size_root > 0)
        jw_kint(w, "SizeRootFs", size_root);
    jw_key(w, "Labels");
    jw_object(w);
    strmap_for_each(label, &c->rec.config.labels) jw_kstr(w, label->key, label->value);
    jw_end_object(w);
    jw_kstr(w, "State", container_status(c));
    jw_kstr(w, "Status", status);
    jw_key(w, "HostConfig");
    jw_object(w);
    jw_kstr(w, "NetworkMode", c->rec.host.network_mode);
    jw_end_object(w);
    jw_key(w, "NetworkSettings");
    jw_object(w);
    jw_key(w, "Networks");
    show_networks(c, false, version, w);
    jw_end_object(w);
    jw_key(w, "Mounts");
    jw_array(w);
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);

        if (!m->hidden)
            field_emit(&mount_point_api_table, m, w);
    }
    jw_end_array(w);
    jw_end_object(w);
}

/* ---- sizes ----------------------------------------------------------------------------------- */
void show_sizes_add(struct show_sizes *s, const struct container *c) {
    auto_free char *dir = container_dir(c);

    s->layers = c->engine->layers;
    s->items = xreallocarray(s->items, s->count + 1, sizeof *s->items);
    s->items[s->count++] = (struct show_size){.id = xstrdup(c->rec.id),
                                              .upper = xasprintf("%s/diff", dir),
                                              .diff_ids = strv_dup(c->rec.diff_ids),
                                              .rw = -1,
                                              .root = -1};
}

void show_sizes_measure(struct show_sizes *s) {
    for (size_t i = 0; i < s->count; i++) {
        uint64_t rw, below;

        if (changes_size(s->items[i].upper, &rw, NULL) < 0)
            continue; /* removed meanwhile */
        s->items[i].rw = (int64_t)rw;
        if (layer_chain_totals(s->layers, s->items[i].diff_ids, &below, NULL, NULL) == 0)
            s->items[i].root = (int64_t)(rw + below);
    }
}

const struct show_size *show_sizes_find(const struct show_sizes *s, const char *id) {
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->items[i].id, id))
            return &s->items[i];
    return NULL;
}

void show_sizes_done(struct show_sizes *s) {
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].id);
        free(s->items[i].upper);
        strv_free(s->items[i].diff_ids);
    }
    free(s->items);
    *s = (struct show_sizes){0};
}
