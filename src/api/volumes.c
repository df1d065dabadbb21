/* SPDX-License-Identifier: Apache-2.0 */

/* /volumes */
#include <string.h>

#include "api/router.h"
#include "api/volumes.h"
#include "base/alloc.h"

/* None is Go's nil map. */
static void emit_map(struct jw *w, const char *key, const struct strmap *m) {
    jw_key(w, key);
    if (m->count == 0) {
        jw_null(w);
        return;
    }
    jw_object(w);
    strmap_for_each(e, m) jw_kstr(w, e->key, e->value);
    jw_end_object(w);
}

void volumes_emit(const struct volume *v, int64_t size, struct jw *w) {
    jw_object(w);
    jw_kstr(w, "CreatedAt", v->created);
    jw_kstr(w, "Driver", v->driver);
    emit_map(w, "Labels", &v->labels);
    jw_kstr(w, "Mountpoint", v->mountpoint);
    jw_kstr(w, "Name", v->name);
    emit_map(w, "Options", &v->options);
    jw_kstr(w, "Scope", "local");
    if (size >= 0) {
        jw_key(w, "UsageData");
        jw_object(w);
        jw_kint(w, "RefCount", v->refs);
        jw_kint(w, "Size", size);
        jw_end_object(w);
    }
    jw_end_object(w);
}

static void event(struct engine *eng, const char *name, const char *action) {
    struct strmap attrs = {0};

    strmap_put(&attrs, "driver", "local");
    events_publish(eng->events, "volume", action, name, &attrs);
    strmap_done(&attrs);
}

/* ---- list ------------------------------------------------------------------------------------ */
static const char *const list_filters[] = {"dangling", "driver", "label", "name", NULL};

struct listing {
    struct filters *filters;
    bool by_dangling, dangling;
    struct jw *w;
};

static void list_one(void *arg, struct volume *v) {
    struct listing *l = arg;

    if ((l->by_dangling && l->dangling != (v->refs == 0)) ||
        !filters_exact(l->filters, "driver", v->driver) ||
        !filters_labels(l->filters, "label", &v->labels) ||
        !filters_match(l->filters, "name", v->name))
        return;
    volumes_emit(v, -1, l->w);
}

static void list(struct api_call *c) {
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    struct listing l;
    struct jw w;

    l = (struct listing){.filters = &f, .w = &w};
    if (call_filters(c, list_filters, &f, &e) < 0 ||
        filters_bool(&f, "dangling", false, &l.dangling, &e) < 0) {
        call_error(c, &e);
        return;
    }
    l.by_dangling = filters_has(&f, "dangling");
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "Volumes");
    jw_array(&w);
    volume_each(c->engine->volumes, list_one, &l);
    jw_end_array(&w);
    jw_knull(&w, "Warnings");
    jw_end_object(&w);
    call_json(c, 200, &b);
}

/* ---- create, inspect, remove ----------------------------------------------------------------- */
static void read_map(struct json_object *o, struct strmap *ret) {
    if (!o || !json_object_is_type(o, json_type_object))
        return;
    json_object_object_foreach(o, key, value)
        strmap_put(ret, key, str_or_empty(json_object_get_string(value)));
}

static void answer(struct api_call *c, int status, const struct volume *v) {
    auto_buf b = BUF_INIT;
    struct jw w;

    jw_init(&w, &b);
    volumes_emit(v, -1, &w);
    call_json(c, status, &b);
}

static void create(struct api_call *c) {
    struct json_object *parsed = NULL;
    struct strmap labels = {0}, options = {0};
    struct volume_create vc;
    auto_err e = ERR_INIT;
    struct volume *v = NULL;
    bool created = false;

    if (call_json_body(c, true, &parsed, &e) == 0) {
        read_map(jsn_get(parsed, "Labels"), &labels);
        read_map(jsn_get(parsed, "DriverOpts"), &options);
        vc = (struct volume_create){.name = jsn_str(parsed, "Name"),
                                    .driver = jsn_str(parsed, "Driver"),
                                    .labels = &labels,
                                    .options = &options};
        if (jsn_get(parsed, "ClusterVolumeSpec"))
            (void)err_set(&e, ERR_UNAVAILABLE, /* sets, cannot fail */
                          "volume create: cluster volumes need a swarm");
        else
            (void)volume_create(c->engine->volumes, &vc, &v, &created, &e); /* v tells */
    }
    json_object_put(parsed);
    strmap_done(&labels);
    strmap_done(&options);
    if (!v) {
        call_error(c, &e);
        return;
    }
    if (created)
        event(c->engine, v->name, "create");
    answer(c, 201, v);
}

