/* SPDX-License-Identifier: Apache-2.0 */
#include "api/show.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/config.h"
#include "engine/health.h"
#include "format/units.h"
#include "image/changes.h"

const char *show_network_name(const struct container *c) {
    const char *mode = c->rec.host.network_mode;

    if (mode_container(mode))
        return NULL;
    if (mode_is_host(mode))
        return "host";
    return network_mode_is_none(mode) || c->rec.config.network_disabled ? "none" : "bridge";
}

void show_network_id(const struct engine *eng, const char *name, char out[static ID_LEN + 1]) {
    auto_free char *text = xasprintf("%s/network/%s", eng->id, name);
    char digest[DIGEST_SIZE];

    digest_of(text, strlen(text), digest);
    memcpy(out, digest + DIGEST_LEN - ID_LEN, ID_LEN + 1);
}

void show_networks(const struct container *c, struct jw *w) {
    const char *name = show_network_name(c);
    const struct container_net *net = &c->rec.net;
    struct endpoint_settings ep;
    char id[ID_LEN + 1] = "";

    jw_object(w);
    if (name) {
        field_init(&endpoint_settings_table, &ep);
        if (c->rec.has_been_started || !str_empty(c->rec.error))
            show_network_id(c->engine, name, id);
        str_set(&ep.network_id, id);
        str_set(&ep.endpoint_id, net->endpoint_id);
        str_set(&ep.gateway, net->gateway);
        str_set(&ep.ip_address, net->address);
        ep.ip_prefix_len = net->prefix_len;
        str_set(&ep.mac_address, net->mac);
        jw_key(w, name);
        field_emit(&endpoint_settings_table, &ep, w);
        field_done(&endpoint_settings_table, &ep);
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

void show_container_summary(const struct container *c, int64_t size_rw, int64_t size_root,
                            struct jw *w) {
    auto_free char *status = show_status_text(c), *name = xasprintf("/%s", c->rec.name);
    auto_free char *command = command_text(c);

    jw_object(w);
    jw_kstr(w, "Id", c->rec.id);
    jw_key(w, "Names");
    jw_array(w);
    jw_str(w, name);
    jw_end_array(w);
    jw_kstr(w, "Image", show_image_name(c));
    jw_kstr(w, "ImageID", c->rec.image_id);
    jw_kstr(w, "Command", command);
    jw_kint(w, "Created", c->rec.created_ns / NS_PER_SEC);
    jw_key(w, "Ports");
    jw_array(w);
    if (c->rec.running) {
        strmap_for_each(port, &c->rec.config.exposed_ports) {
            const char *proto = strchr(port->key, '/');
            int64_t number = strtoll(port->key, NULL, 10);

            jw_object(w);
            jw_kint(w, "PrivatePort", number);
            jw_kstr(w, "Type", proto ? proto + 1 : "tcp");
            jw_end_object(w);
        }
    }
    jw_end_array(w);
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
    show_networks(c, w);
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
