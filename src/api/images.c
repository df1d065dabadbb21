/* SPDX-License-Identifier: Apache-2.0 */

/* /images: list, inspect, history, tag, remove, prune. Archives are in images_archive.c. */
#include <stdlib.h>
#include <string.h>

#include "api/images.h"
#include "api/router.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/container.h"
#include "format/match.h"
#include "format/ref.h"

#define NONE_TAG    "<none>:<none>"
#define NONE_DIGEST "<none>@<none>"

void images_event(struct engine *eng, const struct image *i, const char *id, const char *name,
                  const char *action) {
    struct strmap attrs = {0};

    if (i && i->config.config)
        strmap_copy(&attrs, &i->config.config->labels);
    strmap_put(&attrs, "name", name);
    events_publish(eng->events, "image", action, id, &attrs);
    strmap_done(&attrs);
}

struct image *images_of_call(struct api_call *c) {
    auto_err e = ERR_INIT;
    struct image *i = image_find(c->engine->images, call_param(c, 0), &e);

    if (!i)
        call_error(c, &e);
    return i;
}

char *images_familiar(const char *canonical) {
    struct image_ref r = {0};
    char *s;

    if (image_ref_parse(canonical, &r, NULL) < 0)
        return xstrdup(canonical);
    s = image_ref_familiar(&r);
    image_ref_done(&r);
    return s;
}

static void emit_refs(struct jw *w, const char *key, char *const *refs, const char *none) {
    jw_key(w, key);
    jw_array(w);
    strv_for_each (ref, refs) {
        auto_free char *s = images_familiar(ref);

        jw_str(w, s);
    }
    if (strv_len(refs) == 0 && none)
        jw_str(w, none);
    jw_end_array(w);
}

/* ---- list ------------------------------------------------------------------------------------ */
static const char *const list_filters[] = {"dangling",  "label", "before", "since",
                                           "reference", "until", NULL};

/* Those of the references that the filter lets through: all without one. Owned by the caller. */
static char **filtered_refs(const struct filters *f, char *const *refs) {
    char **out = NULL;

    if (!filters_has(f, "reference"))
        return strv_dup(refs);
    strv_for_each (canonical, refs) {
        struct image_ref r = {0};

        if (image_ref_parse(canonical, &r, NULL) < 0)
            continue;
        strv_for_each (pattern, filters_get(f, "reference"))
            if (image_ref_match(pattern, &r)) {
                strv_add(&out, canonical);
                break;
            }
        image_ref_done(&r);
    }
    return out;
}

static const struct strmap *labels_of(const struct image *i) {
    static const struct strmap none = {0};

    return i->config.config ? &i->config.config->labels : &none;
}

static int64_t count_containers(struct engine *eng, const struct image *i) {
    int64_t n = 0;

    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;

        n += str_eq(c->rec.image_id, i->id);
    }
    return n;
}

static void emit_summary(struct engine *eng, const struct image *i, char *const *tags,
                         char *const *digests, int version, bool count, int64_t shared,
                         struct jw *w) {
    const struct strmap *labels = labels_of(i);
    bool old = version < 43; /* dangling images had a name made of <none> */

    jw_object(w);
    jw_kint(w, "Containers", count ? count_containers(eng, i) : -1);
    jw_kint(w, "Created", i->created_ns / NS_PER_SEC);
    jw_kstr(w, "Id", i->id);
    jw_key(w, "Labels");
    if (labels->count == 0) {
        jw_null(w);
    } else {
        jw_object(w);
        strmap_for_each(l, labels) jw_kstr(w, l->key, l->value);
        jw_end_object(w);
    }
    jw_kstr(w, "ParentId", i->parent);
    if (strv_len(digests) == 0 && strv_len(tags) > 0 && old)
        jw_knull(w, "RepoDigests");
    else
        emit_refs(w, "RepoDigests", digests, old ? NONE_DIGEST : NULL);
    emit_refs(w, "RepoTags", tags, old && strv_len(digests) == 0 ? NONE_TAG : NULL);
    jw_kint(w, "SharedSize", shared);
    jw_kuint(w, "Size", i->size);
    if (version < 44)
        jw_kuint(w, "VirtualSize", i->size);
    jw_end_object(w);
}

void images_summary(struct engine *eng, const struct image *i, int version, bool count,
                    int64_t shared, struct jw *w) {
    emit_summary(eng, i, i->tags, i->digests, version, count, shared, w);
}

