/* SPDX-License-Identifier: Apache-2.0 */

/* GET /containers/json */
#include <stdlib.h>
#include <string.h>

#include "api/containers.h"
#include "api/show.h"
#include "base/alloc.h"
#include "engine/endpoints.h"
#include "engine/health.h"
#include "engine/links.h"
#include "engine/ports.h"

static const char *const filter_keys[] = {
    "ancestor", "before", "exited",  "expose",  "health", "id",     "is-task", "isolation",
    "label",    "name",   "network", "publish", "since",  "status", "volume",  NULL};

static const char *const statuses[] = {"created", "restarting", "running", "removing",
                                       "paused",  "exited",     "dead",    NULL};
static const char *const healths[] = {"starting", "healthy", "unhealthy", "none", NULL};

struct listing {
    struct api_call *call;
    struct filters filters;
    struct container **found; /* newest first */
    size_t count;
    struct show_sizes sizes;
    const struct container *before, *since;
};

static void listing_free(struct listing *l) {
    filters_done(&l->filters);
    free(l->found);
    show_sizes_done(&l->sizes);
    free(l);
}

static int check_values(const struct filters *f, const char *key, const char *const *allowed,
                        struct err *e) {
    strv_for_each (v, filters_get(f, key)) {
        bool ok = false;

        for (const char *const *a = allowed; *a && !ok; a++)
            ok = str_eq(*a, v);
        if (!ok)
            return str_eq(key, "status")
                       ? err_set(e, ERR_INVALID, "invalid filter 'status=%s'", v)
                       : err_set(e, ERR_INVALID, "Unrecognised filter value for %s: %s", key, v);
    }
    return 0;
}

/* "80", "80/udp", "8000-8080": the numbers are checked before anything is compared with them. */
static int check_ports(const struct filters *f, const char *key, struct err *e) {
    strv_for_each (v, filters_get(f, key)) {
        auto_free char *range = xstrndup(v, strcspn(v, "/"));
        auto_strv ends = str_split(range, '-');
        size_t n = strv_len(ends);
        uint64_t port;

        if (n > 2)
            return err_set(e, ERR_INVALID, "error while looking up for %s %s: invalid port range",
                           key, v);
        strv_for_each (end, ends)
            if (str_to_u64(end, &port) < 0 || port > UINT16_MAX)
                return err_set(e, ERR_INVALID,
                               "error while looking up for %s %s: strconv.ParseUint: parsing "
                               "\"%s\": invalid syntax",
                               key, v, end);
    }
    return 0;
}

/* The created times that before= and since= name; several values: the last one counts. */
static int find_limits(struct listing *l, struct err *e) {
    strv_for_each (v, filters_get(&l->filters, "before")) {
        l->before = container_find(l->call->engine, v, e);
        if (!l->before)
            return -1;
    }
    strv_for_each (v, filters_get(&l->filters, "since")) {
        l->since = container_find(l->call->engine, v, e);
        if (!l->since)
            return -1;
    }
    strv_for_each (v, filters_get(&l->filters, "exited")) {
        int64_t code;

        if (str_to_i64(v, &code) < 0)
            return err_set(e, ERR_INVALID, "strconv.Atoi: parsing \"%s\": invalid syntax", v);
    }
    {
        bool is_task;
        int r = check_values(&l->filters, "status", statuses, e);

        if (r == 0)
            r = check_values(&l->filters, "health", healths, e);
        if (r == 0)
            r = filters_bool(&l->filters, "is-task", false, &is_task, e);
        if (r == 0)
            r = check_ports(&l->filters, "expose", e);
        return r < 0 ? r : check_ports(&l->filters, "publish", e);
    }
}

/* An image and all that were made from it. */
static bool has_ancestor(struct engine *eng, const struct container *c, const char *want) {
    struct image *w = image_find(eng->images, want, NULL);
    struct image *i = image_get(eng->images, c->rec.image_id);

    if (str_eq(c->rec.config.image, want))
        return true;
    for (unsigned depth = 0; w && i && depth < 256; depth++) {
        if (i == w)
            return true;
        if (!i->parent)
            break;
        i = image_get(eng->images, i->parent);
    }
    return w && str_eq(w->id, c->rec.image_id);
}

static bool any_mount(const struct container *c, const char *want) {
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);

        if (str_eq(m->name, want) || str_eq(m->destination, want) || str_eq(m->source, want))
            return true;
    }
    return false;
}

static bool exposes(const struct container *c, const char *want) {
    return ports_match(c, want, false);
}

static bool publishes(const struct container *c, const char *want) {
    return ports_match(c, want, true);
}

static bool on_network(const struct container *c, const char *want) {
    const struct network *n = network_find(c->engine, want, NULL);

    return n && (str_eq(n->rec.name, want) || str_eq(n->rec.id, want)) && endpoint_on(c, n);
}

