/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "image/layer_priv.h"
#include "image/tree.h"

static const struct field info_fields[] = {
    FIELD(struct layer_info, "diffId", FIELD_STR, diff_id, 0),
    FIELD(struct layer_info, "size", FIELD_UINT, size, 0),
    FIELD(struct layer_info, "tarSize", FIELD_UINT, tar_size, 0),
    FIELD(struct layer_info, "entries", FIELD_UINT, entries, 0),
    FIELD(struct layer_info, "highIds", FIELD_STRV, high_ids, FIELD_OMIT_EMPTY),
    FIELD(struct layer_info, "implied", FIELD_STRV, implied, FIELD_OMIT_EMPTY),
    FIELD(struct layer_info, "local", FIELD_BOOL_T, local, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table layer_info_table = FIELD_TABLE(struct layer_info, info_fields);

const char *layer_hex(const char *diff_id) {
    return diff_id + strlen("sha256:");
}

char *layer_dir(const char *diff_id) {
    return xasprintf("layers/%s", layer_hex(diff_id));
}

static void free_entry(void *p) {
    struct layer_entry *l = p;
    field_done(&layer_info_table, &l->info);
    free(l);
}

/* ---- start ---------------------------------------------------------------------------------- */

static int read_info(int layers, const char *hex, struct layer_info *ret, struct err *e) {
    auto_free char *path = xasprintf("%s/meta.json", hex);
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(layers, path, &text);
    if (r < 0)
        return err_sys(e, r, "cannot read meta.json");
    r = field_parse_text(&layer_info_table, buf_str(&text), text.len, ret, e);
    if (r < 0)
        return r;
    if (!ret->diff_id || !digest_is_valid(ret->diff_id) || !str_eq(layer_hex(ret->diff_id), hex))
        return err_set(e, ERR_INVALID, "meta.json belongs to another layer");
    return 0;
}

/* 1: the mark of this boot, 0: none, -ESTALE: of an earlier one: what the layer's pages held may
 * never have reached the disk. */
static int read_mark(struct data_root *root, int layers, const char *hex) {
    auto_free char *path = xasprintf("%s/unsynced", hex);
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(layers, path, &text);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    return str_eq(buf_str(&text), data_root_boot_id(root)) ? 1 : -ESTALE;
}

static void load_one(struct layer_store *s, int layers, const char *hex) {
    auto_err e = ERR_INIT;
    struct layer_entry *l = xnew(struct layer_entry);
    field_init(&layer_info_table, &l->info);
    int mark = read_mark(s->root, layers, hex);
    int r = mark < 0 ? err_sys(&e, mark, "it was not on disk when the machine stopped")
                     : read_info(layers, hex, &l->info, &e);
    if (r < 0) {
        auto_free char *path = xasprintf("layers/%s", hex);
        log_error("a layer cannot be used and is dropped", "layer", hex, "error", err_msg(&e));
        (void)data_root_trash(s->root, path); /* stays unknown, so unused, if that fails */
        free_entry(l);
        return;
    }
    l->unsynced = mark > 0;
    (void)map_put(&s->layers, l->info.diff_id, l);
}

int layer_store_open(struct data_root *root, struct layer_store **ret, struct err *e) {
    auto_fd layers = tree_open_dir(data_root_fd(root), "layers");
    auto_strv names = NULL;
    int r = layers < 0 ? layers : tree_list(layers, &names);
    if (r < 0)
        return err_sys(e, r, "cannot read the layers in %s", data_root_path(root));
    struct layer_store *s = xnew(struct layer_store);
    s->root = root;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->released, NULL);
    strv_for_each (name, names)
        load_one(s, layers, name);
    r = layer_chain_load(s);
    if (r < 0) {
        layer_store_close(s);
        return err_sys(e, r, "cannot read the layers in %s", data_root_path(root));
    }
    *ret = s;
    return 0;
}

void layer_store_close(struct layer_store *s) {
    if (!s)
        return;
    map_clear(&s->layers, free_entry);
    map_clear(&s->chains, layer_chain_free);
    map_done(&s->layers);
    map_done(&s->chains);
    map_done(&s->claims);
    pthread_cond_destroy(&s->released);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct data_root *layer_store_root(struct layer_store *s) {
    return s->root;
}

/* ---- look-up and references ----------------------------------------------------------------- */

static int not_found(const char *diff_id, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "layer does not exist: %s", diff_id);
}

int layer_get(struct layer_store *s, const char *diff_id, struct layer_info *ret, struct err *e) {
    pthread_mutex_lock(&s->lock);
    const struct layer_entry *l = map_get(&s->layers, diff_id);
    if (l) {
        field_init(&layer_info_table, ret);
        field_copy(&layer_info_table, ret, &l->info);
    }
    pthread_mutex_unlock(&s->lock);
    return l ? 0 : not_found(diff_id, e);
}

bool layer_exists(struct layer_store *s, const char *diff_id) {
    pthread_mutex_lock(&s->lock);
    bool found = map_get(&s->layers, diff_id);
    pthread_mutex_unlock(&s->lock);
    return found;
}

int layer_ref(struct layer_store *s, const char *diff_id, struct err *e) {
    pthread_mutex_lock(&s->lock);
    struct layer_entry *l = map_get(&s->layers, diff_id);
    if (l)
        l->refs++;
    pthread_mutex_unlock(&s->lock);
    return l ? 0 : not_found(diff_id, e);
}

/* The lock is held. A rename: the work comes when the trash is emptied. */
static void drop(struct layer_store *s, struct layer_entry *l) {
    auto_free char *diff_id = xstrdup(l->info.diff_id);
    auto_free char *path = layer_dir(diff_id);
    int r = data_root_trash(s->root, path);
    if (r < 0)
        log_debug("cannot move a layer to the trash", "layer", diff_id, "error", strerror(-r));
    layer_chain_forget(s, diff_id);
    (void)map_del(&s->layers, diff_id);
    free_entry(l);
}

void layer_unref(struct layer_store *s, const char *diff_id) {
    pthread_mutex_lock(&s->lock);
    struct layer_entry *l = map_get(&s->layers, diff_id);
    if (l && l->refs > 0 && --l->refs == 0)
        drop(s, l);
    pthread_mutex_unlock(&s->lock);
}

int layer_ref_all(struct layer_store *s, char *const *diff_ids, struct err *e) {
    for (size_t i = 0; i < strv_len(diff_ids); i++) {
        int r = layer_ref(s, diff_ids[i], e);
        if (r < 0) {
            while (i > 0)
                layer_unref(s, diff_ids[--i]);
            return r;
        }
    }
    return 0;
}

void layer_unref_all(struct layer_store *s, char *const *diff_ids) {
    strv_for_each (id, diff_ids)
        layer_unref(s, id);
}

unsigned layer_store_collect(struct layer_store *s) {
    unsigned dropped = 0;
    pthread_mutex_lock(&s->lock);
    map_for_each (m, &s->layers) {
        struct layer_entry *l = m->value;
        if (l->refs == 0) {
            drop(s, l);
            dropped++;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return dropped;
}

void layer_store_each(struct layer_store *s,
                      void (*each)(void *arg, const struct layer_info *info, unsigned refs),
                      void *arg) {
    pthread_mutex_lock(&s->lock);
    map_for_each (m, &s->layers) {
        const struct layer_entry *l = m->value;
        each(arg, &l->info, l->refs);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- durability ----------------------------------------------------------------------------- */

bool layer_store_is_dirty(struct layer_store *s) {
    bool dirty = false;
    pthread_mutex_lock(&s->lock);
    map_for_each (m, &s->layers)
        dirty |= ((const struct layer_entry *)m->value)->unsynced;
    pthread_mutex_unlock(&s->lock);
    return dirty;
}

int layer_store_sync(struct layer_store *s) {
    auto_strv ids = NULL;
    pthread_mutex_lock(&s->lock);
    uint64_t last = s->serial;
    map_for_each (m, &s->layers) {
        if (((const struct layer_entry *)m->value)->unsynced)
            strv_add(&ids, m->key);
    }
    pthread_mutex_unlock(&s->lock);
    if (!ids)
        return 0;
    /* syncfs does not take an O_PATH descriptor. */
    auto_fd layers = tree_open_dir(data_root_fd(s->root), "layers");
    if (layers < 0)
        return layers;
    if (syncfs(layers) < 0)
        return -errno;
    strv_for_each (id, ids) {
        auto_free char *mark = xasprintf("%s/unsynced", layer_hex(id));
        pthread_mutex_lock(&s->lock);
        struct layer_entry *l = map_get(&s->layers, id);
        /* The layer may have been dropped, and even made again, meanwhile: then its mark stays. */
        if (l && l->unsynced && l->serial <= last && unlinkat(layers, mark, 0) == 0)
            l->unsynced = false;
        pthread_mutex_unlock(&s->lock);
    }
    return 0;
}

/* ---- claims --------------------------------------------------------------------------------- */

int layer_claim(struct layer_store *s, const char *diff_id, const bool *cancel) {
    int r = 0;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct layer_entry *l = map_get(&s->layers, diff_id);
        if (l) {
            l->refs++;
            r = 1;
            break;
        }
        if (!map_get(&s->claims, diff_id)) {
            (void)map_put(&s->claims, diff_id, s);
            break;
        }
        if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED)) {
            r = -ECANCELED;
            break;
        }
        /* A cancel flag wakes nobody: look now and then. */
        int64_t until = clock_real_ns() + 100 * NS_PER_MS;
        struct timespec t = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
        pthread_cond_timedwait(&s->released, &s->lock, &t);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

void layer_claim_end(struct layer_store *s, const char *diff_id) {
    pthread_mutex_lock(&s->lock);
    (void)map_del(&s->claims, diff_id);
    pthread_cond_broadcast(&s->released);
    pthread_mutex_unlock(&s->lock);
}

/* ---- drafts --------------------------------------------------------------------------------- */

int layer_draft_new(struct layer_store *s, struct layer_draft **ret, struct err *e) {
    struct layer_draft *d = xnew(struct layer_draft);
    d->store = s;
    d->dir = d->tree = -1;
    field_init(&layer_info_table, &d->info);
    int r = data_root_make_tmp(s->root, &d->tmp, &d->dir);
    if (r == 0 && mkdirat(d->dir, "diff", 0755) < 0)
        r = -errno;
    if (r == 0)
        r = d->tree = tree_open_dir(d->dir, "diff");
    /* Whatever the umask was. */
    if (r >= 0 && fchmod(d->tree, 0755) < 0)
        r = -errno;
    if (r < 0) {
        layer_draft_discard(d);
        return err_sys(e, r, "cannot make a layer");
    }
    d->info.local = true;
    *ret = d;
    return 0;
}

static void draft_free(struct layer_draft *d) {
    fd_close(d->tree);
    fd_close(d->dir);
    free(d->tmp);
    field_done(&layer_info_table, &d->info);
    free(d);
}

void layer_draft_discard(struct layer_draft *d) {
    if (!d)
        return;
    if (d->tmp)
        (void)data_root_trash(d->store->root, d->tmp); /* else the next start does it */
    draft_free(d);
}

int layer_draft_dir(const struct layer_draft *d) {
    return d->tree;
}

const char *layer_draft_diff_id(const struct layer_draft *d) {
    return d->info.diff_id;
}

const struct layer_info *layer_draft_info(const struct layer_draft *d) {
    return &d->info;
}

int layer_draft_seal(struct layer_draft *d, const bool *cancel, struct err *e) {
    struct tree_totals totals;
    struct digest_writer hash;
    char diff_id[DIGEST_SIZE];
    int r = tree_measure(d->tree, &totals);
    if (r < 0)
        return err_sys(e, r, "cannot read the new layer");
    digest_writer_init(&hash, NULL);
    r = layer_tar_of_tree(d->tree, &hash.base, cancel, e);
    if (r == 0) {
        digest_final(hash.digest, diff_id);
        str_set(&d->info.diff_id, diff_id);
        d->info.size = totals.bytes;
        d->info.entries = totals.entries;
        strv_free(d->info.high_ids);
        d->info.high_ids = high_ids_format(&totals.high);
        d->info.tar_size = hash.count;
    }
    digest_writer_done(&hash);
    return r;
}

static int write_draft_files(struct layer_draft *d) {
    const char *boot = data_root_boot_id(d->store->root);
    auto_free char *meta = field_to_text(&layer_info_table, &d->info);
    int r = io_replace_file_at(d->dir, "meta.json", meta, strlen(meta), 0600);
    return r < 0 ? r : io_replace_file_at(d->dir, "unsynced", boot, strlen(boot), 0600);
}

/* The lock is held: between look and rename nobody else may put the same layer. */
static int place(struct layer_draft *d) {
    struct layer_store *s = d->store;
    int root = data_root_fd(s->root);
    auto_free char *path = layer_dir(d->info.diff_id);
    if (syscall(SYS_renameat2, root, d->tmp, root, path, 1u /* RENAME_NOREPLACE */) < 0) {
        if (errno != EEXIST)
            return -errno;
        /* Not known, so a leftover that could not be moved away. */
        int r = data_root_trash(s->root, path);
        if (r < 0)
            return r;
        if (renameat(root, d->tmp, root, path) < 0)
            return -errno;
    }
    struct layer_entry *l = xnew(struct layer_entry);
    field_init(&layer_info_table, &l->info);
    field_copy(&layer_info_table, &l->info, &d->info);
    l->refs = 1;
    l->unsynced = true;
    l->serial = ++s->serial;
    (void)map_put(&s->layers, l->info.diff_id, l);
    return 0;
}

int layer_draft_commit(struct layer_draft *d, struct err *e) {
    struct layer_store *s = d->store;
    int r = write_draft_files(d);
    bool placed = false;
    if (r == 0) {
        pthread_mutex_lock(&s->lock);
        struct layer_entry *l = map_get(&s->layers, d->info.diff_id);
        if (l) {
            l->refs++;
        } else {
            r = place(d);
            placed = r == 0;
        }
        pthread_mutex_unlock(&s->lock);
    }
    if (r < 0)
        r = err_sys(e, r, "cannot keep layer %s", str_or_empty(d->info.diff_id));
    if (placed)
        draft_free(d);
    else
        layer_draft_discard(d);
    return r;
}
