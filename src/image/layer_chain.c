/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What depends on a chain of layers rather than on one. A tar may leave out the entries of
 * directories (/tmp, /root, /var/log): its layer then has them with default metadata, which hides
 * what a lower layer says. A fix-up layer of such directories alone goes on top of the chain.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/io.h"
#include "image/layer_priv.h"
#include "image/tree.h"

/* A chain that was looked at. */
struct chain {
    char *fixup; /* relative path of the fix-up layer's tree, NULL: none is needed */
    char **diff_ids;
};

struct chain_layer {
    int tree;
    struct layer_info info;
};
struct builder {
    struct chain_layer *layers; /* lowest first */
    size_t count;
    int fix_tree;
};

void layer_chain_id(char *const *diff_ids, char out[static DIGEST_SIZE]) {
    char text[2 * DIGEST_SIZE];
    out[0] = 0;
    strv_for_each (id, diff_ids) {
        if (!out[0]) {
            snprintf(out, DIGEST_SIZE, "%s", id);
            continue;
        }
        int n = snprintf(text, sizeof(text), "%s %s", out, id);
        digest_of(text, (size_t)n, out);
    }
}

void layer_chain_free(void *p) {
    struct chain *c = p;
    free(c->fixup);
    strv_free(c->diff_ids);
    free(c);
}

