/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/io.h"

/* Entries in one directory: what bounds the memory of a listing. */
#define TREE_NAMES_MAX (16u << 20)
/* Removal goes this deep before it moves the rest up: bounds descriptors. */
#define REMOVE_DEPTH    64
#define RANDOM_NAME_MAX 40

int tree_open_dir(int dirfd, const char *name) {
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

bool tree_is_whiteout(const struct stat *st) {
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

bool tree_is_opaque(int dirfd) {
    char value[2];
    return fgetxattr(dirfd, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int tree_list(int dirfd, char ***ret_names) {
    auto_dir *dir = NULL;
    int r = io_open_dir(dirfd, &dir);
    if (r < 0)
        return r;
    auto_strv names = NULL;
    size_t count = 0, cap = 0;
    for (;;) {
        errno = 0;
        struct dirent *de = readdir(dir);
        if (!de)
            break;
        if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
            continue;
        if (count == TREE_NAMES_MAX)
            return -EFBIG;
        if (count + 2 > cap) {
            cap = cap ? 2 * cap : 32;
            names = xreallocarray(names, cap, sizeof(*names));
        }
        names[count++] = xstrdup(de->d_name);
        names[count] = NULL;
    }
    if (errno)
        return -errno;
    if (count > 1)
        qsort(names, count, sizeof(*names), compare_names);
    *ret_names = take_ptr(names);
    return 0;
}

/* ---- walks ---------------------------------------------------------------------------------- */

struct level {
    int fd;
    char **names;
    size_t next;
    size_t path_len; /* of the directory itself in walk.path; 0 at the top */
    struct stat st;
};
struct tree_walk {
    struct level *levels;
    size_t depth, cap;
    int top_fd;
    bool cross, started, foreign;
    dev_t dev;
    struct buf path;
    struct tree_node node;
    int pending; /* the directory that was returned last, to be entered; -1: none */
};

struct tree_walk *tree_walk_new(int top_fd, bool cross) {
    struct tree_walk *w = xnew(struct tree_walk);
    w->top_fd = top_fd;
    w->cross = cross;
    w->pending = -1;
    return w;
}

static void pop_level(struct tree_walk *w) {
    struct level *l = &w->levels[--w->depth];
    if (w->depth > 0)
        fd_close(l->fd);
    strv_free(l->names);
}

void tree_walk_free(struct tree_walk *w) {
    if (!w)
        return;
    while (w->depth)
        pop_level(w);
    fd_close(w->pending);
    free(w->levels);
    buf_done(&w->path);
    free(w);
}

const char *tree_walk_path(const struct tree_walk *w) {
    return buf_str(&w->path);
}

void tree_walk_skip(struct tree_walk *w) {
    w->foreign = false;
    fd_close(w->pending);
    w->pending = -1;
}

/* Takes ownership of fd (except of the top's). */
static int push_level(struct tree_walk *w, int fd) {
    if (w->depth == TREE_DEPTH_MAX)
        return -ELOOP;
    if (w->depth == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 16;
        w->levels = xreallocarray(w->levels, w->cap, sizeof(*w->levels));
    }
    struct level *l = &w->levels[w->depth];
    *l = (struct level){.fd = fd, .path_len = w->path.len, .st = w->node.st};
    int r = w->foreign ? 0 : tree_list(fd, &l->names);
    w->foreign = false;
    if (r < 0)
        return r;
    w->depth++;
    return 0;
}

static void path_cut(struct tree_walk *w, size_t len) {
    w->path.len = len;
    if (w->path.data)
        w->path.data[len] = 0;
}

static int start(struct tree_walk *w) {
    struct stat st;
    if (fstat(w->top_fd, &st) < 0)
        return -errno;
    w->dev = st.st_dev;
    w->started = true;
    return push_level(w, w->top_fd);
}

/* The end of a directory: its second visit. 0 at the end of the top. */
static int leave(struct tree_walk *w, const struct tree_node **ret) {
    if (w->depth == 1) {
        path_cut(w, 0);
        return 0;
    }
    struct level *l = &w->levels[w->depth - 1];
    struct level *parent = &w->levels[w->depth - 2];
    path_cut(w, l->path_len);
    w->node = (struct tree_node){
        .dirfd = parent->fd,
        .name = parent->names[parent->next - 1],
        .path = buf_str(&w->path),
        .st = l->st,
        .fd = l->fd,
        .leave = true,
    };
    *ret = &w->node;
    return 1;
}

int tree_walk_next(struct tree_walk *w, const struct tree_node **ret) {
    int r = 0;
    if (!w->started) {
        r = start(w);
    } else if (w->node.leave) {
        pop_level(w);
        w->node.leave = false;
    } else if (w->pending >= 0) {
        int fd = take_fd(&w->pending);
        r = push_level(w, fd);
        if (r < 0)
            fd_close(fd);
    }
    if (r < 0)
        return r;
    for (;;) {
        struct level *l = &w->levels[w->depth - 1];
        const char *name = l->names ? l->names[l->next] : NULL;
        if (!name)
            return leave(w, ret);
        l->next++;
        path_cut(w, l->path_len);
        if (l->path_len)
            buf_putc(&w->path, '/');
        if (!buf_puts(&w->path, name))
            return -ENAMETOOLONG;
        w->node =
            (struct tree_node){.dirfd = l->fd, .name = name, .path = buf_str(&w->path), .fd = -1};
        if (fstatat(l->fd, name, &w->node.st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                continue;
            return -errno;
        }
        if (S_ISDIR(w->node.st.st_mode)) {
            int fd = tree_open_dir(l->fd, name);
            /* Removed, or replaced by something else, between two system calls. */
            if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
                continue;
            if (fd < 0)
                return fd;
            if (fstat(fd, &w->node.st) < 0) {
                int saved = -errno;
                fd_close(fd);
                return saved;
            }
            /* What is mounted on it is not entered, but visited as the directory it is. */
            w->pending = w->node.fd = fd;
            w->foreign = !w->cross && w->node.st.st_dev != w->dev;
        }
        *ret = &w->node;
        return 1;
    }
}

/* ---- inodes with several names -------------------------------------------------------------- */

void inode_map_done(struct inode_map *m) {
    for (size_t i = 0; i < m->size; i++)
        free(m->slots[i].path);
    free(m->slots);
    *m = (struct inode_map){0};
}

static struct inode_path *inode_slot(const struct inode_map *m, uint64_t dev, uint64_t ino) {
    size_t mask = m->size - 1;
    size_t i = ((ino ^ dev << 32) * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & mask;
    while (m->slots[i].path && (m->slots[i].ino != ino || m->slots[i].dev != dev))
        i = (i + 1) & mask;
    return &m->slots[i];
}

const char *inode_map_add(struct inode_map *m, const struct stat *st, const char *path) {
    if (2 * (m->used + 1) > m->size) {
        struct inode_map bigger = {.size = m->size ? 2 * m->size : 64, .used = m->used};
        bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
        for (size_t i = 0; i < m->size; i++)
            if (m->slots[i].path)
                *inode_slot(&bigger, m->slots[i].dev, m->slots[i].ino) = m->slots[i];
        free(m->slots);
        *m = bigger;
    }
    struct inode_path *p = inode_slot(m, st->st_dev, st->st_ino);
    if (p->path)
        return p->path;
    *p = (struct inode_path){.dev = st->st_dev, .ino = st->st_ino, .path = xstrdup(path)};
    m->used++;
    return NULL;
}

/* ---- removal -------------------------------------------------------------------------------- */

static int move_up(int dirfd, const char *name, int top) {
    unsigned char bytes[16];
    char to[RANDOM_NAME_MAX];
    random_bytes(bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), to);
    return renameat(dirfd, name, top, to) < 0 ? -errno : 0;
}

/* Empties the directory `top` down to REMOVE_DEPTH; what lies deeper is moved into `top` itself
 * (*moved) for another round. An adversary's tree may be far deeper than any path. */
static int empty_once(int top, dev_t dev, bool *moved) {
    struct {
        int fd;
        char **names;
        size_t next;
    } stack[REMOVE_DEPTH];
    size_t depth = 1;
    stack[0].fd = top;
    stack[0].names = NULL;
    stack[0].next = 0;
    int first = tree_list(top, &stack[0].names);
    while (depth > 0) {
        __auto_type l = &stack[depth - 1];
        const char *name = l->names ? l->names[l->next] : NULL;
        int r = 0;
        if (!name) {
            strv_free(l->names);
            if (--depth == 0)
                break;
            fd_close(l->fd);
            __auto_type up = &stack[depth - 1];
            if (unlinkat(up->fd, up->names[up->next - 1], AT_REMOVEDIR) < 0)
                r = -errno;
        } else {
            l->next++;
            if (unlinkat(l->fd, name, 0) == 0)
                continue;
            r = -errno;
        }
        if (name && (r == -EISDIR || r == -EPERM)) {
            struct stat st;
            int sub = tree_open_dir(l->fd, name);
            char **names = NULL;
            if (sub < 0)
                r = sub;
            else if (fstat(sub, &st) < 0)
                r = -errno;
            else if (st.st_dev != dev)
                r = -EBUSY; /* something is mounted there: not ours to empty */
            else if (depth == REMOVE_DEPTH) {
                r = unlinkat(l->fd, name, AT_REMOVEDIR) == 0 ? 0 : move_up(l->fd, name, top);
                *moved |= r == 0;
            } else {
                r = tree_list(sub, &names);
            }
            if (r == 0 && depth < REMOVE_DEPTH) {
                stack[depth].fd = sub;
                stack[depth].names = names;
                stack[depth++].next = 0;
            } else {
                fd_close(sub);
            }
        }
        if (r < 0 && r != -ENOENT && first == 0)
            first = r;
    }
    return first;
}

int tree_remove_at(int dirfd, const char *name) {
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    auto_fd fd = tree_open_dir(dirfd, name);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    bool moved = true;
    int first = 0;
    while (moved && first == 0) {
        moved = false;
        first = empty_once(fd, st.st_dev, &moved);
    }
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && first == 0)
        first = -errno;
    return first;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static void cleanup_walk(struct tree_walk **w) {
    tree_walk_free(*w);
}

int tree_measure(int dirfd, struct tree_totals *ret) {
    struct stat st;
    if (fstat(dirfd, &st) < 0)
        return -errno;
    struct tree_totals t = {0};
    high_ids_add(&t.high, st.st_uid);
    high_ids_add(&t.high, st.st_gid);
    __attribute__((cleanup(inode_map_done))) struct inode_map seen = {0};
    __attribute__((cleanup(cleanup_walk))) struct tree_walk *w = tree_walk_new(dirfd, false);
    const struct tree_node *n;
    int r;
    while ((r = tree_walk_next(w, &n)) > 0) {
        if (n->leave)
            continue;
        t.entries++;
        high_ids_add(&t.high, n->st.st_uid);
        high_ids_add(&t.high, n->st.st_gid);
        if (S_ISREG(n->st.st_mode) && (n->st.st_nlink == 1 || !inode_map_add(&seen, &n->st, "")))
            t.bytes += (uint64_t)n->st.st_size;
    }
    if (r < 0)
        return r;
    *ret = t;
    return 0;
}
