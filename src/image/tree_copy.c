/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <linux/fs.h>

#include "base/alloc.h"
#include "image/tree.h"

#define XATTR_LIST_LIMIT  (64u << 10)
#define XATTR_VALUE_LIMIT (64u << 10)
#define COPY_BLOCK        (128u << 10)

struct copier {
    const struct tree_copy_options *o;
    struct tree_walk *walk;
    int *fds; /* destination directories, one a level; fds[0] is the top, borrowed */
    size_t depth, cap;
    struct tree_totals totals;
    struct inode_map links;
    char *block; /* COPY_BLOCK, made when copy_file_range cannot do it */
};

static uint64_t unshift(const struct tree_copy_options *o, uint64_t id) {
    if (o->id_size && id >= o->id_base && id - o->id_base < o->id_size)
        return id - o->id_base;
    return id;
}

int tree_copy_xattrs(int src_fd, int dst_fd, bool from_upper) {
    ssize_t n = flistxattr(src_fd, NULL, 0);
    if (n <= 0)
        return n < 0 && errno != ENOTSUP ? -errno : 0;
    auto_free char *list = xmalloc(XATTR_LIST_LIMIT);
    auto_free char *value = xmalloc(XATTR_VALUE_LIMIT);
    n = flistxattr(src_fd, list, XATTR_LIST_LIMIT);
    if (n < 0)
        return -errno;
    for (const char *name = list; name < list + n; name += strlen(name) + 1) {
        if (from_upper && str_starts(name, "trusted.overlay.") &&
            !str_eq(name, "trusted.overlay.opaque"))
            continue;
        ssize_t size = fgetxattr(src_fd, name, value, XATTR_VALUE_LIMIT);
        if (size < 0) {
            if (errno == ENODATA || errno == ENOTSUP)
                continue;
            return -errno;
        }
        if (fsetxattr(dst_fd, name, value, (size_t)size, 0) < 0 && errno != ENOTSUP)
            return -errno;
    }
    return 0;
}

static bool kernel_cannot_copy(int errnum) {
    return errnum == EXDEV || errnum == EINVAL || errnum == ENOSYS || errnum == EOPNOTSUPP;
}

/* One stretch of data. The kernel copies within itself where it can. */
static int copy_range(struct copier *c, int in, int out, off_t at, off_t end) {
    off_t to = at;
    while (at < end) {
        ssize_t n = copy_file_range(in, &at, out, &to, (size_t)(end - at), 0);
        if (n < 0 && kernel_cannot_copy(errno)) {
            if (!c->block)
                c->block = xmalloc(COPY_BLOCK);
            size_t want = end - at < COPY_BLOCK ? (size_t)(end - at) : COPY_BLOCK;
            n = pread(in, c->block, want, at);
            if (n > 0) {
                ssize_t done = pwrite(out, c->block, (size_t)n, to);
                if (done < 0)
                    return -errno;
                n = done;
                at += n;
                to += n;
            }
        }
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0; /* cut meanwhile: what was there has been copied */
    }
    return 0;
}