static void list(struct api_call *c) {
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    struct image *before = NULL, *since = NULL, **all;
    bool intermediate = call_query_bool(c, "all", false), dangling;
    const char *name = call_query(c, "filter"); /* before 1.41: one name */
    int64_t until = 0;
    struct jw w;
    size_t n;

    if (call_filters(c, list_filters, &f, &e) < 0 ||
        filters_bool(&f, "dangling", false, &dangling, &e) < 0 ||
        filters_until(&f, &until, &e) < 0) {
        call_error(c, &e);
        return;
    }
    strv_for_each (v, filters_get(&f, "before"))
        if (!(before = image_find(c->engine->images, v, &e))) {
            call_error(c, &e);
            return;
        }
    strv_for_each (v, filters_get(&f, "since"))
        if (!(since = image_find(c->engine->images, v, &e))) {
            call_error(c, &e);
            return;
        }
    if (!str_empty(name))
        filters_add(&f, "reference", name);
    strv_for_each (v, filters_get(&f, "reference"))
        if (go_match(v, "x") < 0) {
            call_errorf(c, ERR_INVALID, "syntax error in pattern: invalid filter 'reference=[%s]'",
                        v);
            return;
        }
    all = image_list(c->engine->images, &n);
    jw_init(&w, &b);
    jw_array(&w);
    for (size_t k = 0; k < n; k++) {
        const struct image *i = all[k];
        bool untagged = strv_len(i->tags) == 0 && strv_len(i->digests) == 0;
        auto_strv tags = NULL;
        auto_strv digests = NULL;

        if ((untagged && i->children > 0 && !intermediate) ||
            (filters_has(&f, "dangling") && dangling != untagged) ||
            (before && i->created_ns >= before->created_ns) ||
            (since && i->created_ns <= since->created_ns) || (until && i->created_ns > until) ||
            !filters_labels(&f, "label", labels_of(i)))
            continue;
        tags = filtered_refs(&f, i->tags);
        digests = filtered_refs(&f, i->digests);
        if (filters_has(&f, "reference") && !tags && !digests)
            continue;
        emit_summary(c->engine, i, tags, digests, c->version, false, -1, &w);
    }
    free(all);
    jw_end_array(&w);
    call_json(c, 200, &b);
}

/* ---- inspect --------------------------------------------------------------------------------- */
static void emit_graph_driver(struct engine *eng, const struct image *i, struct jw *w) {
    auto_strv layers = NULL;

    jw_key(w, "GraphDriver");
    jw_object(w);
    jw_key(w, "Data");
    jw_object(w);
    if (layer_chain_paths(eng->layers, i->config.rootfs.diff_ids, &layers, NULL) == 0 && layers &&
        layers[0]) {
        auto_free char *lower = strv_join(layers + 1, ":");

        if (layers[1])
            jw_kstr(w, "LowerDir", lower);
        jw_kstr(w, "MergedDir", layers[0]);
        jw_kstr(w, "UpperDir", layers[0]);
        jw_kstr(w, "WorkDir", layers[0]);
    } else {
        jw_kstr(w, "MergedDir", "");
        jw_kstr(w, "UpperDir", "");
        jw_kstr(w, "WorkDir", "");
    }
    jw_end_object(w);
    jw_kstr(w, "Name", "overlay2");
    jw_end_object(w);
}

static void emit_config(struct jw *w, const char *key, const struct container_config *config) {
    struct container_config empty;

    jw_key(w, key);
    if (config) {
        field_emit(&image_exec_config_table, config, w);
        return;
    }
    field_init(&image_exec_config_table, &empty);
    field_emit(&image_exec_config_table, &empty, w);
    field_done(&image_exec_config_table, &empty);
}

static void inspect(struct api_call *c) {
    struct image *i = images_of_call(c);
    char text[TIME_TEXT_MAX];
    auto_buf b = BUF_INIT;
    struct jw w;

    if (!i)
        return;
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "Id", i->id);
    emit_refs(&w, "RepoTags", i->tags, NULL);
    emit_refs(&w, "RepoDigests", i->digests, NULL);
    jw_kstr(&w, "Parent", i->parent);
    jw_kstr(&w, "Comment", i->config.comment);
    jw_kstr(&w, "Created", time_format(i->created_ns, text));
    if (c->version < 45)
        jw_kstr(&w, "Container", i->config.container);
    /* Not in 1.45 and later, but docker-compose 1.29 asks for the newest version there is, and
     * cannot make a container anew without it. */
    emit_config(&w, "ContainerConfig", i->config.container_config);
    jw_kstr(&w, "DockerVersion", i->config.docker_version);
    jw_kstr(&w, "Author", i->config.author);
    emit_config(&w, "Config", i->config.config);
    jw_kstr(&w, "Architecture", i->config.architecture);
    if (!str_empty(i->config.variant))
        jw_kstr(&w, "Variant", i->config.variant);
    jw_kstr(&w, "Os", i->config.os);
    if (!str_empty(i->config.os_version))
        jw_kstr(&w, "OsVersion", i->config.os_version);
    jw_kuint(&w, "Size", i->size);
    if (c->version < 44)
        jw_kuint(&w, "VirtualSize", i->size);
    emit_graph_driver(c->engine, i, &w);
    jw_key(&w, "RootFS");
    jw_object(&w);
    jw_kstr(&w, "Type", "layers");
    if (strv_len(i->config.rootfs.diff_ids) > 0)
        jw_kstrv(&w, "Layers", i->config.rootfs.diff_ids);
    jw_end_object(&w);
    jw_key(&w, "Metadata");
    jw_object(&w);
    jw_kstr(&w, "LastTagTime", time_format(i->last_tag_ns, text));
    jw_end_object(&w);
    jw_end_object(&w);
    call_json(c, 200, &b);
}

