/* SPDX-License-Identifier: Apache-2.0 */

/* GET /system/df: what is known to the loop is emitted at the end, sizes of trees are measured by a
 * worker before. */
#include <stdlib.h>

#include "api/images.h"
#include "api/show.h"
#include "api/system.h"
#include "api/volumes.h"
#include "base/alloc.h"
#include "engine/links.h"

enum df_type { DF_CONTAINER = 1, DF_IMAGE = 2, DF_VOLUME = 4, DF_BUILD_CACHE = 8, DF_ALL = 15 };

static const struct {
    const char *name;
    enum df_type type;
} df_types[] = {
    {"container", DF_CONTAINER},
    {"image", DF_IMAGE},
    {"volume", DF_VOLUME},
    {"build-cache", DF_BUILD_CACHE},
};

struct df_volume {
    char *name, *path;
    int64_t size; /* -1 when it cannot be had */
};

struct df {
    struct api_call *call;
    unsigned types;
    struct show_sizes sizes;
    struct df_volume *volumes;
    size_t n_volumes;
};

static void df_free(struct df *d) {
    show_sizes_done(&d->sizes);
    for (size_t i = 0; i < d->n_volumes; i++) {
        free(d->volumes[i].name);
        free(d->volumes[i].path);
    }
    free(d->volumes);
    free(d);
}

/* ---- layers and images ----------------------------------------------------------------------- */
static void add_layer(void *arg, const struct layer_info *info, unsigned refs) {
    uint64_t *sum = arg;

    (void)refs;
    *sum += info->size;
}

/* How many images have a layer: counts are kept in the map's pointers. A layer that one image has
 * twice is not shared by that. */
static void count_layers(const struct image *i, struct map *users) {
    struct map seen = {0};

    strv_for_each (id, i->config.rootfs.diff_ids) {
        uintptr_t n = (uintptr_t)map_get(users, id);

        if (map_get(&seen, id))
            continue;
        map_put(&seen, id, &seen);
        map_put(users, id, (void *)(n + 1));
    }
    map_done(&seen);
}

static int64_t shared_size(struct layer_store *layers, const struct image *i,
                           const struct map *users) {
    int64_t sum = 0;

    strv_for_each (id, i->config.rootfs.diff_ids) {
        struct layer_info info;

        if ((uintptr_t)map_get(users, id) < 2)
            continue;
        field_init(&layer_info_table, &info);
        if (layer_get(layers, id, &info, NULL) == 0)
            sum += (int64_t)info.size;
        field_done(&layer_info_table, &info);
    }
    return sum;
}

static void emit_images(struct engine *eng, int version, struct jw *w) {
    struct map users = {0};
    size_t n, kept = 0;
    struct image **all = image_list(eng->images, &n);

    /* As `docker images` without --all: no images that are only there for their children. */
    for (size_t k = 0; k < n; k++)
        if (strv_len(all[k]->tags) > 0 || strv_len(all[k]->digests) > 0 || all[k]->children == 0)
            all[kept++] = all[k];
    for (size_t k = 0; k < kept; k++)
        count_layers(all[k], &users);
    jw_array(w);
    for (size_t k = 0; k < kept; k++)
        images_summary(eng, all[k], version, true, shared_size(eng->layers, all[k], &users), w);
    jw_end_array(w);
    map_done(&users);
    free(all);
}

/* ---- containers and volumes ------------------------------------------------------------------ */
static int newest_first(const void *a, const void *b) {
    const struct container *x = *(struct container *const *)a, *y = *(struct container *const *)b;

    return (x->rec.created_ns < y->rec.created_ns) - (x->rec.created_ns > y->rec.created_ns);
}

static void add_containers(struct df *d) {
    struct map *all = &d->call->engine->containers;
    auto_free struct container **found = xcalloc(all->count + 1, sizeof *found);
    size_t n = 0;

    map_for_each (it, all) {
        struct container *c = it->value;

        if (c->committed)
            found[n++] = c;
    }
    qsort(found, n, sizeof *found, newest_first);
    for (size_t i = 0; i < n; i++)
        show_sizes_add(&d->sizes, found[i]);
}

