/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/cp.h"
#include "format/tar.h"

#define COPY_SIZE (64u << 10)
#define DEPTH_MAX 256

struct pack {
    struct tar_writer *tar;
    struct map links; /* "dev:inode" -> name in the archive, of files with several names */
    char *data;       /* COPY_SIZE */
};

static int write_error(int r, struct err *e) {
    return err_sys(e, r, "write to the daemon");
}

/* A file that grows meanwhile is cut, one that shrinks is an error: the header has its size. */
static int add_data(struct pack *p, int fd, const char *path, uint64_t size, struct err *e) {
    while (size > 0) {
        ssize_t n = read(fd, p->data, size < COPY_SIZE ? (size_t)size : COPY_SIZE);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "read %s", path);
        if (n == 0)
            return err_set(e, ERR_SYSTEM, "%s: file changed as we read it", path);
        r = tar_write_data(p->tar, p->data, (size_t)n);
        if (r < 0)
            return write_error(r, e);
        size -= (uint64_t)n;
    }
    return 0;
}

static int read_link(int dir, const char *name, char **ret, struct err *e) {
    char target[4096];
    ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

    if (n < 0)
        return err_sys(e, errno, "readlink %s", name);
    *ret = xstrndup(target, (size_t)n);
    return 0;
}

static bool known_link(struct pack *p, const struct stat *st, const char *as, const char **ret) {
    auto_free char *key = NULL;

    if (st->st_nlink < 2)
        return false;
    key = xasprintf("%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
    *ret = map_get(&p->links, key);
    if (*ret)
        return true;
    (void)map_put(&p->links, key, xstrdup(as)); /* nothing was there */
    return false;
}

static int add_tree(struct pack *p, int dir, const char *name, const char *as, bool follow,
                    unsigned depth, struct err *e);

static int add_children(struct pack *p, int fd, const char *as, unsigned depth, struct err *e) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    int r = 0;

    if (!d) {
        r = err_sys(e, errno, "open directory %s", as);
        fd_close(copy);
        return r;
    }
    if (depth >= DEPTH_MAX) {
        (void)closedir(d); /* read only */
        return err_set(e, ERR_INVALID, "%s: too many levels of directories", as);
    }
    while (r == 0 && (errno = 0, entry = readdir(d))) {
        auto_free char *deeper = NULL;

        if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
            continue;
        deeper = xasprintf("%s/%s", as, entry->d_name);
        r = add_tree(p, fd, entry->d_name, deeper, false, depth + 1, e);
    }
    if (r == 0 && errno)
        r = err_sys(e, errno, "read directory %s", as);
    (void)closedir(d); /* read only */
    return r;
}

static int add_tree(struct pack *p, int dir, const char *name, const char *as, bool follow,
                    unsigned depth, struct err *e) {
    struct tar_entry t = {.path = (char *)as}; /* borrowed: not given to tar_entry_done */
    auto_free char *link = NULL;
    auto_fd fd = -1;
    const char *first = NULL;
    struct stat st;
    int r;

    if (fstatat(dir, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "lstat %s", name);
    if (S_ISSOCK(st.st_mode))
        return 0; /* an archive cannot hold them */
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
        if (fd < 0)
            return err_sys(e, errno, "open %s", name);
        if (fstat(fd, &st) < 0)
            return err_sys(e, errno, "stat %s", name);
    }
    t.mode = st.st_mode & 07777;
    t.uid = st.st_uid;
    t.gid = st.st_gid;
    t.mtime_ns = st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
    t.type = S_ISDIR(st.st_mode)    ? TAR_DIR
             : S_ISLNK(st.st_mode)  ? TAR_SYMLINK
             : S_ISCHR(st.st_mode)  ? TAR_CHAR
             : S_ISBLK(st.st_mode)  ? TAR_BLOCK
             : S_ISFIFO(st.st_mode) ? TAR_FIFO
                                    : TAR_FILE;
    if (t.type == TAR_SYMLINK) {
        r = read_link(dir, name, &link, e);
        if (r < 0)
            return r;
        t.link = link;
    } else if (t.type == TAR_CHAR || t.type == TAR_BLOCK) {
        t.dev_major = major(st.st_rdev);
        t.dev_minor = minor(st.st_rdev);
    } else if (t.type == TAR_FILE && known_link(p, &st, as, &first)) {
        t.type = TAR_HARDLINK;
        t.link = (char *)first;
    } else if (t.type == TAR_FILE) {
        t.size = (uint64_t)st.st_size;
    }
    r = tar_write_header(p->tar, &t);
    if (r < 0)
        return write_error(r, e);
    if (t.type == TAR_FILE)
        return add_data(p, fd, name, t.size, e);
    return t.type == TAR_DIR ? add_children(p, fd, as, depth, e) : 0;
}

static int produce(struct producer *base, struct writer *to, struct err *e) {
    const struct cp_pack *c = container_of(base, struct cp_pack, base);
    struct pack p = {.tar = tar_writer_new(to), .data = xmalloc(COPY_SIZE)};
    int r = add_tree(&p, AT_FDCWD, c->path, c->as, c->follow, 0, e);

    if (r == 0) {
        r = tar_write_end(p.tar);
        if (r < 0)
            r = write_error(r, e);
    }
    tar_writer_free(p.tar);
    map_clear(&p.links, free);
    map_done(&p.links);
    free(p.data);
    return r;
}

void cp_pack_init(struct cp_pack *p, const char *path, const char *as, bool follow) {
    *p = (struct cp_pack){.base.produce = produce, .path = path, .as = as, .follow = follow};
}
