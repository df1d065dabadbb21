/* SPDX-License-Identifier: Apache-2.0 */

/* What the documents of an archive say: its images, their tags and their layers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/json.h"
#include "format/ref.h"
#include "image/archive_priv.h"
#include "oci/image_config.h"

#define LEGACY_DEPTH_MAX IMAGE_LAYERS_MAX
#define INDEX_DEPTH_MAX  4u

const char *archive_host_arch(void) {
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#else
#error "no GOARCH for this architecture"
#endif
}

/* ---- an image ------------------------------------------------------------------------------- */

int loader_tag(const char *text, char **ret, struct err *e) {
    struct image_ref ref = {0};
    int r = image_ref_parse(text, &ref, e);
    if (r < 0)
        return r;
    if (!ref.tag || ref.digest)
        r = err_set(e, ERR_INVALID, "invalid tag \"%s\"", text);
    else
        *ret = image_ref_canonical(&ref);
    image_ref_done(&ref);
    return r;
}

/* A reference on the layer at `path`, which must be `want`. */
static int take_layer(struct loader *l, size_t number, const char *path, const char *want,
                      struct err *e) {
    struct blob *b = loader_find(l, path);
    if (!b) {
        /* Left out by the writer because the reader has it. */
        if (layer_ref(l->layers, want, NULL) == 0)
            return 0;
        return err_set(e, ERR_INVALID, "invalid archive: layer %s is missing", path);
    }
    if (b->kind == BLOB_BAD) {
        auto_err copy = ERR_INIT;
        int r = err_set(&copy, b->err.class, "%s", err_msg(&b->err));
        err_wrap(&copy, "cannot load layer %s", path);
        err_move(e, &copy);
        return r;
    }
    if (b->kind != BLOB_LAYER)
        return err_set(e, ERR_INVALID, "invalid archive: %s is no layer", path);
    if (!str_eq(b->diff_id, want))
        return err_set(e, ERR_INVALID, "invalid diffID for layer %zu: expected \"%s\", got \"%s\"",
                       number, want, b->diff_id);
    if (b->draft) {
        int r = layer_draft_commit(take_ptr(b->draft), e);
        if (r < 0) {
            b->kind = BLOB_BAD;
            return r;
        }
    }
    return layer_ref(l->layers, want, e);
}

static int check_config(const struct image_config *c, size_t layers, struct err *e) {
    if (c->os && *c->os && !str_eq(c->os, "linux"))
        return err_set(e, ERR_INVALID, "cannot load %s image on linux", c->os);
    size_t want = strv_len(c->rootfs.diff_ids);
    if (want != layers)
        return err_set(e, ERR_INVALID,
                       "invalid manifest, layers length mismatch: expected %zu, got %zu", want,
                       layers);
    return 0;
}

int loader_add_image(struct loader *l, const char *config, size_t config_len, char *const *paths,
                     char *const *tags, struct err *e) {
    struct image_config c;
    int r = image_config_parse(config, config_len, &c, e);
    if (r < 0)
        return r;
    r = check_config(&c, strv_len(paths), e);
    size_t taken = 0;
    for (; r == 0 && paths && paths[taken]; taken += r == 0)
        r = take_layer(l, taken, paths[taken], c.rootfs.diff_ids[taken], e);
    if (r == 0) {
        struct image_item *i = image_bundle_add(&l->images);
        digest_of(config, config_len, i->id);
        i->config = xstrndup(config, config_len);
        i->diff_ids = strv_dup(c.rootfs.diff_ids);
        i->tags = strv_dup(tags);
        r = layer_chain_totals(l->layers, i->diff_ids, &i->size, NULL, e);
    } else {
        while (taken > 0)
            layer_unref(l->layers, c.rootfs.diff_ids[--taken]);
    }
    field_done(&image_config_table, &c);
    return r;
}

/* ---- docker archive ------------------------------------------------------------------------- */

static int add_docker_image(struct loader *l, const struct archive_image *a, struct err *e) {
    const struct blob *config;
    auto_strv tags = NULL;
    int r = loader_text(l, str_or_empty(a->config), &config, e);
    strv_for_each (text, a->repo_tags) {
        char *tag = NULL;
        if (r == 0)
            r = loader_tag(text, &tag, e);
        if (tag)
            strv_take(&tags, tag);
    }
    return r < 0 ? r : loader_add_image(l, config->text, config->len, a->layers, tags, e);
}

