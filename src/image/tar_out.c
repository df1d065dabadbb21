/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/filecap.h"
#include "sys/path.h"

#define OUT_BLOCK         (256u << 10)
#define XATTR_LIST_LIMIT  (64u << 10)
#define XATTR_VALUE_LIMIT (64u << 10)
#define LINK_TARGET_MAX   4096

void tar_out_init(struct tar_out *t, struct writer *to) {
    *t = (struct tar_out){0};
    buffered_writer_init(&t->buffer, to);
    t->tar = tar_writer_new(&t->buffer.base);
    t->block = xmalloc(OUT_BLOCK);
    t->xattr_names = xmalloc(XATTR_LIST_LIMIT);
    t->xattr_value = xmalloc(XATTR_VALUE_LIMIT);
}

void tar_out_done(struct tar_out *t) {
    tar_writer_free(t->tar);
    buffered_writer_done(&t->buffer);
    inode_map_done(&t->links);
    free(t->block);
    free(t->xattr_names);
    free(t->xattr_value);
    *t = (struct tar_out){0};
}

static bool xattr_wanted(const struct tar_out *t, const char *name) {
    return str_eq(name, "security.capability") || str_starts(name, "user.") ||
           (t->layer && str_starts(name, "system.posix_acl_"));
}

static int compare_xattrs(const void *a, const void *b) {
    return strcmp(((const struct tar_xattr *)a)->name, ((const struct tar_xattr *)b)->name);
}

static void add_xattr(const struct tar_out *t, struct tar_entry *entry, const char *name,
                      const char *value, size_t size) {
    char cap[FILECAP_MAX];
    if (t->ids.size && str_eq(name, "security.capability")) {
        size = filecap_from_host(value, size, t->ids.base, t->ids.size, cap);
        value = cap;
        if (size == 0)
            return; /* not a form that any kernel has written */
    }
    tar_entry_add_xattr(entry, name, value, size);
}

static int add_xattrs(struct tar_out *t, int fd, struct tar_entry *entry) {
    ssize_t n = flistxattr(fd, t->xattr_names, XATTR_LIST_LIMIT);
    if (n <= 0)
        return n < 0 && errno != ENOTSUP ? -errno : 0;
    for (const char *name = t->xattr_names; name < t->xattr_names + n; name += strlen(name) + 1) {
        if (!xattr_wanted(t, name))
            continue;
        ssize_t size = fgetxattr(fd, name, t->xattr_value, XATTR_VALUE_LIMIT);
        if (size >= 0)
            add_xattr(t, entry, name, t->xattr_value, (size_t)size);
        else if (errno != ENODATA && errno != ENOTSUP)
            return -errno;
    }
    if (entry->xattr_count > 1)
        qsort(entry->xattrs, entry->xattr_count, sizeof(*entry->xattrs), compare_xattrs);
    return 0;
}

static int read_link(const struct tree_node *n, char **ret) {
    char target[LINK_TARGET_MAX + 1];
    ssize_t len = readlinkat(n->dirfd, n->name, target, sizeof(target));
    if (len < 0)
        return -errno;
    if (len > LINK_TARGET_MAX)
        return -ENAMETOOLONG;
    *ret = xstrndup(target, (size_t)len);
    return 0;
}

/* Exactly `size` bytes, as the header has promised: a file cut meanwhile is filled with zeros. */
static int write_content(struct tar_out *t, int fd, uint64_t size) {
    bool ended = false;
    while (size > 0) {
        if (t->cancel && __atomic_load_n(t->cancel, __ATOMIC_RELAXED))
            return -ECANCELED;
        size_t want = size < OUT_BLOCK ? (size_t)size : OUT_BLOCK;
        ssize_t n = ended ? 0 : read(fd, t->block, want);
        if (n < 0)
            return -errno;
        if (n == 0) {
            ended = true;
            memset(t->block, 0, want);
            n = (ssize_t)want;
        }
        int r = tar_write_data(t->tar, t->block, (size_t)n);
        if (r < 0)
            return r;
        size -= (uint64_t)n;
    }
    return 0;
}

static int open_file(const struct tree_node *n, struct stat *st) {
    int fd = openat(n->dirfd, n->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
        fd_close(fd);
        return -ESTALE;
    }
    return fd;
}