/* ---- history --------------------------------------------------------------------------------- */
static void emit_history_row(struct engine *eng, const struct image *owner,
                             const struct image_history *h, const char *diff_id, struct jw *w) {
    struct layer_info info;
    int64_t created = 0;

    field_init(&layer_info_table, &info);
    if (diff_id)
        (void)layer_get(eng->layers, diff_id, &info, NULL); /* unknown: size 0 */
    if (h->created)
        (void)time_parse(h->created, &created); /* malformed: 0 */
    jw_object(w);
    jw_kstr(w, "Comment", h->comment);
    jw_kint(w, "Created", created / NS_PER_SEC);
    jw_kstr(w, "CreatedBy", h->created_by);
    jw_kstr(w, "Id", owner ? owner->id : "<missing>");
    jw_kuint(w, "Size", info.size);
    if (owner && strv_len(owner->tags) > 0)
        emit_refs(w, "Tags", owner->tags, NULL);
    else
        jw_knull(w, "Tags");
    jw_end_object(w);
    field_done(&layer_info_table, &info);
}

static void history(struct api_call *c) {
    struct image *i = images_of_call(c);
    auto_buf b = BUF_INIT;
    const struct image *owner = i;
    size_t layer;
    struct jw w;

    if (!i)
        return;
    layer = strv_len(i->config.rootfs.diff_ids);
    jw_init(&w, &b);
    jw_array(&w);
    for (size_t k = i->config.history.count; k-- > 0;) {
        const struct image_history *h = field_array_at(&i->config.history, struct image_history, k);
        const char *diff_id = NULL;

        if (!h->empty_layer && layer > 0)
            diff_id = i->config.rootfs.diff_ids[--layer];
        emit_history_row(c->engine, owner, h, diff_id, &w);
        owner = owner && owner->parent ? image_get(c->engine->images, owner->parent) : NULL;
    }
    jw_end_array(&w);
    call_json(c, 200, &b);
}

/* ---- tag, remove, prune ---------------------------------------------------------------------- */
static void tag(struct api_call *c) {
    struct image *i = images_of_call(c);
    auto_free char *ref = NULL;
    auto_err e = ERR_INIT;

    if (!i)
        return;
    if (image_tag(c->engine->images, i, str_or_empty(call_query(c, "repo")), call_query(c, "tag"),
                  &ref, &e) < 0) {
        call_error(c, &e);
        return;
    }
    images_event(c->engine, i, i->id, ref, "tag");
    call_empty(c, 201);
}

static enum image_use check_use(void *arg, const struct image *i, const char *ref,
                                const char **ret_container) {
    struct engine *eng = arg;
    enum image_use use = IMAGE_UNUSED;

    (void)ref;
    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;
        static char id[ID_SHORT_LEN + 1];

        if (!str_eq(c->rec.image_id, i->id))
            continue; /* whatever name it was created by */
        memcpy(id, c->rec.id, ID_SHORT_LEN);
        *ret_container = id;
        if (container_is_running(c))
            return IMAGE_USED_RUNNING;
        use = IMAGE_USED_STOPPED;
    }
    return use;
}

/* The members of an open array. */
static void emit_deletions(const struct image_deletions *d, struct engine *eng, struct jw *w) {
    for (size_t k = 0; k < d->count; k++) {
        const struct image_deletion *x = &d->items[k];

        jw_object(w);
        jw_kstr(w, x->untagged ? "Untagged" : "Deleted", x->what);
        jw_end_object(w);
        images_event(eng, NULL, x->image, x->image, x->untagged ? "untag" : "delete");
    }
}

static bool is_platform(const struct image_config *i, struct json_object *p) {
    const char *variant = jsn_str(p, "variant");

    return str_eq(jsn_str(p, "os"), str_empty(i->os) ? "linux" : i->os) &&
           str_eq(jsn_str(p, "architecture"), i->architecture) &&
           (str_empty(variant) || str_eq(variant, i->variant));
}

