/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Archives into a container: docker cp and PUT /containers/NAME/archive. The container may run and
 * change the tree meanwhile. Parents are opened by the kernel inside the root; what is made is made
 * by name in its parent's descriptor without following.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "format/codec.h"
#include "format/tar.h"
#include "image/cp_priv.h"
#include "image/filecap.h"
#include "image/tree.h"
#include "sys/caps.h"
#include "sys/mountinfo.h"
#include "sys/path.h"

#define PUT_BLOCK     (256u << 10)
#define DIR_TIMES_MAX (1u << 20)

struct dir_time {
    char *path;
    int64_t mtime_ns;
};
struct putter {
    const struct cp_root *root;
    const struct cp_put_options *o;
    char *top; /* the destination, clean */
    struct tar_reader *tar;
    const struct tar_entry *entry;
    char *path;   /* of the entry inside the root */
    char *parent; /* its directory */
    char *name;   /* last component; NULL: the destination itself */
    struct dir_time *times;
    size_t time_count, time_cap;
    char *block;
};

/* ---- ids ------------------------------------------------------------------------------------ */

/* A file made in a running container's overlay must have an owner that its map knows from the
 * beginning: the thread works as the container's root, with the daemon's capabilities. */
static int become_container_root(const struct cp_root *root, uid_t *ret_uid, gid_t *ret_gid) {
    *ret_gid = (gid_t)setfsgid((gid_t)root->ids.base);
    *ret_uid = (uid_t)setfsuid((uid_t)root->ids.base);
    return lcap_raise_effective();
}

static void become_daemon(uid_t uid, gid_t gid) {
    (void)setfsuid(uid);
    (void)setfsgid(gid);
    /* Back at 0 the kernel gives the file capabilities again by itself. */
}

