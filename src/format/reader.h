/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Blocking byte sources and sinks, for work that runs on a thread of its own: tar, compression,
 * hashing and HTTP bodies plug into each other through these two.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reader {
    /* > 0 bytes, 0 at the end, -errno. May return fewer bytes than asked for. */
    ssize_t (*read)(struct reader *r, void *p, size_t n);
};
struct writer {
    /* All of it, or -errno. */
    int (*write)(struct writer *w, const void *p, size_t n);
};

struct fd_reader {
    struct reader base;
    int fd;        /* borrowed */
    uint64_t left; /* bytes that may still be read; UINT64_MAX: no limit */
};
struct fd_writer {
    struct writer base;
    int fd; /* borrowed */
};
void fd_reader_init(struct fd_reader *r, int fd, uint64_t limit);
void fd_writer_init(struct fd_writer *w, int fd);

/* Reads until n bytes or the end; the count or -errno. */
ssize_t reader_full(struct reader *r, void *p, size_t n);
/* Copies until the end; the count or -errno. */
int64_t reader_copy(struct reader *r, struct writer *w);