static bool history_equal(const struct image_history *a, const struct image_history *b) {
    return str_eq(a->created, b->created) && str_eq(a->created_by, b->created_by) &&
           str_eq(a->author, b->author) && str_eq(a->comment, b->comment) &&
           a->empty_layer == b->empty_layer;
}

/* One step more of history on the same layers: archives may say anything, and a circle of parents
 * must not come of it. */
static bool is_parent(const struct image_config *child, const struct image_config *parent) {
    size_t layers = strv_len(parent->rootfs.diff_ids);
    if (strv_len(child->rootfs.diff_ids) < layers ||
        child->history.count != parent->history.count + 1)
        return false;
    for (size_t i = 0; i < layers; i++)
        if (!str_eq(child->rootfs.diff_ids[i], parent->rootfs.diff_ids[i]))
            return false;
    for (size_t i = 0; i < parent->history.count; i++)
        if (!history_equal(field_array_at(&child->history, struct image_history, i),
                           field_array_at(&parent->history, struct image_history, i)))
            return false;
    return true;
}

/* A parent that is not in the archive, or cannot be one, is no error: the link is left out. */
static void check_parent(const struct loader *l, struct image_item *i) {
    struct image_config child, parent;
    const struct image_item *found = NULL;
    bool keep = false;
    for (size_t k = 0; k < l->images.count; k++)
        if (str_eq(l->images.items[k].id, i->parent))
            found = &l->images.items[k];
    if (found && image_config_parse(i->config, strlen(i->config), &child, NULL) == 0) {
        if (image_config_parse(found->config, strlen(found->config), &parent, NULL) == 0) {
            keep = is_parent(&child, &parent);
            field_done(&image_config_table, &parent);
        }
        field_done(&image_config_table, &child);
    }
    if (!keep)
        str_set(&i->parent, NULL);
}

int loader_docker(struct loader *l, const struct blob *manifest, struct err *e) {
    auto_json *list = NULL;
    int r = jsn_parse(manifest->text, manifest->len, &list, e);
    if (r < 0)
        return r;
    if (!json_object_is_type(list, json_type_array))
        return err_set(e, ERR_INVALID, "invalid archive: manifest.json is no list");
    for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++) {
        struct archive_image a;
        field_init(&archive_image_table, &a);
        r = field_parse(&archive_image_table, json_object_array_get_idx(list, i), &a, "", e);
        if (r == 0)
            r = add_docker_image(l, &a, e);
        if (r == 0)
            str_set(&l->images.items[l->images.count - 1].parent, a.parent);
        field_done(&archive_image_table, &a);
    }
    for (size_t i = 0; r == 0 && i < l->images.count; i++)
        if (l->images.items[i].parent)
            check_parent(l, &l->images.items[i]);
    return r;
}

/* ---- OCI layout ----------------------------------------------------------------------------- */

static char *blob_path(const char *digest) {
    return digest && digest_is_valid(digest)
               ? xasprintf("blobs/sha256/%s", digest + strlen("sha256:"))
               : NULL;
}

/* The names that writers put on an entry of index.json. A bare tag names nothing by itself. */
static int oci_tags(const struct oci_descriptor *d, char ***ret) {
    static const char *const KEYS[] = {"io.containerd.image.name",
                                       "org.opencontainers.image.ref.name"};
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(*KEYS); i++) {
        const char *name = strmap_get(&d->annotations, KEYS[i]);
        char *tag;
        if (name && strpbrk(name, "/:") && loader_tag(name, &tag, NULL) == 0) {
            strv_take(ret, tag);
            return 0;
        }
    }
    return 0;
}

static int add_oci_manifest(struct loader *l, const struct oci_descriptor *d, char *const *tags,
                            struct err *e) {
    auto_free char *path = blob_path(d->digest);
    const struct blob *text, *config;
    struct oci_manifest m;
    int r = path ? loader_text(l, path, &text, e)
                 : err_set(e, ERR_INVALID, "invalid archive: unsupported digest %s",
                           str_or_empty(d->digest));
    if (r == 0)
        r = oci_manifest_parse(text->text, text->len, &m, e);
    if (r < 0)
        return r;
    auto_strv paths = NULL;
    for (size_t i = 0; r == 0 && i < m.layers.count; i++) {
        const struct oci_descriptor *layer = field_array_at(&m.layers, struct oci_descriptor, i);
        char *p = blob_path(layer->digest);
        if (p)
            strv_take(&paths, p);
        else
            r = err_set(e, ERR_INVALID, "invalid archive: unsupported digest %s",
                        str_or_empty(layer->digest));
    }
    auto_free char *config_path = blob_path(m.config.digest);
    if (r == 0)
        r = loader_text(l, str_or_empty(config_path), &config, e);
    if (r == 0)
        r = loader_add_image(l, config->text, config->len, paths, tags, e);
    field_done(&oci_manifest_table, &m);
    return r;
}

