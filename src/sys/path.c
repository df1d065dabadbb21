/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

/* As the kernel: a longer chain is ELOOP. */
#define SYMLINKS_MAX 40
/* RESOLVE_IN_ROOT answers EAGAIN when a rename raced with "..". */
#define RACE_TRIES 64

int path_open_in_how(int root, const char *path, uint64_t flags, mode_t mode, uint64_t resolve) {
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode & 07777 : 0,
        .resolve = resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0; i < RACE_TRIES; i++) {
        long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

int path_open_in(int root, const char *path, uint64_t flags, mode_t mode) {
    return path_open_in_how(root, path, flags, mode, 0);
}

/* Appends one component to a path without symlinks. */
static int push(char done[static PATH_MAX], const char *name) {
    size_t len = strlen(done), n = strlen(name);
    if (len + n + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    done[len] = '/';
    memcpy(done + len + 1, name, n + 1);
    return 0;
}

static void pop(char *done) {
    char *slash = strrchr(done, '/');
    if (slash)
        *slash = '\0';
}

static int make_one(int parent, const char *name, bool dir, mode_t mode, uid_t uid, gid_t gid) {
    auto_fd fd = -1;
    if (dir) {
        if (mkdirat(parent, name, mode & 0777) < 0)
            return errno == EEXIST ? 0 : -errno;
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    } else {
        fd =
            openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
        if (fd < 0 && errno == EEXIST)
            return 0;
    }
    if (fd < 0)
        return -errno;
    if (uid != (uid_t)-1 && fchown(fd, uid, gid) < 0)
        return -errno;
    return fchmod(fd, mode) < 0 ? -errno : 0;
}

struct walk {
    int root;
    char done[PATH_MAX];     /* resolved so far: no symlink in it, "" is root */
    char rest[2 * PATH_MAX]; /* still to be resolved */
    unsigned links;
};

/* Puts the target of a symlink in front of the rest. */
static int follow(struct walk *w, int parent, const char *name) {
    char target[PATH_MAX];
    ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    if (++w->links > SYMLINKS_MAX)
        return -ELOOP;
    size_t rest = strlen(w->rest);
    if ((size_t)n + rest + 2 > sizeof(w->rest))
        return -ENAMETOOLONG;
    memmove(w->rest + n + 1, w->rest, rest + 1);
    memcpy(w->rest, target, (size_t)n);
    w->rest[n] = '/';
    if (target[0] == '/')
        w->done[0] = '\0';
    return 0;
}

static int step(struct walk *w, const char *name, bool dir, mode_t mode, uid_t uid, gid_t gid) {
    auto_fd parent = path_open_in(w->root, w->done, O_PATH | O_DIRECTORY, 0);
    if (parent < 0)
        return parent;
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return -errno;
        int r = make_one(parent, name, dir, mode, uid, gid);
        if (r < 0)
            return r;
        return push(w->done, name);
    }
    if (S_ISLNK(st.st_mode))
        return follow(w, parent, name);
    return push(w->done, name);
}

static int make_path(int root, const char *path, bool dir, mode_t mode, uid_t uid, gid_t gid) {
    auto_free struct walk *w = xnew(struct walk);
    w->root = root;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(w->rest, path, strlen(path) + 1);
    for (;;) {
        size_t skip = strspn(w->rest, "/");
        memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
        if (!w->rest[0])
            break;
        char name[NAME_MAX + 1];
        size_t n = strcspn(w->rest, "/");
        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, w->rest, n);
        name[n] = '\0';
        memmove(w->rest, w->rest + n, strlen(w->rest + n) + 1);
        bool last = !w->rest[strspn(w->rest, "/")];
        if (!strcmp(name, "."))
            continue;
        if (!strcmp(name, "..")) {
            pop(w->done);
            continue;
        }
        bool as_dir = dir || !last;
        int r = step(w, name, as_dir, as_dir && !dir ? 0755 : mode, uid, gid);
        if (r < 0)
            return r;
    }
    return path_open_in(root, w->done, O_PATH | (dir ? O_DIRECTORY : 0), 0);
}

int path_mkdirs_in(int root, const char *path, mode_t mode, uid_t uid, gid_t gid) {
    int fd = path_open_in(root, path, O_PATH | O_DIRECTORY, 0);
    if (fd != -ENOENT)
        return fd;
    return make_path(root, path, true, mode, uid, gid);
}

int path_mkfile_in(int root, const char *path, mode_t mode, uid_t uid, gid_t gid) {
    int fd = path_open_in(root, path, O_PATH, 0);
    if (fd != -ENOENT)
        return fd;
    return make_path(root, path, false, mode, uid, gid);
}

char *path_of_fd(int fd, char out[static PATH_FD_MAX]) {
    snprintf(out, PATH_FD_MAX, "/proc/self/fd/%d", fd);
    return out;
}
