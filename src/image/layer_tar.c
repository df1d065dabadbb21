/* SPDX-License-Identifier: Apache-2.0 */

/* Layers as tars: joined from their two halves, or written from the tree in one fixed way. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "image/layer_priv.h"
#include "image/layer_split.h"
#include "image/tar_out.h"
#include "image/tree.h"

static void cleanup_walk(struct tree_walk **w) {
    tree_walk_free(*w);
}

/* The top gets an entry only when it differs from what every root is. */
static int top_entry(struct tar_out *t, int tree_fd, struct err *e) {
    struct tree_node n = {.dirfd = tree_fd, .name = ".", .path = "", .fd = tree_fd};
    if (fstat(tree_fd, &n.st) < 0)
        return err_sys(e, errno, "cannot read the layer's tree");
    if ((n.st.st_mode & 07777) == 0755 && n.st.st_uid == 0 && n.st.st_gid == 0 &&
        !tree_is_opaque(tree_fd))
        return 0;
    return tar_out_node(t, &n, ".", e);
}

int layer_tar_of_tree(int tree_fd, struct writer *to, const bool *cancel, struct err *e) {
    __attribute__((cleanup(tar_out_done))) struct tar_out out;
    tar_out_init(&out, to);
    out.layer = true;
    out.cancel = cancel;
    __attribute__((cleanup(cleanup_walk))) struct tree_walk *w = tree_walk_new(tree_fd, false);
    const struct tree_node *n;
    int r = top_entry(&out, tree_fd, e);
    if (r < 0)
        return r;
    while ((r = tree_walk_next(w, &n)) > 0) {
        r = tar_out_node(&out, n, n->path, e);
        if (r < 0)
            return r;
    }
    if (r == 0)
        r = tar_out_end(&out);
    return r < 0 ? err_sys(e, r, "cannot write the layer's tar") : 0;
}

static int open_layer(struct layer_store *s, const char *diff_id, int *ret_dir, int *ret_tree,
                      struct err *e) {
    auto_free char *path = layer_dir(diff_id);
    auto_fd dir = tree_open_dir(data_root_fd(s->root), path);
    if (dir < 0)
        return err_sys(e, dir, "cannot open layer %s", diff_id);
    auto_fd tree = tree_open_dir(dir, "diff");
    if (tree < 0)
        return err_sys(e, tree, "cannot open layer %s", diff_id);
    *ret_dir = take_fd(&dir);
    *ret_tree = take_fd(&tree);
    return 0;
}

static int write_bytes(struct layer_store *s, const char *diff_id, struct writer *to,
                       const bool *cancel, struct err *e) {
    auto_fd dir = -1;
    auto_fd tree = -1;
    int r = open_layer(s, diff_id, &dir, &tree, e);
    if (r < 0)
        return r;
    auto_fd split = openat(dir, "split.zst", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (split < 0) {
        if (errno != ENOENT)
            return err_sys(e, errno, "cannot open layer %s", diff_id);
        return layer_tar_of_tree(tree, to, cancel, e);
    }
    auto_fd extra = tree_open_dir(dir, "extra");
    if (extra < 0 && extra != -ENOENT)
        return err_sys(e, extra, "cannot open layer %s", diff_id);
    return split_join(split, tree, extra, to, cancel, e);
}

static void remember_size(struct layer_store *s, const char *diff_id, uint64_t size) {
    pthread_mutex_lock(&s->lock);
    struct layer_entry *l = map_get(&s->layers, diff_id);
    if (l)
        l->info.tar_size = size;
    pthread_mutex_unlock(&s->lock);
}

int layer_write_tar(struct layer_store *s, const char *diff_id, struct writer *to,
                    const bool *cancel, struct err *e) {
    struct digest_writer hash;
    char got[DIGEST_SIZE];
    digest_writer_init(&hash, to);
    int r = write_bytes(s, diff_id, &hash.base, cancel, e);
    if (r == 0) {
        digest_final(hash.digest, got);
        if (strcmp(got, diff_id) != 0) {
            r = err_sys(e, EIO, "layer %s is damaged: its content has the digest %s", diff_id, got);
        } else {
            remember_size(s, diff_id, hash.count);
        }
    }
    digest_writer_done(&hash);
    return r;
}

static int write_nowhere(struct writer *w, const void *p, size_t n) {
    return 0;
}

int layer_tar_size(struct layer_store *s, const char *diff_id, uint64_t *ret, struct err *e) {
    uint64_t size = 0;
    pthread_mutex_lock(&s->lock);
    struct layer_entry *l = map_get(&s->layers, diff_id);
    if (l)
        size = l->info.tar_size;
    pthread_mutex_unlock(&s->lock);
    if (!l)
        return err_set(e, ERR_NOT_FOUND, "layer does not exist: %s", diff_id);
    if (size == 0) {
        struct digest_writer count;
        struct writer nowhere = {.write = write_nowhere};
        digest_writer_init(&count, &nowhere);
        int r = write_bytes(s, diff_id, &count.base, NULL, e);
        size = count.count;
        digest_writer_done(&count);
        if (r < 0)
            return r;
        remember_size(s, diff_id, size);
    }
    *ret = size;
    return 0;
}