/* `platforms`, each an OCI platform as JSON: an image has one here, which must be among them. */
static int check_platforms(struct api_call *c, const char *name, struct err *e) {
    const struct image *i = image_find(c->engine->images, name, NULL);
    const char *parameter, *value, *other = NULL;

    for (size_t n = 0; http_req_query_at(c->req, n, &parameter, &value); n++) {
        auto_json *p = NULL;
        int r;

        if (!str_eq(parameter, "platforms"))
            continue;
        r = jsn_parse(value, strlen(value), &p, e);
        if (r < 0)
            return r;
        if (!json_object_is_type(p, json_type_object) || str_empty(jsn_str(p, "os")) ||
            str_empty(jsn_str(p, "architecture")))
            return err_set(e, ERR_INVALID, "invalid platform: %s", value);
        if (i && is_platform(&i->config, p))
            return 0;
        other = value;
    }
    if (!other || !i)
        return 0; /* that there is no such image is told by the deletion */
    return err_set(e, ERR_NOT_FOUND,
                   "image with reference %s was found but its platform (%s/%s) is not among the "
                   "given ones",
                   name, str_empty(i->config.os) ? "linux" : i->config.os,
                   str_or_empty(i->config.architecture));
}

static void remove_image(struct api_call *c) {
    struct image_in_use use = {check_use, c->engine};
    struct image_deletions d = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (check_platforms(c, call_param(c, 0), &e) < 0) {
        call_error(c, &e);
        return;
    }
    if (image_delete(c->engine->images, call_param(c, 0), call_query_bool(c, "force", false),
                     call_query_bool(c, "noprune", false), &use, &d, &e) < 0) {
        call_error(c, &e);
        return;
    }
    jw_init(&w, &b);
    jw_array(&w);
    emit_deletions(&d, c->engine, &w);
    jw_end_array(&w);
    image_deletions_done(&d);
    engine_empty_trash(c->engine);
    call_json(c, 200, &b);
}

static const char *const prune_filters[] = {"dangling", "label", "label!", "until", NULL};

static void prune(struct api_call *c) {
    struct image_in_use use = {check_use, c->engine};
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    auto_strv ids = NULL;
    uint64_t bytes = 0;
    int64_t until = 0;
    bool dangling, any = false;
    struct image **all;
    struct jw w;
    size_t n;

    if (call_filters(c, prune_filters, &f, &e) < 0 ||
        filters_bool(&f, "dangling", true, &dangling, &e) < 0 ||
        filters_until(&f, &until, &e) < 0) {
        call_error(c, &e);
        return;
    }
    all = image_list(c->engine->images, &n);
    for (size_t k = 0; k < n; k++) {
        const char *container;

        if ((dangling && (strv_len(all[k]->tags) > 0 || strv_len(all[k]->digests) > 0 ||
                          all[k]->children > 0)) ||
            (until && all[k]->created_ns > until) ||
            !filters_labels(&f, "label", labels_of(all[k])) ||
            !filters_labels(&f, "label!", labels_of(all[k])) ||
            check_use(c->engine, all[k], NULL, &container) != IMAGE_UNUSED)
            continue;
        strv_add(&ids, all[k]->id);
    }
    free(all);
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "ImagesDeleted");
    strv_for_each (id, ids) {
        struct image *i = image_get(c->engine->images, id);
        struct image_deletions d = {0};
        uint64_t size = i ? i->size : 0;

        /* Removed with a child before, or held by one that stays. */
        if (!i || image_delete(c->engine->images, id, true, false, &use, &d, NULL) < 0)
            continue;
        if (!any)
            jw_array(&w);
        any = true;
        bytes += size;
        emit_deletions(&d, c->engine, &w);
        image_deletions_done(&d);
    }
    if (any)
        jw_end_array(&w);
    else
        jw_null(&w);
    jw_kuint(&w, "SpaceReclaimed", bytes);
    jw_end_object(&w);
    engine_empty_trash(c->engine);
    call_json(c, 200, &b);
}

const struct route routes_images[] = {
    {"GET", "/images/json", 0, list},
    {"POST", "/images/load", ROUTE_RAW, images_load},
    {"POST", "/images/create", ROUTE_RAW, images_create},
    {"POST", "/images/prune", ROUTE_DURABLE, prune},
    {"GET", "/images/get", 0, images_save},
    {"GET", "/images/{name*}/get", 0, images_save_one},
    {"GET", "/images/{name*}/json", 0, inspect},
    {"GET", "/images/{name*}/history", 0, history},
    {"POST", "/images/{name*}/tag", ROUTE_DURABLE, tag},
    {"DELETE", "/images/{name*}", ROUTE_DURABLE, remove_image},
    {NULL, NULL, 0, NULL},
};