static bool any(const struct filters *f, const char *key, const struct container *c,
                bool (*test)(const struct container *c, const char *want)) {
    if (!filters_has(f, key))
        return true;
    strv_for_each (v, filters_get(f, key))
        if (test(c, v))
            return true;
    return false;
}

static bool has_exit_code(const struct container *c, const char *want) {
    int64_t code;

    return str_to_i64(want, &code) == 0 && !c->rec.running && c->rec.has_been_started &&
           c->rec.exit_code == code;
}

static bool has_id(const struct container *c, const char *want) {
    return str_starts(c->rec.id, want);
}

static bool has_parent(const struct container *c, const char *want) {
    return has_ancestor(c->engine, c, want);
}

static bool matches(const struct listing *l, const struct container *c) {
    const struct filters *f = &l->filters;
    const char *health = health_status(c);
    auto_free char *slashed = xasprintf("/%s", c->rec.name);

    if (l->before && c->rec.created_ns >= l->before->rec.created_ns)
        return false;
    if (l->since && c->rec.created_ns <= l->since->rec.created_ns)
        return false;
    return any(f, "id", c, has_id) &&
           (filters_match(f, "name", c->rec.name) || filters_match(f, "name", slashed)) &&
           filters_labels(f, "label", &c->rec.config.labels) &&
           filters_exact(f, "status", container_status(c)) &&
           filters_exact(f, "health", health ? health : "none") &&
           any(f, "exited", c, has_exit_code) && any(f, "ancestor", c, has_parent) &&
           any(f, "volume", c, any_mount) && any(f, "expose", c, exposes) &&
           any(f, "publish", c, publishes) && any(f, "network", c, on_network) &&
           filters_exact(f, "isolation", "default") &&
           (!filters_has(f, "is-task") || filters_exact(f, "is-task", "false"));
}

static int newest_first(const void *a, const void *b) {
    const struct container *x = *(struct container *const *)a, *y = *(struct container *const *)b;

    return x->rec.created_ns < y->rec.created_ns   ? 1
           : x->rec.created_ns > y->rec.created_ns ? -1
                                                   : 0;
}

static void answer(struct listing *l) {
    auto_strv link_names = links_names(l->call->engine);
    auto_buf b = BUF_INIT;
    struct jw w;

    jw_init(&w, &b);
    jw_array(&w);
    for (size_t i = 0; i < l->count; i++) {
        const struct show_size *s = show_sizes_find(&l->sizes, l->found[i]->rec.id);

        show_container_summary(l->found[i], l->call->version, link_names, s ? s->rw : -1,
                               s ? s->root : -1, &w);
    }
    jw_end_array(&w);
    call_json(l->call, 200, &b);
    listing_free(l);
}

static void collect(struct listing *l, bool all, int64_t limit) {
    struct engine *eng = l->call->engine;

    l->found = xcalloc(eng->containers.count, sizeof(struct container *));
    map_for_each (it, &eng->containers) {
        struct container *c = it->value;

        if (c->committed && (all || container_is_running(c) || container_is_restarting(c)) &&
            matches(l, c))
            l->found[l->count++] = c;
    }
    qsort(l->found, l->count, sizeof *l->found, newest_first);
    if (limit > 0 && l->count > (size_t)limit)
        l->count = (size_t)limit;
}

static int measure(struct job *j, void *arg) {
    struct listing *l = arg;

    (void)j;
    show_sizes_measure(&l->sizes);
    return 0;
}

/* The containers may have changed while the worker walked: they are looked up again. */
static void measured(void *arg, int r) {
    struct listing *l = arg;
    size_t n = 0;

    (void)r;
    for (size_t i = 0; i < l->sizes.count; i++) {
        struct container *c = map_get(&l->call->engine->containers, l->sizes.items[i].id);

        if (c)
            l->found[n++] = c;
    }
    l->count = n;
    answer(l);
}

void containers_list(struct api_call *c) {
    struct listing *l = xnew(struct listing);
    bool all = call_query_bool(c, "all", false);
    auto_err e = ERR_INIT;
    int64_t limit = 0;

    l->call = c;
    if (call_query_int(c, "limit", 0, &limit, &e) < 0 ||
        call_filters(c, filter_keys, &l->filters, &e) < 0 || find_limits(l, &e) < 0) {
        call_error(c, &e);
        listing_free(l);
        return;
    }
    /* As dockerd: these show stopped containers without being asked for all. */
    if (limit > 0 || l->before || l->since || filters_has(&l->filters, "status") ||
        filters_has(&l->filters, "exited"))
        all = true;
    collect(l, all, limit);
    if (!call_query_bool(c, "size", false)) {
        answer(l);
        return;
    }
    for (size_t i = 0; i < l->count; i++)
        show_sizes_add(&l->sizes, l->found[i]);
    job_start(c->engine->loop, JOB_SHORT, measure, measured, l);
}
