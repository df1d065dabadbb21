/* SPDX-License-Identifier: Apache-2.0 */
/* The archive comes from inside of a container and is not to be trusted: every component is opened
 * without following links, and nothing outside of the target directory is reached. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/cp.h"
#include "format/tar.h"

/* Opens the directory below dir that holds the last component of path, making what is missing. */
static int open_parent(int dir, const char *path, const char **ret_name, struct err *e) {
    auto_fd at = fcntl(dir, F_DUPFD_CLOEXEC, 3);

    if (at < 0)
        return err_sys(e, errno, "dup");
    for (;;) {
        const char *slash = strchr(path, '/');
        auto_free char *part = slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
        int next;

        if (!slash) {
            *ret_name = path;
            return take_fd(&at);
        }
        path = slash + 1;
        if (!*part || str_eq(part, "."))
            continue;
        if (str_eq(part, ".."))
            return err_set(e, ERR_INVALID, "archive entry leaves the target directory");
        if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
            return err_sys(e, errno, "mkdir %s", part);
        next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return err_sys(e, errno, "open %s", part);
        fd_close(at);
        at = next;
    }
}

static void set_times(int dir, const char *name, const struct tar_entry *t) {
    const struct timespec times[2] = {
        {.tv_sec = t->mtime_ns / NS_PER_SEC, .tv_nsec = t->mtime_ns % NS_PER_SEC},
        {.tv_sec = t->mtime_ns / NS_PER_SEC, .tv_nsec = t->mtime_ns % NS_PER_SEC}};

    /* a file system that keeps no times is no reason to fail */
    (void)utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
}

static int write_file(int dir, const char *name, const struct tar_entry *t, struct reader *data,
                      struct err *e) {
    struct fd_writer to;
    struct stat st;
    auto_fd fd = -1;
    int64_t n;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            return err_set(e, ERR_INVALID, "cannot overwrite directory \"%s\" with non-directory",
                           name);
        if (unlinkat(dir, name, 0) < 0)
            return err_sys(e, errno, "remove %s", name);
    }
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(e, errno, "open %s", name);
    fd_writer_init(&to, fd);
    n = reader_copy(data, &to.base);
    if (n < 0)
        return err_sys(e, (int)-n, "write %s", name);
    if (fchmod(fd, t->mode & 07777) < 0)
        return err_sys(e, errno, "chmod %s", name);
    return 0;
}

static int make_directory(int dir, const char *name, const struct tar_entry *t, struct err *e) {
    auto_fd fd = -1;

    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "mkdir %s", name);
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP
                   ? err_set(e, ERR_INVALID, "cannot overwrite non-directory \"%s\" with directory",
                             name)
                   : err_sys(e, errno, "open %s", name);
    return fchmod(fd, t->mode & 07777) < 0 ? err_sys(e, errno, "chmod %s", name) : 0;
}

/* Everything that replaces what has its name. */
static int make_node(int root, int dir, const char *name, const struct tar_entry *t,
                     const char *link, struct err *e) {
    auto_fd from = -1;
    const char *old;
    mode_t mask;
    int r = 0;

    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return err_sys(e, errno, "remove %s", name);
    switch (t->type) {
    case TAR_SYMLINK:
        r = symlinkat(t->link, dir, name);
        break;
    case TAR_HARDLINK:
        from = open_parent(root, link, &old, e);
        if (from < 0)
            return from;
        r = linkat(from, old, dir, name, 0);
        break;
    case TAR_FIFO:
        mask = umask(0); /* nodes cannot be opened to give them the archive's mode afterwards */
        r = mkfifoat(dir, name, t->mode & 07777);
        (void)umask(mask);
        break;
    case TAR_CHAR:
    case TAR_BLOCK:
        mask = umask(0);
        r = mknodat(dir, name, (t->type == TAR_CHAR ? S_IFCHR : S_IFBLK) | (t->mode & 07777),
                    makedev(t->dev_major, t->dev_minor));
        (void)umask(mask);
        break;
    case TAR_FILE:
    case TAR_DIR:
        break;
    }
    return r < 0 ? err_sys(e, errno, "create %s", name) : 0;
}

/* The name without its first component; "" for that itself. */
static const char *below(const char *path) {
    const char *slash;

    while (str_starts(path, "./") || *path == '/')
        path += *path == '/' ? 1 : 2;
    slash = strchr(path, '/');
    return slash ? slash + 1 : "";
}

static int one_entry(int root, const char *rest, const struct tar_entry *t, struct reader *data,
                     struct err *e) {
    const char *name;
    auto_fd dir = open_parent(root, rest, &name, e);
    int r;

    if (dir < 0)
        return dir;
    if (!*name || str_eq(name, ".") || str_eq(name, ".."))
        return str_eq(name, "..")
                   ? err_set(e, ERR_INVALID, "archive entry leaves the target directory")
                   : 0;
    if (t->type == TAR_FILE)
        r = write_file(dir, name, t, data, e);
    else if (t->type == TAR_DIR)
        r = make_directory(dir, name, t, e);
    else
        r = make_node(root, dir, name, t, t->type == TAR_HARDLINK ? below(t->link) : NULL, e);
    if (r == 0)
        set_times(dir, name, t);
    return r;
}

static int extract_all(struct tar_reader *tar, const char *target, bool is_dir, struct err *e) {
    auto_free char *parent = NULL;
    const char *base = NULL;
    const struct tar_entry *t;
    bool dot_names = false;
    auto_fd root = -1;
    int r;

    if (is_dir) {
        if (mkdir(target, 0755) < 0 && errno != EEXIST)
            return err_sys(e, errno, "mkdir %s", target);
        root = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        const char *slash = strrchr(target, '/');

        parent =
            slash ? xstrndup(target, slash == target ? 1 : (size_t)(slash - target)) : xstrdup(".");
        base = slash ? slash + 1 : target;
        root = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (root < 0)
        return err_sys(e, errno, "open %s", is_dir ? target : parent);
    while ((r = tar_next(tar, &t, e)) > 0) {
        const char *rest = base;

        if (is_dir) {
            /* "dir/." comes with names below ".", which are not a component to drop */
            dot_names |= str_eq(t->path, ".") || str_eq(t->path, "./");
            rest = dot_names ? t->path : below(t->path);
        }
        r = one_entry(root, rest, t, tar_data(tar), e);
        if (r < 0)
            return r;
        if (!is_dir) /* a single file */
            return 0;
    }
    return r;
}

int cp_extract(struct reader *from, const char *target, bool is_dir, struct err *e) {
    struct tar_reader *tar = tar_reader_new(from);
    int r = extract_all(tar, target, is_dir, e);

    tar_reader_free(tar);
    return r;
}