/* "linux/arm64/v8" or this machine. */
static void wanted_platform(const struct loader *l, char **ret_os, char **ret_arch,
                            char **ret_variant) {
    auto_strv parts = l->o && l->o->platform ? str_split(l->o->platform, '/') : NULL;
    size_t n = strv_len(parts);
    *ret_os = xstrdup(n > 1 ? parts[0] : "linux");
    *ret_arch = xstrdup(n > 1 ? parts[1] : archive_host_arch());
    *ret_variant = n > 2 ? xstrdup(parts[2]) : NULL;
}

static int add_descriptor(struct loader *l, const struct oci_descriptor *d, char *const *tags,
                          unsigned depth, struct err *e);

/* One image of several for different machines. */
static int add_nested_index(struct loader *l, const struct oci_descriptor *d, char *const *tags,
                            unsigned depth, struct err *e) {
    auto_free char *path = blob_path(d->digest);
    auto_free char *os = NULL, *arch = NULL, *variant = NULL;
    const struct blob *text;
    struct oci_index index;
    if (depth >= INDEX_DEPTH_MAX)
        return err_set(e, ERR_INVALID, "invalid archive: indexes are nested too deeply");
    int r = loader_text(l, str_or_empty(path), &text, e);
    if (r == 0)
        r = oci_index_parse(text->text, text->len, &index, e);
    if (r < 0)
        return r;
    wanted_platform(l, &os, &arch, &variant);
    int best = oci_index_select(&index, os, arch, variant);
    if (best < 0)
        r = err_set(e, ERR_NOT_FOUND, "no image for platform %s/%s in the archive", os, arch);
    else
        r = add_descriptor(l, field_array_at(&index.manifests, struct oci_descriptor, best), tags,
                           depth + 1, e);
    field_done(&oci_index_table, &index);
    return r;
}

static int add_descriptor(struct loader *l, const struct oci_descriptor *d, char *const *tags,
                          unsigned depth, struct err *e) {
    if (media_type_is_index(str_or_empty(d->media_type)))
        return add_nested_index(l, d, tags, depth, e);
    return add_oci_manifest(l, d, tags, e);
}

int loader_oci(struct loader *l, const struct blob *text, struct err *e) {
    struct oci_index index;
    int r = oci_index_parse(text->text, text->len, &index, e);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < index.manifests.count; i++) {
        const struct oci_descriptor *d = field_array_at(&index.manifests, struct oci_descriptor, i);
        auto_strv tags = NULL;
        r = oci_tags(d, &tags);
        if (r == 0)
            r = add_descriptor(l, d, tags, 0, e);
    }
    field_done(&oci_index_table, &index);
    return r;
}

/* ---- the archives of Docker before 1.10 ----------------------------------------------------- */

static int legacy_parse(struct loader *l, const char *id, struct image_config *ret, struct err *e) {
    auto_free char *path = xasprintf("%s/json", id);
    const struct blob *text;
    int r = loader_text(l, path, &text, e);
    if (r < 0)
        return r;
    field_init(&image_config_table, ret);
    r = field_parse_text(&image_config_table, text->text, text->len, ret, e);
    if (r < 0)
        field_done(&image_config_table, ret);
    return r;
}