/* By reflink where the file system can; holes stay holes. */
static int copy_content(struct copier *c, int in, int out, off_t size) {
    if (size == 0 || ioctl(out, FICLONE, in) == 0)
        return 0;
    if (ftruncate(out, size) < 0)
        return -errno;
    for (off_t at = 0; at < size;) {
        off_t data = lseek(in, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; /* a hole to the end */
        off_t hole = data < 0 ? size : lseek(in, data, SEEK_HOLE);
        if (data < 0)
            data = at;
        if (hole < 0 || hole > size)
            hole = size;
        int r = copy_range(c, in, out, data, hole);
        if (r < 0)
            return r;
        at = hole;
    }
    return 0;
}

static int set_metadata(struct copier *c, int src, int dst, const struct stat *st) {
    if (fchown(dst, (uid_t)unshift(c->o, st->st_uid), (gid_t)unshift(c->o, st->st_gid)) < 0)
        return -errno;
    if (fchmod(dst, st->st_mode & 07777) < 0)
        return -errno;
    /* After fchown, which drops security.capability. */
    int r = tree_copy_xattrs(src, dst, c->o->from_upper);
    if (r < 0)
        return r;
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    return futimens(dst, times) < 0 ? -errno : 0;
}

static int copy_file(struct copier *c, const struct tree_node *n, int dst) {
    auto_fd in = openat(n->dirfd, n->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (in < 0)
        return -errno;
    struct stat now;
    if (fstat(in, &now) < 0)
        return -errno;
    if (!S_ISREG(now.st_mode))
        return -ESTALE;
    auto_fd out = openat(dst, n->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    int r = copy_content(c, in, out, now.st_size);
    if (r == 0)
        r = set_metadata(c, in, out, &now);
    if (r == 0)
        c->totals.bytes += (uint64_t)now.st_size;
    return r;
}

/* Links, devices, fifos: the *at calls, without following. */
static int copy_special(struct copier *c, const struct tree_node *n, int dst) {
    const struct stat *st = &n->st;
    if (S_ISLNK(st->st_mode)) {
        char target[4096 + 1];
        ssize_t len = readlinkat(n->dirfd, n->name, target, sizeof(target) - 1);
        if (len < 0)
            return -errno;
        target[len] = 0;
        if (symlinkat(target, dst, n->name) < 0)
            return -errno;
    } else if (mknodat(dst, n->name, st->st_mode & (S_IFMT | 07777), st->st_rdev) < 0) {
        return -errno;
    }
    if (fchownat(dst, n->name, (uid_t)unshift(c->o, st->st_uid), (gid_t)unshift(c->o, st->st_gid),
                 AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISLNK(st->st_mode) && fchmodat(dst, n->name, st->st_mode & 07777, 0) < 0)
        return -errno;
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    return utimensat(dst, n->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int enter_dir(struct copier *c, const struct tree_node *n) {
    int parent = c->fds[c->depth - 1];
    if (mkdirat(parent, n->name, 0700) < 0)
        return -errno;
    int fd = tree_open_dir(parent, n->name);
    if (fd < 0)
        return fd;
    if (c->depth == c->cap) {
        c->cap *= 2;
        c->fds = xreallocarray(c->fds, c->cap, sizeof(*c->fds));
    }
    c->fds[c->depth++] = fd;
    return 0;
}

static int leave_dir(struct copier *c, const struct tree_node *n) {
    int fd = c->fds[--c->depth];
    int r = set_metadata(c, n->fd, fd, &n->st);
    fd_close(fd);
    return r;
}

static int copy_node(struct copier *c, const struct tree_node *n) {
    if (n->leave)
        return leave_dir(c, n);
    uint64_t uid = unshift(c->o, n->st.st_uid), gid = unshift(c->o, n->st.st_gid);
    high_ids_add(&c->totals.high, uid);
    high_ids_add(&c->totals.high, gid);
    c->totals.entries++;
    if (S_ISDIR(n->st.st_mode))
        return enter_dir(c, n);
    if (S_ISSOCK(n->st.st_mode) && c->o->from_upper)
        return 0;
    int dst = c->fds[c->depth - 1];
    if (n->st.st_nlink > 1) {
        const char *first = inode_map_add(&c->links, &n->st, n->path);
        if (first)
            return linkat(c->fds[0], first, dst, n->name, 0) < 0 ? -errno : 0;
    }
    int r = S_ISREG(n->st.st_mode) ? copy_file(c, n, dst) : copy_special(c, n, dst);
    return r == -ENOENT ? 0 : r;
}

static int copy_all(struct copier *c, struct err *e) {
    const struct tree_node *n;
    int r;
    while ((r = tree_walk_next(c->walk, &n)) > 0) {
        if (c->o->cancel && __atomic_load_n(c->o->cancel, __ATOMIC_RELAXED))
            return err_set(e, ERR_CANCELLED, "cancelled");
        r = copy_node(c, n);
        if (r < 0)
            break;
    }
    return r < 0 ? err_sys(e, r, "cannot copy /%s", tree_walk_path(c->walk)) : 0;
}

int tree_copy(int src_fd, int dst_fd, const struct tree_copy_options *o,
              struct tree_totals *ret_totals, struct err *e) {
    struct copier c = {.o = o, .walk = tree_walk_new(src_fd, false), .cap = 16, .depth = 1};
    c.fds = xcalloc(c.cap, sizeof(*c.fds));
    c.fds[0] = dst_fd;
    int r = copy_all(&c, e);
    struct stat st;
    if (r == 0) {
        r = fstat(src_fd, &st) < 0 ? -errno : set_metadata(&c, src_fd, dst_fd, &st);
        if (r < 0)
            r = err_sys(e, r, "cannot copy a directory's metadata");
    }
    while (c.depth > 1)
        fd_close(c.fds[--c.depth]);
    free(c.fds);
    free(c.block);
    inode_map_done(&c.links);
    tree_walk_free(c.walk);
    if (r == 0 && ret_totals)
        *ret_totals = c.totals;
    return r;
}