static void emit_containers(const struct df *d, struct jw *w) {
    auto_strv link_names = links_names(d->call->engine);

    jw_array(w);
    for (size_t i = 0; i < d->sizes.count; i++) {
        const struct show_size *s = &d->sizes.items[i];
        const struct container *c = map_get(&d->call->engine->containers, s->id);

        if (c) /* else removed while the worker walked */
            show_container_summary(c, d->call->version, link_names, s->rw, s->root, w);
    }
    jw_end_array(w);
}

static void add_volume(void *arg, struct volume *v) {
    struct df *d = arg;

    d->volumes[d->n_volumes++] =
        (struct df_volume){.name = xstrdup(v->name), .path = xstrdup(v->mountpoint), .size = -1};
}

static void emit_volumes(const struct df *d, struct jw *w) {
    jw_array(w);
    for (size_t i = 0; i < d->n_volumes; i++) {
        const struct volume *v = volume_find(d->call->engine->volumes, d->volumes[i].name, NULL);

        if (!v)
            continue; /* removed while the worker walked */
        volumes_emit(v, d->volumes[i].size, w);
    }
    jw_end_array(w);
}

/* ---- the request ----------------------------------------------------------------------------- */
static int measure(struct job *j, void *arg) {
    struct df *d = arg;

    show_sizes_measure(&d->sizes);
    for (size_t i = 0; i < d->n_volumes && !job_is_cancelled(j); i++) {
        uint64_t n;

        if (volume_measure(d->volumes[i].path, &n) == 0)
            d->volumes[i].size = (int64_t)n;
    }
    return 0;
}

static void measured(void *arg, int r) {
    struct df *d = arg;
    struct engine *eng = d->call->engine;
    auto_buf b = BUF_INIT;
    uint64_t layers = 0;
    struct jw w;

    (void)r; /* what could not be measured is -1 */
    if (d->types & DF_IMAGE)
        layer_store_each(eng->layers, add_layer, &layers);
    jw_init(&w, &b);
    jw_object(&w);
    jw_kuint(&w, "LayersSize", layers);
    jw_key(&w, "Images");
    if (d->types & DF_IMAGE)
        emit_images(eng, d->call->version, &w);
    else
        jw_null(&w);
    jw_key(&w, "Containers");
    if (d->types & DF_CONTAINER)
        emit_containers(d, &w);
    else
        jw_null(&w);
    jw_key(&w, "Volumes");
    if (d->types & DF_VOLUME)
        emit_volumes(d, &w);
    else
        jw_null(&w);
    /* Empty as long as there is no builder. */
    jw_key(&w, "BuildCache");
    if (d->types & DF_BUILD_CACHE) {
        jw_array(&w);
        jw_end_array(&w);
    } else {
        jw_null(&w);
    }
    jw_kint(&w, "BuilderSize", 0);
    jw_end_object(&w);
    call_json(d->call, 200, &b);
    df_free(d);
}

/* `type`, which may come several times; everything without. Older versions did not know it. */
static int read_types(const struct api_call *c, unsigned *ret, struct err *e) {
    const char *name, *value;
    unsigned types = 0;

    if (c->version >= 42)
        for (size_t i = 0; http_req_query_at(c->req, i, &name, &value); i++) {
            size_t k = 0;

            if (!str_eq(name, "type"))
                continue;
            while (k < sizeof df_types / sizeof *df_types && !str_eq(df_types[k].name, value))
                k++;
            if (k == sizeof df_types / sizeof *df_types)
                return err_set(e, ERR_INVALID, "unknown object type: %s", value);
            types |= df_types[k].type;
        }
    *ret = types ? types : DF_ALL;
    return 0;
}

void system_df(struct api_call *c) {
    auto_err e = ERR_INIT;
    unsigned types = 0;
    struct df *d;

    if (read_types(c, &types, &e) < 0) {
        call_error(c, &e);
        return;
    }
    d = xnew(struct df);
    d->call = c;
    d->types = types;
    if (types & DF_CONTAINER)
        add_containers(d);
    if (types & DF_VOLUME) {
        d->volumes = xcalloc(volume_count(c->engine->volumes) + 1, sizeof *d->volumes);
        volume_each(c->engine->volumes, add_volume, d);
    }
    job_start(c->engine->loop, JOB_SHORT, measure, measured, d);
}