static void inspect(struct api_call *c) {
    auto_err e = ERR_INIT;
    struct volume *v = volume_find(c->engine->volumes, call_param(c, 0), &e);

    if (v)
        answer(c, 200, v);
    else
        call_error(c, &e);
}

static void remove_volume(struct api_call *c) {
    const char *name = call_param(c, 0);
    bool known = volume_find(c->engine->volumes, name, NULL) != NULL;
    auto_err e = ERR_INIT;

    if (volume_remove(c->engine->volumes, name, call_query_bool(c, "force", false), &e) < 0) {
        call_error(c, &e);
        return;
    }
    if (known)
        event(c->engine, name, "destroy");
    engine_empty_trash(c->engine);
    call_empty(c, 204);
}

/* ---- prune ----------------------------------------------------------------------------------- */
static const char *const prune_filters[] = {"label", "label!", "all", NULL};

struct pruning {
    struct api_call *call;
    struct filters filters;
    bool all;
    char **names, **paths;
    uint64_t bytes;
};

static void prune_collect(void *arg, struct volume *v) {
    struct pruning *p = arg;

    if (v->refs > 0 || (!p->all && !v->anonymous) ||
        !filters_labels(&p->filters, "label", &v->labels) ||
        !filters_labels(&p->filters, "label!", &v->labels))
        return;
    strv_add(&p->names, v->name);
    strv_add(&p->paths, v->mountpoint);
}

static int prune_measure(struct job *j, void *arg) {
    struct pruning *p = arg;

    (void)j;
    strv_for_each (path, p->paths) {
        uint64_t n;

        if (volume_measure(path, &n) == 0)
            p->bytes += n;
    }
    return 0;
}

static void prune_now(void *arg, int r) {
    struct pruning *p = arg;
    struct engine *eng = p->call->engine;
    auto_buf b = BUF_INIT;
    struct strmap attrs = {0};
    auto_free char *bytes = xasprintf("%llu", (unsigned long long)p->bytes);
    struct jw w;

    (void)r;
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "VolumesDeleted");
    jw_array(&w);
    strv_for_each (name, p->names) {
        if (volume_remove(eng->volumes, name, false, NULL) < 0)
            continue; /* used since it was found */
        event(eng, name, "destroy");
        jw_str(&w, name);
    }
    jw_end_array(&w);
    jw_kuint(&w, "SpaceReclaimed", p->bytes);
    jw_end_object(&w);
    strmap_put(&attrs, "reclaimed", bytes);
    events_publish(eng->events, "volume", "prune", "", &attrs);
    strmap_done(&attrs);
    engine_empty_trash(eng);
    call_json(p->call, 200, &b);
    filters_done(&p->filters);
    strv_free(p->names);
    strv_free(p->paths);
    free(p);
}

static void prune(struct api_call *c) {
    struct pruning *p = xnew(struct pruning);
    auto_err e = ERR_INIT;

    p->call = c;
    /* Since 1.42 only anonymous volumes are pruned unless all are asked for. */
    if (call_filters(c, prune_filters, &p->filters, &e) < 0 ||
        filters_bool(&p->filters, "all", c->version < 42, &p->all, &e) < 0) {
        call_error(c, &e);
        filters_done(&p->filters);
        free(p);
        return;
    }
    volume_each(c->engine->volumes, prune_collect, p);
    job_start(c->engine->loop, JOB_SHORT, prune_measure, prune_now, p);
}

const struct route routes_volumes[] = {
    {"GET", "/volumes", 0, list},
    {"POST", "/volumes/create", ROUTE_BODY | ROUTE_JSON_BODY | ROUTE_DURABLE, create},
    {"POST", "/volumes/prune", ROUTE_DURABLE, prune},
    {"GET", "/volumes/{name*}", 0, inspect},
    {"DELETE", "/volumes/{name*}", ROUTE_DURABLE, remove_volume},
    {NULL, NULL, 0, NULL},
};
