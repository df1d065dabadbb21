/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/id.h"

int io_write_all(int fd, const void *p, size_t n) {
    const char *at = p;

    while (n > 0) {
        ssize_t r = write(fd, at, n);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

ssize_t io_read_full(int fd, void *p, size_t n) {
    size_t got = 0;

    while (got < n) {
        ssize_t r = read(fd, (char *)p + got, n - got);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

int io_read_to_end(int fd, struct buf *b) {
    size_t max = b->max ? b->max : BUF_MAX_DEFAULT;

    for (;;) {
        size_t room = max > b->len ? max - b->len : 0;
        char beyond;
        ssize_t r;

        if (room > 4096)
            room = 4096;
        if (!buf_reserve(b, room))
            return -EFBIG;
        /* A full buffer is fine when nothing follows. */
        r = room ? read(fd, b->data + b->len, room) : read(fd, &beyond, 1);
        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (r == 0)
            return 0;
        if (room == 0)
            return -EFBIG;
        b->len += (size_t)r;
        b->data[b->len] = '\0';
    }
}

int io_read_file_at(int dirfd, const char *path, struct buf *b) {
    auto_fd fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    return io_read_to_end(fd, b);
}

int io_open_dir(int dirfd, DIR **ret) {
    auto_fd fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d)
        return -errno;
    (void)take_fd(&fd); /* the stream's now */
    *ret = d;
    return 0;
}

int io_write_existing_at(int dirfd, const char *path, const char *text) {
    auto_fd fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    size_t n = strlen(text);
    ssize_t r;

    if (fd < 0)
        return -errno;
    do
        r = write(fd, text, n);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return (size_t)r == n ? 0 : -EIO;
}

int io_replace_file_at(int dirfd, const char *path, const void *p, size_t n, mode_t mode) {
    auto_free char *tmp = xasprintf("%s.%08llx", path, (unsigned long long)random_u64());
    auto_fd fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return -errno;
    r = fchmod(fd, mode) < 0 ? -errno : io_write_all(fd, p, n);
    if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dirfd, tmp, 0);
    return r;
}

int io_mkdir_all(const char *path, mode_t mode) {
    auto_free char *copy = xstrdup(path);

    for (char *p = copy + 1; *copy && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    if (mkdir(copy, mode) < 0) {
        struct stat st;
        int saved = errno;

        if (saved != EEXIST || stat(copy, &st) < 0)
            return -saved;
        if (!S_ISDIR(st.st_mode))
            return -ENOTDIR;
    }
    return 0;
}

int io_set_nonblock(int fd, bool on) {
    int fl = fcntl(fd, F_GETFL);

    if (fl < 0)
        return -errno;
    if (fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK) < 0)
        return -errno;
    return 0;
}
