/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "format/ref.h"

#define KIND_IMAGE "image"
#define KIND_TAG   "tag"

/* What is stored of an image beside what its configuration says. */
struct image_record {
    char *config, *parent;
    int64_t last_tag_ns;
};
static const struct field record_fields[] = {
    FIELD(struct image_record, "config", FIELD_STR, config, 0),
    FIELD(struct image_record, "parent", FIELD_STR, parent, FIELD_OMIT_EMPTY),
    FIELD(struct image_record, "lastTag", FIELD_INT, last_tag_ns, FIELD_OMIT_EMPTY),
    FIELD_END,
};
static const struct field_table record_table = FIELD_TABLE(struct image_record, record_fields);

struct tag_record {
    char *image;
};
static const struct field tag_fields[] = {
    FIELD(struct tag_record, "image", FIELD_STR, image, 0),
    FIELD_END,
};
static const struct field_table tag_table = FIELD_TABLE(struct tag_record, tag_fields);

static bool is_digest_ref(const char *canonical) {
    return strchr(canonical, '@');
}

void image_short_id(const struct image *i, char out[static 13]) {
    snprintf(out, 13, "%s", i->id + strlen("sha256:"));
}

struct layer_store *image_store_layers(struct image_store *s) {
    return s->layers;
}

size_t image_count(const struct image_store *s) {
    return s->images.count;
}

/* ---- records -------------------------------------------------------------------------------- */

static void put_image(struct store_txn *t, const struct image *i) {
    struct image_record r = {
        .config = i->config_text, .parent = i->parent, .last_tag_ns = i->last_tag_ns};
    auto_free char *doc = field_to_text(&record_table, &r);
    store_txn_put(t, KIND_IMAGE, i->id, doc);
}

static void put_tag(struct store_txn *t, const char *canonical, struct image *i) {
    struct tag_record r = {.image = i->id};
    auto_free char *doc = field_to_text(&tag_table, &r);
    store_txn_put(t, KIND_TAG, canonical, doc);
}

static void commit(struct image_store *s, struct store_txn *t) {
    store_commit(s->db, t, NULL, NULL);
}

/* ---- images --------------------------------------------------------------------------------- */