void layer_chain_forget(struct layer_store *s, const char *diff_id) {
    map_for_each (m, &s->chains) {
        struct chain *c = m->value;
        if (!strv_has(c->diff_ids, diff_id))
            continue;
        if (c->fixup) {
            auto_free char *path = xasprintf("fixups/%s", layer_hex(m->key));
            (void)data_root_trash(s->root, path); /* a stale one is harmless: same content */
        }
        auto_free char *key = xstrdup(m->key);
        (void)map_del(&s->chains, key);
        layer_chain_free(c);
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

static int forget_earlier_boot(struct data_root *root) {
    const char *boot = data_root_boot_id(root);
    auto_buf text = BUF_INIT;
    int fd = data_root_fd(root);
    int r = io_read_file_at(fd, "fixups/boot", &text);
    if (r == 0 && str_eq(buf_str(&text), boot))
        return 0;
    if (r < 0 && r != -ENOENT)
        return r;
    r = data_root_trash(root, "fixups");
    if (r == 0 && mkdirat(fd, "fixups", 0700) < 0)
        r = -errno;
    auto_fd dir = r < 0 ? r : tree_open_dir(fd, "fixups");
    if (dir < 0)
        return take_fd(&dir);
    return io_replace_file_at(dir, "boot", boot, strlen(boot), 0600);
}

int layer_chain_load(struct layer_store *s) {
    int r = forget_earlier_boot(s->root);
    if (r < 0)
        return r;
    auto_fd dir = tree_open_dir(data_root_fd(s->root), "fixups");
    auto_strv names = NULL;
    if (dir < 0)
        return take_fd(&dir);
    r = tree_list(dir, &names);
    strv_for_each (hex, names) {
        auto_free char *id = xasprintf("sha256:%s", hex);
        if (!digest_is_valid(id))
            continue;
        auto_free char *list = xasprintf("%s/layers", hex);
        auto_buf text = BUF_INIT;
        if (io_read_file_at(dir, list, &text) < 0)
            continue;
        struct chain *c = xnew(struct chain);
        c->fixup = xasprintf("fixups/%s/diff", hex);
        c->diff_ids = str_split(buf_str(&text), '\n');
        (void)map_put(&s->chains, id, c);
    }
    return r;
}

/* ---- what a directory should be ------------------------------------------------------------- */

enum seen { SEEN_NOTHING, SEEN_DIR, SEEN_OPAQUE, SEEN_END };

/* What one layer has at `path`: nothing, a directory, one that hides all below (opaque, itself or
 * a parent), or something that ends the search (removed, or no directory). *ret_fd is opened for
 * the two kinds of directory. */
static int look(int tree, const char *path, enum seen *ret, int *ret_fd) {
    auto_fd fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    bool opaque = *path && tree_is_opaque(fd);
    while (*path) {
        size_t n = strcspn(path, "/");
        auto_free char *name = xstrndup(path, n);
        int next = tree_open_dir(fd, name);
        if (next == -ENOENT) {
            *ret = opaque ? SEEN_END : SEEN_NOTHING;
            return 0;
        }
        if (next == -ENOTDIR || next == -ELOOP || next == -ENXIO) {
            *ret = SEEN_END;
            return 0;
        }
        if (next < 0)
            return next;
        fd_close(fd);
        fd = next;
        opaque |= tree_is_opaque(fd);
        path += n + (path[n] == '/');
    }
    *ret = opaque ? SEEN_OPAQUE : SEEN_DIR;
    *ret_fd = take_fd(&fd);
    return 0;
}

static bool same_xattrs(int a, int b) {
    static const char *const NAMES[] = {"system.posix_acl_access", "system.posix_acl_default",
                                        "security.capability"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        char x[1024], y[1024];
        ssize_t n = fgetxattr(a, NAMES[i], x, sizeof(x)), m = fgetxattr(b, NAMES[i], y, sizeof(y));
        if (n != m || (n > 0 && memcmp(x, y, (size_t)n) != 0))
            return false;
    }
    return true;
}

static int same_metadata(int a, int b) {
    struct stat x, y;
    if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
        return -errno;
    return x.st_mode == y.st_mode && x.st_uid == y.st_uid && x.st_gid == y.st_gid &&
           same_xattrs(a, b);
}

/* Who decides about `path`: the topmost layer that has it, and the topmost that has it with an
 * entry of its own. Descriptors, -1 when there is none. */
static int find_deciders(const struct builder *b, const char *path, int *ret_top,
                         int *ret_explicit) {
    auto_fd top = -1;
    for (size_t i = b->count; i-- > 0;) {
        enum seen seen = SEEN_NOTHING;
        auto_fd fd = -1;
        int r = look(b->layers[i].tree, path, &seen, &fd);
        if (r < 0)
            return r;
        if (seen == SEEN_NOTHING)
            continue;
        if (seen == SEEN_END)
            break;
        bool implied = strv_has(b->layers[i].info.implied, path);
        if (top < 0) {
            top = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (top < 0)
                return -errno;
        }
        if (!implied) {
            *ret_explicit = take_fd(&fd);
            break;
        }
        if (seen == SEEN_OPAQUE)
            break;
    }
    *ret_top = take_fd(&top);
    return 0;
}

static int copy_metadata(int from, int to) {
    struct stat st;
    if (fstat(from, &st) < 0)
        return -errno;
    if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
        return -errno;
    int r = tree_copy_xattrs(from, to, true);
    if (r < 0)
        return r;
    if (fremovexattr(to, "trusted.overlay.opaque") < 0 && errno != ENODATA && errno != ENOTSUP)
        return -errno;
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    return futimens(to, times) < 0 ? -errno : 0;
}

/* Makes `path` and its parents in the fix-up tree, each as it should be. */
static int make_fixed(struct builder *b, const char *path) {
    int r = 0;
    auto_fd at = openat(b->fix_tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -errno;
    for (size_t len = 0; r == 0;) {
        auto_free char *prefix = xstrndup(path, len);
        const char *slash = strrchr(prefix, '/');
        const char *name = slash ? slash + 1 : prefix;
        if (*name && mkdirat(at, name, 0700) < 0 && errno != EEXIST)
            return -errno;
        if (*name) {
            int next = tree_open_dir(at, name);
            if (next < 0)
                return next;
            fd_close(at);
            at = next;
        }
        auto_fd top = -1;
        auto_fd own = -1;
        r = find_deciders(b, prefix, &top, &own);
        if (r == 0 && (own >= 0 || top >= 0))
            r = copy_metadata(own >= 0 ? own : top, at);
        if (!path[len])
            break;
        len += path[len] == '/';
        len += strcspn(path + len, "/");
    }
    return r;
}

/* 1: the fix-up tree has something. */
static int fix_all(struct builder *b) {
    int made = 0;
    for (size_t i = 1; i < b->count; i++) {
        strv_for_each (path, b->layers[i].info.implied) {
            auto_fd top = -1;
            auto_fd own = -1;
            int r = find_deciders(b, path, &top, &own);
            if (r == 0 && top >= 0 && own >= 0)
                r = same_metadata(top, own) == 0;
            else if (r == 0)
                continue;
            if (r > 0) {
                r = make_fixed(b, path);
                made = 1;
            }
            if (r < 0)
                return r;
        }
    }
    return made;
}

/* ---- chains --------------------------------------------------------------------------------- */

static void builder_done(struct builder *b) {
    for (size_t i = 0; i < b->count; i++) {
        fd_close(b->layers[i].tree);
        field_done(&layer_info_table, &b->layers[i].info);
    }
    free(b->layers);
}

static int open_layers(struct layer_store *s, char *const *diff_ids, struct builder *b,
                       bool *ret_implied, struct err *e) {
    b->layers = xcalloc(strv_len(diff_ids) + 1, sizeof(*b->layers));
    strv_for_each (id, diff_ids) {
        struct chain_layer *l = &b->layers[b->count];
        int r = layer_get(s, id, &l->info, e);
        if (r < 0)
            return r;
        l->tree = -1;
        b->count++;
        auto_free char *dir = layer_dir(id);
        auto_free char *path = xasprintf("%s/diff", dir);
        l->tree = tree_open_dir(data_root_fd(s->root), path);
        if (l->tree < 0)
            return err_sys(e, l->tree, "cannot open layer %s", id);
        *ret_implied |= l->info.implied && b->count > 1;
    }
    return 0;
}

static void remember(struct layer_store *s, const char *chain_id, char *const *diff_ids,
                     char *fixup) {
    struct chain *c = xnew(struct chain);
    c->fixup = fixup;
    c->diff_ids = strv_dup(diff_ids);
    struct chain *old = map_put(&s->chains, chain_id, c);
    if (old)
        layer_chain_free(old);
}

static int build(struct layer_store *s, char *const *diff_ids, const char *chain_id,
                 struct err *e) {
    struct builder b = {.fix_tree = -1};
    auto_free char *tmp = NULL;
    auto_free char *list = strv_join(diff_ids, "\n");
    auto_free char *target = xasprintf("fixups/%s", layer_hex(chain_id));
    auto_fd dir = -1;
    auto_fd tree = -1;
    bool implied = false;
    int root = data_root_fd(s->root), made = 0;
    int r = open_layers(s, diff_ids, &b, &implied, e);
    if (r == 0 && implied) {
        r = data_root_make_tmp(s->root, &tmp, &dir);
        if (r == 0 && mkdirat(dir, "diff", 0755) < 0)
            r = -errno;
        if (r == 0) {
            r = b.fix_tree = tree = tree_open_dir(dir, "diff");
            r = r < 0 ? r : 0;
        }
        if (r == 0)
            r = io_replace_file_at(dir, "layers", list, strlen(list), 0600);
        if (r == 0)
            r = made = fix_all(&b);
        if (r < 0)
            r = err_sys(e, r, "cannot make the directories of an image right");
    }
    builder_done(&b);
    if (r >= 0) {
        pthread_mutex_lock(&s->lock);
        /* Another thread may have put the same thing there: theirs is as good. */
        r = made && renameat(root, tmp, root, target) < 0 && errno != EEXIST && errno != ENOTEMPTY
                ? err_sys(e, errno, "cannot keep a fix-up layer")
                : 0;
        if (r == 0)
            remember(s, chain_id, diff_ids, made ? xasprintf("%s/diff", target) : NULL);
        pthread_mutex_unlock(&s->lock);
    }
    if (tmp)
        (void)data_root_trash(s->root, tmp); /* nothing when it was renamed */
    return r;
}

/* 1 and a copy of the fix-up's path (NULL: none needed) when the chain was looked at before. */
static int recall(struct layer_store *s, const char *chain_id, char **ret_fixup) {
    pthread_mutex_lock(&s->lock);
    const struct chain *c = map_get(&s->chains, chain_id);
    if (c)
        *ret_fixup = xstrdup_null(c->fixup);
    pthread_mutex_unlock(&s->lock);
    return c ? 1 : 0;
}

int layer_chain_paths(struct layer_store *s, char *const *diff_ids, char ***ret_lower,
                      struct err *e) {
    char chain_id[DIGEST_SIZE];
    auto_free char *fixup = NULL;
    auto_strv lower = NULL;
    size_t count = strv_len(diff_ids);
    layer_chain_id(diff_ids, chain_id);
    for (size_t i = 0; i < count; i++) {
        if (!layer_exists(s, diff_ids[i]))
            return err_set(e, ERR_NOT_FOUND, "layer does not exist: %s", diff_ids[i]);
    }
    if (count > 1 && !recall(s, chain_id, &fixup)) {
        int r = build(s, diff_ids, chain_id, e);
        if (r < 0)
            return r;
        (void)recall(s, chain_id, &fixup);
    }
    const char *root = data_root_path(s->root);
    if (fixup)
        strv_take(&lower, xasprintf("%s/%s", root, fixup));
    for (size_t i = count; i-- > 0;)
        strv_take(&lower, xasprintf("%s/layers/%s/diff", root, layer_hex(diff_ids[i])));
    *ret_lower = take_ptr(lower);
    return 0;
}

int layer_chain_totals(struct layer_store *s, char *const *diff_ids, uint64_t *ret_size,
                       struct high_ids *ret_high, struct err *e) {
    struct high_ids high = ret_high ? *ret_high : (struct high_ids){0};
    uint64_t size = 0;
    bool missing = false;
    pthread_mutex_lock(&s->lock);
    strv_for_each (id, diff_ids) {
        const struct layer_entry *l = map_get(&s->layers, id);
        missing |= !l;
        if (!l)
            continue;
        size += l->info.size;
        high_ids_add_text(&high, l->info.high_ids);
    }
    pthread_mutex_unlock(&s->lock);
    if (missing)
        return err_set(e, ERR_NOT_FOUND, "layer does not exist");
    if (ret_size)
        *ret_size = size;
    if (ret_high)
        *ret_high = high;
    return 0;
}
