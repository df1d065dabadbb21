/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A tar becomes a layer's tree. The archive is hostile: every name is taken apart here and every
 * object is made through a descriptor of its parent, without following links; a link among the
 * parents is resolved by the kernel inside the tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "format/tar.h"
#include "image/layer_priv.h"
#include "image/layer_split.h"
#include "image/tree.h"
#include "sys/path.h"

#define DEPTH_MAX    400
#define BLOCK        (256u << 10)
#define NAME_LIMIT   255
#define IMPLIED_MAX  (1u << 20)
#define WHITEOUT     ".wh."
#define OPAQUE_MARK  ".wh..wh..opq"
#define AUFS_PREFIX  ".wh..wh."
#define OPAQUE_XATTR "trusted.overlay.opaque"

const struct layer_limits layer_default_limits = {
    .bytes = UINT64_C(256) << 30,
    .entries = 8u << 20,
};

/* A directory of the path worked on last. */
struct step {
    char *name;
    int fd;
};
struct dir_time {
    char *path;
    int64_t mtime_ns;
};
struct unpacker {
    int tree, draft_dir;
    struct layer_info *info;
    struct high_ids high;
    struct layer_limits limits;
    const bool *cancel;
    struct split_writer *split;
    struct tar_reader *tar;
    const struct tar_entry *entry;
    struct step steps[DEPTH_MAX];
    size_t depth;
    struct dir_time *times; /* set at the end: making children changes them */
    size_t time_count, time_cap;
    struct map implied; /* directories without an entry so far */
    uint64_t *contents; /* inode of the n-th content of the split */
    size_t content_count, content_cap;
    struct inode_map content_index; /* inode -> number; made at the first replacement */
    size_t content_indexed;
    int extra; /* directory of replaced contents; -1 until there is one */
    dev_t dev;
    char *block;
    char path[TAR_PATH_MAX + 1];   /* of the entry, clean */
    char parent[TAR_PATH_MAX + 1]; /* its directory, "" at the top */
    const char *name;              /* last component, "" for the top itself */
};

/* ---- names ---------------------------------------------------------------------------------- */

/* Drops empty components and "."; refuses "..". */
static int clean_path(const char *in, char out[static TAR_PATH_MAX + 1], size_t *ret_depth) {
    size_t len = 0, depth = 0;
    while (*in) {
        size_t n = strcspn(in, "/");
        if (n == 2 && in[0] == '.' && in[1] == '.')
            return -EXDEV;
        if (n > NAME_LIMIT)
            return -ENAMETOOLONG;
        if (n > 0 && !(n == 1 && in[0] == '.')) {
            if (len + n + 2 > TAR_PATH_MAX)
                return -ENAMETOOLONG;
            if (len)
                out[len++] = '/';
            memcpy(out + len, in, n);
            len += n;
            depth++;
        }
        in += n + (in[n] == '/');
    }
    out[len] = 0;
    *ret_depth = depth;
    return depth > DEPTH_MAX ? -ELOOP : 0;
}

static int take_path(struct unpacker *u) {
    size_t depth;
    int r = clean_path(u->entry->path, u->path, &depth);
    if (r < 0)
        return r;
    char *slash = strrchr(u->path, '/');
    size_t parent = slash ? (size_t)(slash - u->path) : 0;
    memcpy(u->parent, u->path, parent);
    u->parent[parent] = 0;
    u->name = slash ? slash + 1 : u->path;
    return 0;
}

/* ---- directories ---------------------------------------------------------------------------- */

static void remember_time(struct unpacker *u, const char *path, int64_t mtime_ns) {
    if (u->time_count == u->time_cap) {
        u->time_cap = u->time_cap ? 2 * u->time_cap : 64;
        u->times = xreallocarray(u->times, u->time_cap, sizeof(*u->times));
    }
    u->times[u->time_count++] = (struct dir_time){.path = xstrdup(path), .mtime_ns = mtime_ns};
}

static void drop_steps(struct unpacker *u, size_t depth) {
    while (u->depth > depth) {
        struct step *s = &u->steps[--u->depth];
        fd_close(s->fd);
        free(s->name);
    }
}

static int step_fd(const struct unpacker *u) {
    return u->depth ? u->steps[u->depth - 1].fd : u->tree;
}

/* A parent that is a link, as /bin -> usr/bin in the same archive: as in a chroot. */
static int open_linked_dir(struct unpacker *u, const char *path) {
    return path_mkdirs_in(u->tree, path, 0755, (uid_t)-1, (gid_t)-1);
}