static void image_free(void *p) {
    struct image *i = p;
    free(i->config_text);
    field_done(&image_config_table, &i->config);
    strv_free(i->tags);
    strv_free(i->digests);
    free(i->parent);
    free(i);
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void strv_sort(char **v) {
    size_t n = strv_len(v);
    if (n > 1)
        qsort(v, n, sizeof(*v), compare_strings);
}

static void strv_remove(char ***v, const char *s) {
    size_t n = 0;
    if (!*v)
        return;
    for (size_t i = 0; (*v)[i]; i++) {
        if (str_eq((*v)[i], s))
            free((*v)[i]);
        else
            (*v)[n++] = (*v)[i];
    }
    (*v)[n] = NULL;
    if (n == 0)
        *v = strv_free(*v);
}

static char ***refs_of(struct image *i, const char *canonical) {
    return is_digest_ref(canonical) ? &i->digests : &i->tags;
}

static void add_child(struct image_store *s, const struct image *i, int step) {
    struct image *parent = i->parent ? map_get(&s->images, i->parent) : NULL;
    if (parent)
        parent->children += (unsigned)step;
}

/* From the text of a configuration; the layers must be there. References are the caller's. */
static int image_new(struct image_store *s, const char *config, const char *parent,
                     struct image **ret, struct err *e) {
    struct image *i = xnew(struct image);
    int r = image_config_parse(config, strlen(config), &i->config, e);
    if (r < 0) {
        free(i);
        return r;
    }
    digest_of(config, strlen(config), i->id);
    i->config_text = xstrdup(config);
    i->parent = parent && *parent ? xstrdup(parent) : NULL;
    if (!i->config.created || time_parse(i->config.created, &i->created_ns) < 0)
        i->created_ns = 0;
    r = layer_chain_totals(s->layers, i->config.rootfs.diff_ids, &i->size, NULL, e);
    if (r < 0) {
        image_free(i);
        return r;
    }
    *ret = i;
    return 0;
}

static void insert(struct image_store *s, struct image *i) {
    i->serial = ++s->serial;
    (void)map_put(&s->images, i->id, i);
    add_child(s, i, 1);
    /* Children that were loaded before their parent. */
    map_for_each (m, &s->images) {
        const struct image *other = m->value;
        if (other != i && str_eq(other->parent, i->id))
            i->children++;
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

struct loading {
    struct image_store *s;
    struct store_txn *drop; /* records of what is gone; NULL until there is one */
};

static void drop_record(struct loading *l, const char *kind, const char *id) {
    if (!l->drop)
        l->drop = store_txn_new();
    store_txn_del(l->drop, kind, id);
}

static int load_image(void *arg, const char *id, const char *doc) {
    struct loading *l = arg;
    struct image_record rec;
    struct image *i = NULL;
    auto_err e = ERR_INIT;
    field_init(&record_table, &rec);
    int r = field_parse_text(&record_table, doc, strlen(doc), &rec, &e);
    if (r == 0)
        r = image_new(l->s, str_or_empty(rec.config), rec.parent, &i, &e);
    if (r == 0 && !str_eq(i->id, id))
        r = err_set(&e, ERR_INVALID, "the configuration does not have the digest of its id");
    if (r == 0)
        r = layer_ref_all(l->s->layers, i->config.rootfs.diff_ids, &e);
    if (r == 0) {
        i->last_tag_ns = rec.last_tag_ns;
        insert(l->s, i);
    } else {
        log_error("an image cannot be used and is dropped", "image", id, "error", err_msg(&e));
        if (i)
            image_free(i);
        drop_record(l, KIND_IMAGE, id);
    }
    field_done(&record_table, &rec);
    return 0;
}

static int load_tag(void *arg, const char *id, const char *doc) {
    struct loading *l = arg;
    struct tag_record rec;
    field_init(&tag_table, &rec);
    struct image *i = NULL;
    if (field_parse_text(&tag_table, doc, strlen(doc), &rec, NULL) == 0)
        i = map_get(&l->s->images, str_or_empty(rec.image));
    if (i) {
        char ***refs = refs_of(i, id);
        strv_add(refs, id);
        strv_sort(*refs);
        (void)map_put(&l->s->refs, id, i);
    } else {
        drop_record(l, KIND_TAG, id);
    }
    field_done(&tag_table, &rec);
    return 0;
}

int image_store_open(struct layer_store *layers, struct store *db, struct image_store **ret,
                     struct err *e) {
    struct image_store *s = xnew(struct image_store);
    struct loading l = {.s = s};
    s->layers = layers;
    s->db = db;
    int r = store_load(db, KIND_IMAGE, load_image, &l, e);
    if (r >= 0)
        r = store_load(db, KIND_TAG, load_tag, &l, e);
    if (l.drop)
        commit(s, l.drop);
    if (r < 0) {
        image_store_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void image_store_free(struct image_store *s) {
    if (!s)
        return;
    /* The layers' references go with the process: unreferencing would remove the layers. */
    map_clear(&s->images, image_free);
    map_done(&s->images);
    map_done(&s->refs);
    free(s);
}

/* ---- look-up -------------------------------------------------------------------------------- */

struct image *image_get(struct image_store *s, const char *id) {
    return map_get(&s->images, id);
}

struct image *image_by_ref(struct image_store *s, const char *canonical) {
    return map_get(&s->refs, canonical);
}

/* 1: one image has the prefix; 0: none; -EEXIST: several. */
static int find_prefix(struct image_store *s, const char *prefix, struct image **ret) {
    struct image *found = NULL;
    const char *hex = str_after(prefix, "sha256:");
    hex = hex ? hex : prefix;
    if (!*hex || !str_is_hex(hex))
        return 0;
    map_for_each (m, &s->images) {
        struct image *i = m->value;
        if (!str_starts(i->id + strlen("sha256:"), hex))
            continue;
        if (found)
            return -EEXIST;
        found = i;
    }
    *ret = found;
    return found ? 1 : 0;
}

static int no_such_image(const char *name, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "No such image: %s", name);
}

struct image *image_find(struct image_store *s, const char *name, struct err *e) {
    struct image *i = NULL;
    struct image_ref ref = {0};
    auto_free char *full =
        strlen(name) == 64 && str_is_hex(name) ? xasprintf("sha256:%s", name) : xstrdup(name);
    if (digest_is_valid(full)) {
        i = image_get(s, full);
        if (!i)
            (void)no_such_image(full, e);
        return i;
    }
    if (image_ref_parse(name, &ref, e) < 0)
        return NULL;
    image_ref_default_tag(&ref);
    auto_free char *canonical = image_ref_canonical(&ref);
    auto_free char *familiar = image_ref_familiar(&ref);
    if (ref.tag && ref.digest) {
        /* "name:tag@digest" means the digest; the tag is for people. */
        str_set(&ref.tag, NULL);
        free(canonical);
        canonical = image_ref_canonical(&ref);
    }
    image_ref_done(&ref);
    i = image_by_ref(s, canonical);
    if (i)
        return i;
    int r = find_prefix(s, name, &i);
    if (r == -EEXIST)
        (void)err_set(e, ERR_INVALID, "Multiple IDs found with provided prefix: %s", name);
    else if (r == 0)
        (void)no_such_image(familiar, e);
    return r > 0 ? i : NULL;
}

static int compare_created(const void *a, const void *b) {
    const struct image *x = *(struct image *const *)a, *y = *(struct image *const *)b;
    if (x->created_ns != y->created_ns)
        return x->created_ns < y->created_ns ? 1 : -1;
    return x->serial < y->serial ? 1 : x->serial > y->serial ? -1 : 0;
}

struct image **image_list(struct image_store *s, size_t *ret_count) {
    size_t n = 0;
    struct image **v = xcalloc(s->images.count + 1, sizeof(struct image *));
    map_for_each (m, &s->images)
        v[n++] = m->value;
    if (n > 1)
        qsort(v, n, sizeof(struct image *), compare_created);
    *ret_count = n;
    return v;
}

/* ---- changes -------------------------------------------------------------------------------- */

static void attach(struct image_store *s, struct image *i, const char *canonical,
                   struct store_txn *t) {
    struct image *old = map_put(&s->refs, canonical, i);
    if (old && old != i)
        strv_remove(refs_of(old, canonical), canonical);
    char ***refs = refs_of(i, canonical);
    if (old != i) {
        strv_add(refs, canonical);
        strv_sort(*refs);
    }
    put_tag(t, canonical, i);
}

int image_register(struct image_store *s, struct image_bundle *b, size_t item, struct image **ret,
                   bool *ret_new, struct err *e) {
    struct image_item *from = &b->items[item];
    struct image *i = image_get(s, from->id);
    bool is_new = !i;
    if (is_new) {
        int r = image_new(s, from->config, from->parent, &i, e);
        if (r < 0)
            return r;
        insert(s, i);
        /* The references on the layers are the image's now. */
        from->diff_ids = strv_free(from->diff_ids);
    } else if (from->parent && !i->parent) {
        i->parent = xstrdup(from->parent);
        add_child(s, i, 1);
    }
    struct store_txn *t = store_txn_new();
    strv_for_each (tag, from->tags)
        attach(s, i, tag, t);
    if (from->tags)
        i->last_tag_ns = clock_real_ns();
    put_image(t, i);
    commit(s, t);
    if (ret)
        *ret = i;
    if (ret_new)
        *ret_new = is_new;
    return 0;
}

int image_put_ref(struct image_store *s, struct image *i, const char *canonical, struct err *e) {
    struct image_ref ref = {0};
    int r = image_ref_parse(canonical, &ref, e);
    if (r < 0)
        return r;
    auto_free char *clean = image_ref_canonical(&ref);
    bool named = ref.tag || ref.digest;
    image_ref_done(&ref);
    if (!named)
        return err_set(e, ERR_INVALID, "invalid reference format");
    struct store_txn *t = store_txn_new();
    attach(s, i, clean, t);
    i->last_tag_ns = clock_real_ns();
    put_image(t, i);
    commit(s, t);
    return 0;
}

int image_tag(struct image_store *s, struct image *i, const char *repo, const char *tag,
              char **ret_ref, struct err *e) {
    struct image_ref ref = {0};
    int r = image_ref_parse(repo, &ref, e);
    if (r < 0)
        return r;
    auto_free char *name = image_ref_familiar_name(&ref);
    if (ref.digest)
        r = err_set(e, ERR_INVALID, "refusing to create a tag with a digest reference");
    else if (str_eq(name, "sha256"))
        r = err_set(e, ERR_INVALID,
                    "refusing to create an ambiguous tag using digest algorithm as name");
    else if (tag && *tag && !image_tag_is_valid(tag))
        r = err_set(e, ERR_INVALID, "invalid tag format");
    else if (tag && *tag)
        str_set(&ref.tag, tag);
    image_ref_default_tag(&ref);
    if (r == 0) {
        auto_free char *canonical = image_ref_canonical(&ref);
        r = image_put_ref(s, i, canonical, e);
    }
    if (r == 0 && ret_ref)
        *ret_ref = image_ref_familiar(&ref);
    image_ref_done(&ref);
    return r;
}

bool image_untag(struct image_store *s, const char *canonical) {
    struct image *i = map_del(&s->refs, canonical);
    if (!i)
        return false;
    /* The text may be the very string that goes away. */
    auto_free char *copy = xstrdup(canonical);
    strv_remove(refs_of(i, copy), copy);
    struct store_txn *t = store_txn_new();
    store_txn_del(t, KIND_TAG, copy);
    commit(s, t);
    return true;
}

void image_remove(struct image_store *s, struct image *i) {
    struct store_txn *t = store_txn_new();
    char **refs[] = {i->tags, i->digests};
    for (size_t k = 0; k < sizeof(refs) / sizeof(*refs); k++) {
        strv_for_each (ref, refs[k]) {
            (void)map_del(&s->refs, ref);
            store_txn_del(t, KIND_TAG, ref);
        }
    }
    store_txn_del(t, KIND_IMAGE, i->id);
    commit(s, t);
    (void)map_del(&s->images, i->id);
    add_child(s, i, -1);
    layer_unref_all(s->layers, i->config.rootfs.diff_ids);
    image_free(i);
}

/* ---- for workers ---------------------------------------------------------------------------- */

static int add_to_bundle(struct image_store *s, struct image_bundle *b, const struct image *i,
                         struct image_item **ret, struct err *e) {
    for (size_t n = 0; n < b->count; n++) {
        if (str_eq(b->items[n].id, i->id)) {
            *ret = &b->items[n];
            return 0;
        }
    }
    int r = layer_ref_all(s->layers, i->config.rootfs.diff_ids, e);
    if (r < 0)
        return r;
    struct image_item *item = image_bundle_add(b);
    snprintf(item->id, sizeof(item->id), "%s", i->id);
    item->config = xstrdup(i->config_text);
    item->diff_ids = strv_dup(i->config.rootfs.diff_ids);
    item->parent = xstrdup_null(i->parent);
    item->size = i->size;
    *ret = item;
    return 0;
}

static int snapshot_ref(struct image_store *s, const struct image *i, const char *tag,
                        struct image_bundle *b, struct err *e) {
    struct image_item *item;
    int r = add_to_bundle(s, b, i, &item, e);
    if (r == 0 && tag && !strv_has(item->tags, tag))
        strv_add(&item->tags, tag);
    return r;
}

/* "busybox": every tag of that repository. 1: there were some. */
static int snapshot_repository(struct image_store *s, const struct image_ref *ref,
                               struct image_bundle *b, struct err *e) {
    auto_free char *prefix = xasprintf("%s/%s:", ref->domain, ref->path);
    auto_strv names = NULL;
    map_for_each (m, &s->refs) {
        if (str_starts(m->key, prefix) && !is_digest_ref(m->key))
            strv_add(&names, m->key);
    }
    strv_sort(names);
    strv_for_each (name, names) {
        int r = snapshot_ref(s, map_get(&s->refs, name), name, b, e);
        if (r < 0)
            return r;
    }
    return names ? 1 : 0;
}

static int snapshot_name(struct image_store *s, const char *name, struct image_bundle *b,
                         struct err *e) {
    struct image_ref ref = {0};
    struct image *i;
    int r = 0;
    if (image_ref_parse(name, &ref, NULL) == 0) {
        auto_free char *canonical = ref.tag || ref.digest ? image_ref_canonical(&ref) : NULL;
        i = canonical ? image_by_ref(s, canonical) : NULL;
        if (i)
            r = snapshot_ref(s, i, ref.digest ? NULL : canonical, b, e);
        else if (!canonical)
            r = snapshot_repository(s, &ref, b, e);
        image_ref_done(&ref);
        if (r != 0 || i)
            return r < 0 ? r : 0;
    }
    i = image_find(s, name, e);
    if (!i && e && e->class == ERR_NOT_FOUND)
        (void)no_such_image(name, e); /* as it was asked for */
    return i ? snapshot_ref(s, i, NULL, b, e) : -ENOENT;
}

int image_snapshot(struct image_store *s, char *const *names, struct image_bundle *ret,
                   struct err *e) {
    struct image_bundle b = {.layers = s->layers};
    strv_for_each (name, names) {
        int r = snapshot_name(s, name, &b, e);
        if (r < 0) {
            image_bundle_done(&b);
            return r;
        }
    }
    *ret = b;
    return 0;
}