/* The chain of version 1 images from `id` down: layer paths and histories, lowest first. */
static int legacy_chain(struct loader *l, const char *id, char ***ret_paths,
                        struct image_config *top, struct err *e) {
    struct image_config chain[LEGACY_DEPTH_MAX];
    size_t n = 0;
    auto_strv paths = NULL;
    auto_strv diff_ids = NULL;
    auto_strv ids = NULL;
    int r = 0;
    for (const char *at = id; r == 0 && at && *at; at = chain[n - 1].parent) {
        if (n == LEGACY_DEPTH_MAX) {
            r = err_set(e, ERR_INVALID, "max depth exceeded");
            break;
        }
        strv_add(&ids, at);
        r = legacy_parse(l, at, &chain[n], e);
        n += r == 0;
        if (r < 0)
            break;
    }
    for (size_t i = n; r == 0 && i-- > 0;) {
        auto_free char *path = xasprintf("%s/layer.tar", ids[i]);
        const struct blob *b = loader_find(l, path);
        if (!b || b->kind != BLOB_LAYER) {
            r = err_set(e, ERR_INVALID, "invalid archive: layer %s is missing", path);
            break;
        }
        strv_add(&paths, path);
        strv_add(&diff_ids, b->diff_id);
        struct image_history *h = field_array_add(&top->history, &image_history_table);
        str_set(&h->created, chain[i].created);
        str_set(&h->author, chain[i].author);
        str_set(&h->comment, chain[i].comment);
        if (chain[i].container_config)
            h->created_by = strv_join(chain[i].container_config->cmd, " ");
    }
    for (size_t i = 0; i < n; i++)
        field_done(&image_config_table, &chain[i]);
    if (r == 0) {
        str_set(&top->rootfs.type, "layers");
        top->rootfs.diff_ids = take_ptr(diff_ids);
        *ret_paths = take_ptr(paths);
    }
    return r;
}

static int legacy_image(struct loader *l, const char *id, const char *tag, struct err *e) {
    struct image_config c;
    auto_strv paths = NULL;
    auto_strv tags = NULL;
    int r = legacy_parse(l, id, &c, e);
    if (r < 0)
        return r;
    r = legacy_chain(l, id, &paths, &c, e);
    /* Of the format's own. */
    str_set(&c.id, NULL);
    str_set(&c.parent, NULL);
    if (r == 0) {
        auto_free char *text = field_to_text(&image_config_table, &c);
        strv_add(&tags, tag);
        r = loader_add_image(l, text, strlen(text), paths, tags, e);
    }
    field_done(&image_config_table, &c);
    return r;
}

int loader_legacy(struct loader *l, const struct blob *repositories, struct err *e) {
    auto_json *repos = NULL;
    int r = jsn_parse(repositories->text, repositories->len, &repos, e);
    if (r < 0)
        return r;
    if (!json_object_is_type(repos, json_type_object))
        return err_set(e, ERR_INVALID, "invalid archive: repositories is no object");
    json_object_object_foreach(repos, repo, tags) {
        if (!json_object_is_type(tags, json_type_object))
            continue;
        json_object_object_foreach(tags, tag, id) {
            auto_free char *name = xasprintf("%s:%s", repo, tag);
            char *canonical = NULL;
            if (r == 0)
                r = loader_tag(name, &canonical, e);
            if (r == 0)
                r = legacy_image(l, str_or_empty(json_object_get_string(id)), canonical, e);
            free(canonical);
        }
    }
    return r;
}

/* ---- load ----------------------------------------------------------------------------------- */

static int load_documents(struct loader *l, struct err *e) {
    const struct blob *b = loader_find(l, "manifest.json");
    if (b && b->kind == BLOB_TEXT)
        return loader_docker(l, b, e);
    b = loader_find(l, "index.json");
    if (b && b->kind == BLOB_TEXT)
        return loader_oci(l, b, e);
    b = loader_find(l, "repositories");
    if (b && b->kind == BLOB_TEXT)
        return loader_legacy(l, b, e);
    return err_set(e, ERR_INVALID, "invalid archive: does not contain a manifest.json");
}

int archive_load(struct layer_store *s, struct reader *from, const struct archive_options *o,
                 struct image_bundle *ret, struct err *e) {
    struct loader l = {.layers = s, .o = o, .images = {.layers = s}};
    int r = loader_read(&l, from, e);
    if (r == 0)
        r = load_documents(&l, e);
    if (r == 0) {
        /* The fix-up layers now, not at the first container. */
        for (size_t i = 0; r == 0 && i < l.images.count; i++) {
            auto_strv lower = NULL;
            r = layer_chain_paths(s, l.images.items[i].diff_ids, &lower, e);
        }
    }
    if (r == 0) {
        *ret = l.images;
        l.images = (struct image_bundle){0};
    }
    loader_done(&l);
    return r;
}
