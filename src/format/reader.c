/* SPDX-License-Identifier: Apache-2.0 */
#include "format/reader.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#define COPY_SIZE ((size_t)128 << 10) /* stays in the second-level cache */

static ssize_t fd_read(struct reader *base, void *p, size_t n) {
    struct fd_reader *r = (struct fd_reader *)base;
    ssize_t got;

    if (n > r->left)
        n = (size_t)r->left;
    if (n > SSIZE_MAX)
        n = SSIZE_MAX;
    if (n == 0)
        return 0;
    do
        got = read(r->fd, p, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if (r->left != UINT64_MAX)
        r->left -= (uint64_t)got;
    return got;
}

void fd_reader_init(struct fd_reader *r, int fd, uint64_t limit) {
    *r = (struct fd_reader){.base = {fd_read}, .fd = fd, .left = limit};
}

static int fd_write(struct writer *base, const void *p, size_t n) {
    struct fd_writer *w = (struct fd_writer *)base;

    return io_write_all(w->fd, p, n);
}

void fd_writer_init(struct fd_writer *w, int fd) {
    *w = (struct fd_writer){.base = {fd_write}, .fd = fd};
}

ssize_t reader_full(struct reader *r, void *p, size_t n) {
    size_t have = 0;

    while (have < n) {
        ssize_t got = r->read(r, (char *)p + have, n - have);

        if (got < 0)
            return got;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

int64_t reader_copy(struct reader *r, struct writer *w) {
    auto_free char *block = xmalloc(COPY_SIZE);
    int64_t total = 0;

    for (;;) {
        ssize_t got = r->read(r, block, COPY_SIZE);
        int res;

        if (got <= 0)
            return got < 0 ? got : total;
        res = w->write(w, block, (size_t)got);
        if (res < 0)
            return res;
        total += got;
    }
}
