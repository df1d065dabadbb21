/* SPDX-License-Identifier: Apache-2.0 */
#include "image/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "image/tree.h"

#define CHANGES_MAX (4u << 20)

/* One directory of the walk: where the layers below have it, top first, as far as they show
 * through. No descriptors: it is new. */
struct level {
    int *fds;
    size_t count;
    bool reported; /* it is in the list */
    bool hides;    /* it or a parent is opaque: what lies below counts as removed */
};
struct finder {
    struct level *levels;
    size_t depth, cap;
    struct change_list list;
    size_t list_cap;
};

void change_list_done(struct change_list *l) {
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].path);
    free(l->items);
    *l = (struct change_list){0};
}

static int add(struct finder *f, const char *path, enum change_kind kind) {
    if (f->list.count >= CHANGES_MAX)
        return -EFBIG;
    if (f->list.count == f->list_cap) {
        f->list_cap = f->list_cap ? 2 * f->list_cap : 64;
        f->list.items = xreallocarray(f->list.items, f->list_cap, sizeof(*f->list.items));
    }
    f->list.items[f->list.count++] = (struct change){.path = xasprintf("/%s", path), .kind = kind};
    return 0;
}

/* Directories above a change are changed too, though nothing about themselves may be. */
static int report_parents(struct finder *f, const char *path) {
    const char *slash = path;
    for (size_t i = 1; i < f->depth; i++) {
        slash = strchr(slash + (i > 1), '/');
        size_t len = slash ? (size_t)(slash - path) : strlen(path);
        if (f->levels[i].reported)
            continue;
        auto_free char *parent = xstrndup(path, len);
        int r = add(f, parent, CHANGE_MODIFY);
        if (r < 0)
            return r;
        f->levels[i].reported = true;
    }
    return 0;
}

/* What shows through at `name`. 1: found, 0: nothing. */
static int find_below(const struct level *l, const char *name, struct stat *ret) {
    for (size_t i = 0; i < l->count; i++) {
        if (fstatat(l->fds[i], name, ret, AT_SYMLINK_NOFOLLOW) == 0)
            return tree_is_whiteout(ret) ? 0 : 1;
        if (errno != ENOENT)
            return -errno;
    }
    return 0;
}

static struct level *push(struct finder *f) {
    if (f->depth == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 16;
        f->levels = xreallocarray(f->levels, f->cap, sizeof(*f->levels));
    }
    struct level *l = &f->levels[f->depth++];
    *l = (struct level){0};
    return l;
}

static void pop(struct finder *f) {
    struct level *l = &f->levels[--f->depth];
    for (size_t i = 0; i < l->count; i++)
        fd_close(l->fds[i]);
    free(l->fds);
}

/* The level below the last one for the directory `name`. */
static int enter(struct finder *f, const char *name) {
    struct level *l = push(f);
    const struct level *up = l - 1;
    l->fds = xcalloc(up->count + 1, sizeof(*l->fds));
    for (size_t i = 0; i < up->count; i++) {
        int fd = tree_open_dir(up->fds[i], name);
        if (fd == -ENOENT)
            continue;
        if (fd == -ENOTDIR || fd == -ELOOP || fd == -ENXIO)
            break; /* removed, or something else there: nothing of what is below shows */
        if (fd < 0)
            return fd;
        l->fds[l->count++] = fd;
        if (tree_is_opaque(fd))
            break;
    }
    return 0;
}

/* What the layers below have in it is gone, unless it is there again. */
static int report_hidden(struct finder *f, const struct tree_node *n) {
    const struct level *l = &f->levels[f->depth - 1];
    __attribute__((cleanup(map_done))) struct map names = {0};
    int r = 0;
    for (size_t i = 0; i < l->count; i++) {
        auto_strv list = NULL;
        r = tree_list(l->fds[i], &list);
        if (r < 0)
            return r;
        strv_for_each (name, list)
            (void)map_put(&names, name, f);
    }
    map_for_each (m, &names) {
        struct stat st;
        if (fstatat(n->fd, m->key, &st, AT_SYMLINK_NOFOLLOW) == 0 && !tree_is_whiteout(&st))
            continue;
        r = find_below(l, m->key, &st);
        if (r <= 0)
            continue;
        auto_free char *path = xasprintf("%s/%s", n->path, m->key);
        r = report_parents(f, path);
        if (r == 0)
            r = add(f, path, CHANGE_DELETE);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : 0;
}

static bool same_dir(const struct stat *a, const struct stat *b) {
    return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int visit_dir(struct finder *f, const struct tree_node *n, int found,
                     const struct stat *below) {
    int r = enter(f, n->name);
    if (r < 0)
        return r;
    bool was_dir = found && S_ISDIR(below->st_mode);
    if (!was_dir || !same_dir(&n->st, below)) {
        f->levels[f->depth - 1].reported = true;
        r = report_parents(f, n->path);
        if (r == 0)
            r = add(f, n->path, found ? CHANGE_MODIFY : CHANGE_ADD);
    }
    struct level *l = &f->levels[f->depth - 1];
    l->hides = l[-1].hides || tree_is_opaque(n->fd);
    return r == 0 && was_dir && l->hides ? report_hidden(f, n) : r;
}

static int visit(struct finder *f, const struct tree_node *n) {
    struct stat below;
    if (n->leave) {
        pop(f);
        return 0;
    }
    int found = find_below(&f->levels[f->depth - 1], n->name, &below);
    if (found < 0)
        return found;
    if (S_ISDIR(n->st.st_mode))
        return visit_dir(f, n, found, &below);
    bool whiteout = tree_is_whiteout(&n->st);
    if (whiteout && !found)
        return 0; /* made and removed again */
    int r = report_parents(f, n->path);
    if (r < 0)
        return r;
    return add(f, n->path, whiteout ? CHANGE_DELETE : found ? CHANGE_MODIFY : CHANGE_ADD);
}

static int compare_changes(const void *a, const void *b) {
    return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

static int open_top(struct finder *f, char *const *lower, struct err *e) {
    struct level *l = push(f);
    l->fds = xcalloc(strv_len(lower) + 1, sizeof(*l->fds));
    l->reported = true;
    strv_for_each (path, lower) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return err_sys(e, errno, "cannot read the layer %s", path);
        l->fds[l->count++] = fd;
    }
    return 0;
}

int changes_find(const char *upper, char *const *lower, struct change_list *ret, struct err *e) {
    auto_fd top = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return err_sys(e, errno, "cannot read the container's changes");
    struct finder f = {0};
    struct tree_walk *w = tree_walk_new(top, false);
    const struct tree_node *n;
    int r = open_top(&f, lower, e);
    if (r == 0) {
        while ((r = tree_walk_next(w, &n)) > 0) {
            r = visit(&f, n);
            if (r < 0)
                break;
        }
        if (r < 0)
            r = err_sys(e, r, "cannot read the container's changes at /%s", tree_walk_path(w));
    }
    tree_walk_free(w);
    while (f.depth)
        pop(&f);
    free(f.levels);
    if (r < 0) {
        change_list_done(&f.list);
        return r;
    }
    if (f.list.count > 1)
        qsort(f.list.items, f.list.count, sizeof(*f.list.items), compare_changes);
    *ret = f.list;
    return 0;
}

int changes_size(const char *upper, uint64_t *ret, struct err *e) {
    struct tree_totals totals;
    auto_fd fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : tree_measure(fd, &totals);
    if (r < 0)
        return err_sys(e, r, "cannot read the container's changes");
    *ret = totals.bytes;
    return 0;
}