/* Opens, and makes when missing, one more directory below the steps. path: with that component. */
static int enter(struct unpacker *u, const char *name, const char *path) {
    int at = step_fd(u);
    int fd = tree_open_dir(at, name);
    if (fd == -ENOENT) {
        if (u->implied.count >= IMPLIED_MAX)
            return -EFBIG;
        if (mkdirat(at, name, 0755) < 0)
            return -errno;
        fd = tree_open_dir(at, name);
        if (fd < 0)
            return fd;
        if (fchmod(fd, 0755) < 0) {
            fd_close(fd);
            return -EIO;
        }
        (void)map_put(&u->implied, path, u);
        remember_time(u, path, u->entry->mtime_ns);
    } else if (fd == -ENOTDIR || fd == -ELOOP) {
        struct stat st;
        if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && tree_is_whiteout(&st)) {
            /* Removed and made anew in one layer: what is below must not show through. */
            if (unlinkat(at, name, 0) < 0 || mkdirat(at, name, 0755) < 0)
                return -errno;
            fd = tree_open_dir(at, name);
            if (fd >= 0 && (fchmod(fd, 0755) < 0 || fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0)) {
                fd_close(fd);
                return -EIO;
            }
            remember_time(u, path, u->entry->mtime_ns);
        } else {
            fd = open_linked_dir(u, path);
        }
    }
    if (fd < 0)
        return fd;
    u->steps[u->depth++] = (struct step){.name = xstrdup(name), .fd = fd};
    return 0;
}

/* Makes the steps those of u->parent and gives its descriptor (borrowed). */
static int go_to_parent(struct unpacker *u) {
    const char *p = u->parent;
    size_t depth = 0;
    char path[TAR_PATH_MAX + 1];
    while (*p) {
        size_t n = strcspn(p, "/");
        const char *end = p + n;
        if (depth < u->depth && strlen(u->steps[depth].name) == n &&
            memcmp(u->steps[depth].name, p, n) == 0) {
            depth++;
        } else {
            char name[NAME_LIMIT + 1];
            drop_steps(u, depth);
            memcpy(name, p, n);
            name[n] = 0;
            memcpy(path, u->parent, (size_t)(end - u->parent));
            path[end - u->parent] = 0;
            int r = enter(u, name, path);
            if (r < 0)
                return r;
            depth++;
        }
        p = *end ? end + 1 : end;
    }
    drop_steps(u, depth);
    return step_fd(u);
}

/* ---- replacing ------------------------------------------------------------------------------ */

static const char *content_number(struct unpacker *u, const struct stat *st) {
    char number[24];
    for (; u->content_indexed < u->content_count; u->content_indexed++) {
        struct stat key = {.st_dev = u->dev, .st_ino = u->contents[u->content_indexed]};
        snprintf(number, sizeof(number), "%zu", u->content_indexed);
        (void)inode_map_add(&u->content_index, &key, number);
    }
    struct stat key = {.st_dev = u->dev, .st_ino = st->st_ino};
    /* Entries that are added by a look-up have the empty path: "no content". */
    const char *found = inode_map_add(&u->content_index, &key, "");
    return found && *found ? found : NULL;
}