static void owner(const struct putter *p, uid_t *uid, gid_t *gid) {
    *uid = (uid_t)id_shift_out(&p->root->ids, p->o->chown ? p->o->uid : p->entry->uid);
    *gid = (gid_t)id_shift_out(&p->root->ids, p->o->chown ? p->o->gid : p->entry->gid);
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool climbs(const char *path) {
    auto_strv parts = str_split(path, '/');
    return strv_has(parts, "..");
}

/* Names are below the destination, an absolute one too. */
static int take_path(struct putter *p, struct err *e) {
    if (climbs(p->entry->path))
        return err_set(e, ERR_INVALID, "\"%s\" is outside of \"%s\"", p->entry->path, p->top);
    auto_free char *joined = xasprintf("%s/%s", p->top, p->entry->path);
    free(p->path);
    free(p->parent);
    free(p->name);
    p->path = cp_clean(joined);
    p->parent = p->name = NULL;
    if (str_eq(p->path, p->top))
        return 0;
    char *slash = strrchr(p->path, '/');
    p->parent = slash == p->path ? xstrdup("/") : xstrndup(p->path, (size_t)(slash - p->path));
    p->name = xstrdup(slash + 1);
    return 0;
}

static int open_parent(struct putter *p) {
    int fd = path_open_in(p->root->fd, p->parent, O_PATH | O_DIRECTORY, 0);
    if (fd != -ENOENT)
        return fd;
    return path_mkdirs_in(p->root->fd, p->parent, 0755, (uid_t)id_shift_out(&p->root->ids, 0),
                          (gid_t)id_shift_out(&p->root->ids, 0));
}

/* ---- objects -------------------------------------------------------------------------------- */

/* Removes what is in the way. 1: a directory is there and stays. */
static int make_room(struct putter *p, int dir, struct err *e) {
    bool directory = p->entry->type == TAR_DIR;
    struct stat st;
    if (fstatat(dir, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", p->path);
    bool there = S_ISDIR(st.st_mode);
    if (p->o->no_overwrite_dir_non_dir && there != directory)
        return err_set(e, ERR_INVALID, "cannot overwrite %s \"%s\" with %s \"%s\"",
                       there ? "directory" : "non-directory", p->path,
                       directory ? "directory" : "non-directory", p->top);
    if (there && directory)
        return 1;
    int r = tree_remove_at(dir, p->name);
    return r < 0 ? err_sys(e, r, "cannot replace %s", p->path) : 0;
}

static bool xattr_wanted(const char *name) {
    return str_starts(name, "user.") || str_eq(name, "security.capability");
}

static int set_xattr(const struct putter *p, int fd, const struct tar_xattr *x) {
    const void *value = x->value;
    size_t size = x->size;
    char cap[FILECAP_MAX];
    if (p->root->ids.size && str_eq(x->name, "security.capability")) {
        size = filecap_to_host(value, size, p->root->ids.base, p->root->ids.size, cap);
        value = cap;
        if (size == 0)
            return 0; /* not a form that any kernel takes */
    }
    if (fsetxattr(fd, x->name, value, size, 0) == 0)
        return 0;
    /* What the file system or the range does not take is left out, as Docker does. */
    return errno == ENOTSUP || errno == EPERM ? 0 : -errno;
}

static int set_attributes(struct putter *p, int fd) {
    uid_t uid;
    gid_t gid;
    owner(p, &uid, &gid);
    if (fchown(fd, uid, gid) < 0 || fchmod(fd, p->entry->mode & 07777) < 0)
        return -errno;
    for (size_t i = 0; i < p->entry->xattr_count; i++) {
        const struct tar_xattr *x = &p->entry->xattrs[i];
        int r = xattr_wanted(x->name) ? set_xattr(p, fd, x) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static void mtimes(int64_t ns, struct timespec out[static 2]) {
    struct timespec t = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
    if (t.tv_nsec < 0) {
        t.tv_nsec += NS_PER_SEC;
        t.tv_sec--;
    }
    out[0] = out[1] = t;
}

static int write_file(struct putter *p, int fd) {
    struct reader *data = tar_data(p->tar);
    for (uint64_t left = p->entry->size; left > 0;) {
        if (p->root->cancel && __atomic_load_n(p->root->cancel, __ATOMIC_RELAXED))
            return -ECANCELED;
        ssize_t n = reader_full(data, p->block, left < PUT_BLOCK ? (size_t)left : PUT_BLOCK);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        for (ssize_t at = 0; at < n;) {
            ssize_t done = write(fd, p->block + at, (size_t)(n - at));
            if (done < 0 && errno != EINTR)
                return -errno;
            at += done > 0 ? done : 0;
        }
        left -= (uint64_t)n;
    }
    return 0;
}

static int make_file(struct putter *p, int dir) {
    auto_fd fd = openat(dir, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write_file(p, fd);
    if (r == 0)
        r = set_attributes(p, fd);
    if (r < 0)
        return r;
    struct timespec times[2];
    mtimes(p->entry->mtime_ns, times);
    return futimens(fd, times) < 0 ? -errno : 0;
}

static int remember_time(struct putter *p) {
    if (p->time_count >= DIR_TIMES_MAX)
        return -EFBIG;
    if (p->time_count == p->time_cap) {
        p->time_cap = p->time_cap ? 2 * p->time_cap : 32;
        p->times = xreallocarray(p->times, p->time_cap, sizeof(*p->times));
    }
    p->times[p->time_count++] =
        (struct dir_time){.path = xstrdup(p->path), .mtime_ns = p->entry->mtime_ns};
    return 0;
}

static int make_dir(struct putter *p, int dir, bool there) {
    if (!there && mkdirat(dir, p->name, 0700) < 0)
        return -errno;
    auto_fd fd = tree_open_dir(dir, p->name);
    if (fd < 0)
        return take_fd(&fd);
    int r = set_attributes(p, fd);
    return r < 0 ? r : remember_time(p);
}

static int make_hardlink(struct putter *p, int dir) {
    const char *link = str_or_empty(p->entry->link);
    if (climbs(link))
        return -EXDEV;
    auto_free char *joined = xasprintf("%s/%s", p->top, link);
    auto_free char *target = cp_clean(joined);
    char *slash = strrchr(target, '/');
    auto_free char *parent =
        slash == target ? xstrdup("/") : xstrndup(target, (size_t)(slash - target));
    auto_fd from = path_open_in(p->root->fd, parent, O_PATH | O_DIRECTORY, 0);
    if (from < 0)
        return take_fd(&from);
    return linkat(from, slash + 1, dir, p->name, 0) < 0 ? -errno : 0;
}

static int make_special(struct putter *p, int dir) {
    const struct tar_entry *t = p->entry;
    struct timespec times[2];
    uid_t uid;
    gid_t gid;
    if (t->type == TAR_SYMLINK) {
        if (symlinkat(str_or_empty(t->link), dir, p->name) < 0)
            return -errno;
    } else {
        mode_t kind = t->type == TAR_CHAR ? S_IFCHR : t->type == TAR_BLOCK ? S_IFBLK : S_IFIFO;
        dev_t dev = t->type == TAR_FIFO ? 0 : makedev(t->dev_major, t->dev_minor);
        if (mknodat(dir, p->name, kind | (t->mode & 07777), dev) < 0)
            return -errno;
    }
    owner(p, &uid, &gid);
    if (fchownat(dir, p->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (t->type != TAR_SYMLINK) {
        /* fchmodat() would follow a link that was put there meanwhile. */
        auto_fd fd = openat(dir, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        char self[PATH_FD_MAX];
        if (fd < 0 || fstat(fd, &st) < 0)
            return -errno;
        if (!S_ISLNK(st.st_mode) && chmod(path_of_fd(fd, self), t->mode & 07777) < 0)
            return -errno;
    }
    mtimes(t->mtime_ns, times);
    return utimensat(dir, p->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int put_entry(struct putter *p, struct err *e) {
    int r = take_path(p, e);
    if (r < 0)
        return r;
    if (!p->name)
        return 0; /* "." : the destination keeps what it is */
    auto_fd dir = open_parent(p);
    if (dir < 0)
        return err_sys(e, dir, "cannot make the directory %s", p->parent);
    int room = make_room(p, dir, e);
    if (room < 0)
        return room;
    switch (p->entry->type) {
    case TAR_FILE:
        r = make_file(p, dir);
        break;
    case TAR_DIR:
        r = make_dir(p, dir, room == 1);
        break;
    case TAR_HARDLINK:
        r = make_hardlink(p, dir);
        break;
    case TAR_SYMLINK:
    case TAR_CHAR:
    case TAR_BLOCK:
    case TAR_FIFO:
        r = make_special(p, dir);
        break;
    default:
        r = -EINVAL;
        break;
    }
    if (r == -EXDEV && p->entry->type == TAR_HARDLINK)
        return err_set(e, ERR_INVALID, "invalid hardlink \"%s\" -> \"%s\"", p->path,
                       str_or_empty(p->entry->link));
    if (r == -ECANCELED)
        return err_set(e, ERR_CANCELLED, "cancelled");
    return r < 0 ? err_sys(e, r, "cannot write %s", p->path) : 0;
}

static int set_dir_times(struct putter *p, struct err *e) {
    for (size_t i = p->time_count; i-- > 0;) {
        struct timespec times[2];
        auto_fd fd =
            path_open_in(p->root->fd, p->times[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd < 0)
            continue; /* gone or replaced meanwhile: its time is of no interest */
        mtimes(p->times[i].mtime_ns, times);
        if (futimens(fd, times) < 0)
            return err_sys(e, errno, "cannot set the time of %s", p->times[i].path);
    }
    return 0;
}

/* ---- put ------------------------------------------------------------------------------------ */

/* What the destination itself says, wherever links have led: in words for people. */
static int check_writable(const struct cp_root *root, int fd, struct err *e) {
    int top, here, r;
    struct statvfs fs;
    if (fstatvfs(fd, &fs) < 0)
        return err_sys(e, errno, "cannot look at the destination");
    if (!(fs.f_flag & ST_RDONLY))
        return 0;
    r = mount_id_of(root->fd, &top);
    if (r == 0)
        r = mount_id_of(fd, &here);
    if (r < 0)
        return err_sys(e, r, "cannot look at the destination");
    return err_set(e, ERR_FORBIDDEN, "%s is marked read-only",
                   top == here ? "container rootfs" : "mounted volume");
}

static int check_destination(const struct cp_root *root, const char *container, const char *path,
                             const char *top, struct err *e) {
    struct stat st;
    auto_fd fd = path_open_in(root->fd, top, O_PATH, 0);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return cp_not_found(container, path, e);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, fd < 0 ? fd : errno, "cannot open %s in container %s", path, container);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "extraction point is not a directory");
    return check_writable(root, fd, e);
}

static int put_all(struct putter *p, struct reader *from, struct err *e) {
    struct reader *plain;
    uid_t uid = 0;
    gid_t gid = 0;
    int r = decompress_open(from, &plain, NULL, e);
    if (r < 0)
        return r;
    p->tar = tar_reader_new(plain);
    if (p->root->ids.size) {
        r = become_container_root(p->root, &uid, &gid);
        if (r < 0)
            r = err_sys(e, r, "cannot work as the container's root");
    }
    if (r == 0) {
        while ((r = tar_next(p->tar, &p->entry, e)) > 0) {
            r = put_entry(p, e);
            if (r < 0)
                break;
        }
    }
    if (r == 0)
        r = set_dir_times(p, e);
    if (p->root->ids.size)
        become_daemon(uid, gid);
    tar_reader_free(p->tar);
    decompress_close(plain);
    return r;
}

int cp_put(const struct cp_root *root, const char *container, const char *path, struct reader *from,
           const struct cp_put_options *o, struct err *e) {
    struct putter p = {.root = root, .o = o, .top = cp_clean(path)};
    int r = check_destination(root, container, path, p.top, e);
    if (r == 0) {
        p.block = xmalloc(PUT_BLOCK);
        r = put_all(&p, from, e);
    }
    for (size_t i = 0; i < p.time_count; i++)
        free(p.times[i].path);
    free(p.times);
    free(p.block);
    free(p.path);
    free(p.parent);
    free(p.name);
    free(p.top);
    return r;
}