static int fill_type(struct tar_out *t, const struct stat *st, struct tar_entry *entry) {
    switch (st->st_mode & S_IFMT) {
    case S_IFDIR:
        entry->type = TAR_DIR;
        break;
    case S_IFLNK:
        entry->type = TAR_SYMLINK;
        break;
    case S_IFIFO:
        entry->type = TAR_FIFO;
        break;
    case S_IFCHR:
    case S_IFBLK:
        entry->type = S_ISCHR(st->st_mode) ? TAR_CHAR : TAR_BLOCK;
        entry->dev_major = major(st->st_rdev);
        entry->dev_minor = minor(st->st_rdev);
        break;
    default:
        entry->type = TAR_FILE;
        entry->size = (uint64_t)st->st_size;
        break;
    }
    entry->mode = st->st_mode & 07777;
    entry->uid = id_shift_in(&t->ids, st->st_uid);
    entry->gid = id_shift_in(&t->ids, st->st_gid);
    entry->mtime_ns = st->st_mtim.tv_sec * NS_PER_SEC + (t->layer ? 0 : st->st_mtim.tv_nsec);
    return 0;
}

static int out_node(struct tar_out *t, const struct tree_node *n, const char *name) {
    struct stat st = n->st;
    __attribute__((cleanup(tar_entry_done))) struct tar_entry entry = {.path = xstrdup(name)};
    auto_fd fd = -1;
    int r = 0;
    if (S_ISREG(st.st_mode)) {
        fd = open_file(n, &st);
        if (fd == -ENOENT || fd == -ESTALE)
            return 0; /* gone, or something else by now */
        if (fd < 0)
            return take_fd(&fd);
    }
    (void)fill_type(t, &st, &entry);
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
        const char *first = inode_map_add(&t->links, &st, name);
        if (first) {
            entry.type = TAR_HARDLINK;
            entry.link = xstrdup(first);
            entry.size = 0;
        }
    }
    if (entry.type == TAR_SYMLINK)
        r = read_link(n, &entry.link);
    if (r == 0 && entry.type == TAR_FILE)
        r = add_xattrs(t, fd, &entry);
    if (r == 0 && entry.type == TAR_DIR && n->fd >= 0)
        r = add_xattrs(t, n->fd, &entry);
    if (r == 0)
        r = tar_write_header(t->tar, &entry);
    if (r == 0 && entry.type == TAR_FILE)
        r = write_content(t, fd, entry.size);
    return r;
}

/* name with ".wh." before its last component. */
static char *whiteout_name(const char *name) {
    const char *slash = strrchr(name, '/');
    size_t dir = slash ? (size_t)(slash + 1 - name) : 0;
    return xasprintf("%.*s.wh.%s", (int)dir, name, name + dir);
}

int tar_out_node(struct tar_out *t, const struct tree_node *n, const char *name, struct err *e) {
    int r = 0;
    if (t->cancel && __atomic_load_n(t->cancel, __ATOMIC_RELAXED))
        return err_set(e, ERR_CANCELLED, "cancelled");
    if (n->leave || S_ISSOCK(n->st.st_mode))
        return 0;
    if (t->layer && tree_is_whiteout(&n->st)) {
        auto_free char *mark = whiteout_name(name);
        r = tar_out_empty(t, mark, n->st.st_mtim.tv_sec * NS_PER_SEC);
    } else {
        r = out_node(t, n, name);
        if (r == 0 && t->layer && S_ISDIR(n->st.st_mode) && tree_is_opaque(n->fd)) {
            auto_free char *mark = xasprintf("%s/.wh..wh..opq", name);
            r = tar_out_empty(t, mark, n->st.st_mtim.tv_sec * NS_PER_SEC);
        }
    }
    if (r == -ECANCELED)
        return err_set(e, ERR_CANCELLED, "cancelled");
    return r < 0 ? err_sys(e, r, "cannot archive %s", name) : 0;
}

int tar_out_empty(struct tar_out *t, const char *name, int64_t mtime_ns) {
    __attribute__((cleanup(tar_entry_done))) struct tar_entry entry = {
        .type = TAR_FILE, .path = xstrdup(name), .mtime_ns = mtime_ns};
    return tar_write_header(t->tar, &entry);
}

int tar_out_end(struct tar_out *t) {
    int r = tar_write_end(t->tar);
    return r < 0 ? r : buffered_writer_flush(&t->buffer);
}