/* A file goes away whose content the split refers to: it is kept beside the tree. */
static int keep_content(struct unpacker *u, int dirfd, const char *name, const struct stat *st) {
    if (!S_ISREG(st->st_mode) || st->st_size == 0)
        return 0;
    const char *number = content_number(u, st);
    if (!number)
        return 0;
    if (u->extra < 0) {
        if (mkdirat(u->draft_dir, "extra", 0700) < 0 && errno != EEXIST)
            return -errno;
        int fd = tree_open_dir(u->draft_dir, "extra");
        if (fd < 0)
            return fd;
        u->extra = fd;
    }
    if (linkat(dirfd, name, u->extra, number, 0) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

static int retire_tree(struct unpacker *u, int dirfd, const char *name) {
    auto_fd fd = tree_open_dir(dirfd, name);
    if (fd < 0)
        return fd;
    struct tree_walk *w = tree_walk_new(fd, false);
    const struct tree_node *n;
    int r;
    while ((r = tree_walk_next(w, &n)) > 0) {
        r = n->leave ? 0 : keep_content(u, n->dirfd, n->name, &n->st);
        if (r < 0)
            break;
    }
    tree_walk_free(w);
    if (r < 0)
        return r;
    /* Nothing below it is implied any more. */
    size_t len = strlen(u->path);
    map_for_each (m, &u->implied) {
        if (str_starts(m->key, u->path) && (m->key[len] == '/' || m->key[len] == 0)) {
            auto_free char *key = xstrdup(m->key);
            (void)map_del(&u->implied, key);
        }
    }
    return tree_remove_at(dirfd, name);
}

/* Makes room for an object; directories stay when the new one is a directory too. 1: one stayed;
 * 2: a mark of removal went. */
static int make_room(struct unpacker *u, int dirfd, bool directory) {
    struct stat st;
    if (fstatat(dirfd, u->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(st.st_mode))
        return directory ? 1 : retire_tree(u, dirfd, u->name);
    int r = keep_content(u, dirfd, u->name, &st);
    if (r < 0)
        return r;
    if (unlinkat(dirfd, u->name, 0) < 0)
        return -errno;
    return tree_is_whiteout(&st) ? 2 : 0;
}

/* ---- objects -------------------------------------------------------------------------------- */

static bool xattr_wanted(const char *name) {
    return str_starts(name, "user.") || str_eq(name, "security.capability") ||
           str_eq(name, "system.posix_acl_access") || str_eq(name, "system.posix_acl_default");
}

static int set_attributes(struct unpacker *u, int fd) {
    const struct tar_entry *t = u->entry;
    if ((t->uid || t->gid) && fchown(fd, (uid_t)t->uid, (gid_t)t->gid) < 0)
        return -errno;
    if (fchmod(fd, t->mode & 07777) < 0)
        return -errno;
    for (size_t i = 0; i < t->xattr_count; i++) {
        const struct tar_xattr *x = &t->xattrs[i];
        if (xattr_wanted(x->name) && fsetxattr(fd, x->name, x->value, x->size, 0) < 0 &&
            errno != ENOTSUP)
            return -errno;
    }
    return 0;
}

static struct timespec to_timespec(int64_t ns) {
    struct timespec t = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
    if (t.tv_nsec < 0) {
        t.tv_nsec += NS_PER_SEC;
        t.tv_sec--;
    }
    return t;
}

static int write_file(struct unpacker *u, int fd) {
    struct reader *data = tar_data(u->tar);
    uint64_t left = u->entry->size;
    while (left > 0) {
        if (u->cancel && __atomic_load_n(u->cancel, __ATOMIC_RELAXED))
            return -ECANCELED;
        ssize_t n = reader_full(data, u->block, left < BLOCK ? (size_t)left : BLOCK);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        for (ssize_t at = 0; at < n;) {
            ssize_t done = write(fd, u->block + at, (size_t)(n - at));
            if (done < 0 && errno != EINTR)
                return -errno;
            at += done > 0 ? done : 0;
        }
        left -= (uint64_t)n;
    }
    return 0;
}

/* Tells the recorder where the content lies; what it does not take stays verbatim. */
static int record_content(struct unpacker *u, int fd) {
    struct stat st;
    if (u->entry->size == 0)
        return 0;
    if (u->entry->sparse) {
        split_writer_verbatim(u->split, true);
        return 0;
    }
    int r = split_writer_file(u->split, tar_offset(u->tar), u->entry->size, u->path);
    if (r != 0)
        return r < 0 ? r : 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    u->dev = st.st_dev;
    if (u->content_count == u->content_cap) {
        u->content_cap = u->content_cap ? 2 * u->content_cap : 256;
        u->contents = xreallocarray(u->contents, u->content_cap, sizeof(*u->contents));
    }
    u->contents[u->content_count++] = st.st_ino;
    return 0;
}

static int make_file(struct unpacker *u, int dirfd) {
    if (u->entry->size > u->limits.bytes - u->info->size)
        return -EFBIG;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    auto_fd fd = openat(dirfd, u->name, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        int r = make_room(u, dirfd, false);
        if (r < 0)
            return r;
        fd = openat(dirfd, u->name, flags, 0600);
    }
    if (fd < 0)
        return -errno;
    int r = record_content(u, fd);
    if (r == 0)
        r = write_file(u, fd);
    if (r == 0)
        r = set_attributes(u, fd);
    if (r < 0)
        return r;
    struct timespec times[2] = {to_timespec(u->entry->mtime_ns), to_timespec(u->entry->mtime_ns)};
    if (futimens(fd, times) < 0)
        return -errno;
    u->info->size += u->entry->size;
    return 0;
}

static int make_dir(struct unpacker *u, int dirfd) {
    auto_fd fd = -1;
    if (!*u->name) {
        fd = openat(u->tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
    } else {
        int room = 0;
        if (mkdirat(dirfd, u->name, 0700) < 0) {
            if (errno != EEXIST)
                return -errno;
            room = make_room(u, dirfd, true);
            if (room < 0)
                return room;
            if (room != 1 && mkdirat(dirfd, u->name, 0700) < 0)
                return -errno;
        }
        fd = tree_open_dir(dirfd, u->name);
        if (fd < 0)
            return take_fd(&fd);
        if (room == 2 && fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0)
            return -errno;
    }
    (void)map_del(&u->implied, u->path);
    remember_time(u, u->path, u->entry->mtime_ns);
    /* An entry that is repeated replaces the owner as well; root is not the default then. */
    if (fchown(fd, (uid_t)u->entry->uid, (gid_t)u->entry->gid) < 0)
        return -errno;
    return set_attributes(u, fd);
}

static int make_hardlink(struct unpacker *u, int dirfd) {
    char target[TAR_PATH_MAX + 1];
    size_t depth;
    int r = clean_path(str_or_empty(u->entry->link), target, &depth);
    if (r < 0)
        return r;
    if (depth == 0)
        return -EPERM;
    if (str_eq(target, u->path))
        return 0;
    char *slash = strrchr(target, '/');
    const char *base = slash ? slash + 1 : target;
    auto_fd parent = -1;
    if (slash) {
        *slash = 0;
        parent = path_open_in(u->tree, target, O_PATH | O_DIRECTORY, 0);
        if (parent < 0)
            return take_fd(&parent);
    }
    int from = slash ? parent : u->tree;
    if (linkat(from, base, dirfd, u->name, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    struct stat a, b;
    if (fstatat(from, base, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(dirfd, u->name, &b, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
        return 0;
    r = make_room(u, dirfd, false);
    if (r < 0)
        return r;
    return linkat(from, base, dirfd, u->name, 0) < 0 ? -errno : 0;
}

static int make_special(struct unpacker *u, int dirfd) {
    const struct tar_entry *t = u->entry;
    int r = make_room(u, dirfd, false);
    if (r < 0)
        return r;
    if (t->type == TAR_SYMLINK) {
        if (symlinkat(str_or_empty(t->link), dirfd, u->name) < 0)
            return -errno;
    } else {
        mode_t kind = t->type == TAR_CHAR ? S_IFCHR : t->type == TAR_BLOCK ? S_IFBLK : S_IFIFO;
        dev_t dev = t->type == TAR_FIFO ? 0 : makedev(t->dev_major, t->dev_minor);
        if (mknodat(dirfd, u->name, kind | (t->mode & 07777), dev) < 0)
            return -errno;
    }
    if ((t->uid || t->gid) &&
        fchownat(dirfd, u->name, (uid_t)t->uid, (gid_t)t->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    /* Not a link, and nobody else has the tree: following is no question. */
    if (t->type != TAR_SYMLINK && fchmodat(dirfd, u->name, t->mode & 07777, 0) < 0)
        return -errno;
    struct timespec times[2] = {to_timespec(t->mtime_ns), to_timespec(t->mtime_ns)};
    return utimensat(dirfd, u->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* ".wh.NAME": overlayfs' mark, unless this very layer has the name. */
static int make_whiteout(struct unpacker *u, int dirfd) {
    const char *name = u->name + strlen(WHITEOUT);
    if (!*name || str_eq(name, ".") || str_eq(name, ".."))
        return -EINVAL;
    if (mknodat(dirfd, name, S_IFCHR, makedev(0, 0)) == 0) {
        struct timespec times[2] = {to_timespec(u->entry->mtime_ns),
                                    to_timespec(u->entry->mtime_ns)};
        return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    }
    if (errno != EEXIST)
        return -errno;
    auto_fd fd = tree_open_dir(dirfd, name);
    if (fd == -ENOTDIR || fd == -ELOOP || fd == -ENXIO)
        return 0; /* hides the lower one as it is */
    if (fd < 0)
        return take_fd(&fd);
    return fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0 ? -errno : 0;
}

static int make_mark(struct unpacker *u, int dirfd) {
    split_writer_verbatim(u->split, true);
    if (str_eq(u->name, OPAQUE_MARK))
        return fsetxattr(dirfd, OPAQUE_XATTR, "y", 1, 0) < 0 ? -errno : 0;
    /* Bookkeeping of aufs that old layers carry. */
    if (str_starts(u->name, AUFS_PREFIX))
        return 0;
    return make_whiteout(u, dirfd);
}

static int unpack_entry(struct unpacker *u) {
    const struct tar_entry *t = u->entry;
    int r = take_path(u);
    if (r < 0)
        return r;
    if (!*u->name && t->type != TAR_DIR)
        return -EINVAL;
    if (t->uid >= UINT32_MAX || t->gid >= UINT32_MAX)
        return -EOVERFLOW;
    split_writer_verbatim(u->split, false);
    int dirfd = go_to_parent(u);
    if (dirfd < 0)
        return dirfd;
    if (str_starts(u->name, WHITEOUT))
        return make_mark(u, dirfd);
    high_ids_add(&u->high, t->uid);
    high_ids_add(&u->high, t->gid);
    switch (t->type) {
    case TAR_FILE:
        return make_file(u, dirfd);
    case TAR_DIR:
        return make_dir(u, dirfd);
    case TAR_HARDLINK:
        return make_hardlink(u, dirfd);
    case TAR_SYMLINK:
    case TAR_CHAR:
    case TAR_BLOCK:
    case TAR_FIFO:
        return make_special(u, dirfd);
    }
    return -EINVAL;
}

static int set_dir_times(struct unpacker *u) {
    for (size_t i = 0; i < u->time_count; i++) {
        const struct dir_time *t = &u->times[i];
        auto_fd fd =
            path_open_in(u->tree, *t->path ? t->path : "/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
            continue; /* replaced by something else later in the archive */
        struct timespec times[2] = {to_timespec(t->mtime_ns), to_timespec(t->mtime_ns)};
        if (fd < 0)
            return take_fd(&fd);
        if (futimens(fd, times) < 0)
            return -errno;
    }
    return 0;
}

static int entry_error(const struct unpacker *u, int r, struct err *e) {
    if (r == -ECANCELED)
        return err_set(e, ERR_CANCELLED, "cancelled");
    if (r == -EXDEV)
        return err_set(e, ERR_INVALID, "invalid path in the archive: \"%s\" is outside of the root",
                       u->entry->path);
    if (r == -EFBIG)
        return err_set(e, ERR_TOO_LARGE, "the archive holds more than the limit for a layer");
    return err_sys(e, r, "cannot unpack \"%s\"", u->entry->path);
}

static int unpack_all(struct unpacker *u, struct err *e) {
    int r;
    while ((r = tar_next(u->tar, &u->entry, e)) > 0) {
        if (u->cancel && __atomic_load_n(u->cancel, __ATOMIC_RELAXED))
            return err_set(e, ERR_CANCELLED, "cancelled");
        r = ++u->info->entries > u->limits.entries ? -EFBIG : 0;
        if (r == 0)
            r = split_writer_advance(u->split, tar_offset(u->tar));
        if (r == 0)
            r = unpack_entry(u);
        if (r < 0)
            return entry_error(u, r, e);
    }
    if (r < 0)
        return r;
    r = split_writer_end(u->split);
    if (r == 0)
        r = set_dir_times(u);
    return r < 0 ? err_sys(e, r, "cannot unpack the layer") : 0;
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void take_implied(struct unpacker *u) {
    size_t n = 0;
    char **v = xcalloc(u->implied.count + 1, sizeof(*v));
    map_for_each (m, &u->implied)
        v[n++] = xstrdup(m->key);
    if (n > 1)
        qsort(v, n, sizeof(*v), compare_strings);
    strv_free(u->info->implied);
    u->info->implied = v;
}

static void unpacker_done(struct unpacker *u) {
    drop_steps(u, 0);
    for (size_t i = 0; i < u->time_count; i++)
        free(u->times[i].path);
    free(u->times);
    free(u->contents);
    inode_map_done(&u->content_index);
    map_done(&u->implied);
    fd_close(u->extra);
    tar_reader_free(u->tar);
    split_writer_free(u->split);
    free(u->block);
    free(u);
}

int layer_unpack_tar(int tree_fd, int draft_fd, struct reader *tar,
                     const struct layer_unpack_options *o, struct layer_info *info, struct err *e) {
    auto_fd split_fd =
        openat(draft_fd, "split.zst", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (split_fd < 0)
        return err_sys(e, errno, "cannot make the layer's record");
    struct unpacker *u = xnew(struct unpacker);
    u->tree = tree_fd;
    u->draft_dir = draft_fd;
    u->info = info;
    u->limits = o && o->limits ? *o->limits : layer_default_limits;
    u->cancel = o ? o->cancel : NULL;
    u->extra = -1;
    u->block = xmalloc(BLOCK);
    /* The top itself, until an entry names it. */
    (void)map_put(&u->implied, "", u);
    int r = split_writer_new(tar, split_fd, &u->split);
    if (r < 0) {
        r = err_sys(e, r, "cannot make the layer's record");
    } else {
        u->tar = tar_reader_new(split_writer_reader(u->split));
        r = unpack_all(u, e);
    }
    if (r == 0) {
        take_implied(u);
        strv_free(u->info->high_ids);
        u->info->high_ids = high_ids_format(&u->high);
    }
    unpacker_done(u);
    return r;
}
