/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole reads and writes on descriptors, and small files. All descriptors are close-on-exec. */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* All n bytes, or -errno. */
int io_write_all(int fd, const void *p, size_t n);
/* Up to n bytes, fewer only at the end of the file; the count, or -errno. */
ssize_t io_read_full(int fd, void *p, size_t n);
/* Everything until the end; -EFBIG when that passes b's maximum. */
int io_read_to_end(int fd, struct buf *b);
/* Appends a regular file's (or a kernel file's) content. dirfd may be AT_FDCWD. */
int io_read_file_at(int dirfd, const char *path, struct buf *b);
/* A stream over the directory dirfd (it may be O_PATH), of a position of its own. -errno. */
int io_open_dir(int dirfd, DIR **ret);
/* Writes an existing file (kernel files: cgroup, sysctl) with one write(). */
int io_write_existing_at(int dirfd, const char *path, const char *text);
/* Creates or replaces a file so that a reader sees the old or the new content: temporary file and
 * rename. No sync. */
int io_replace_file_at(int dirfd, const char *path, const void *p, size_t n, mode_t mode);
/* mkdir -p. An existing directory is success. */
int io_mkdir_all(const char *path, mode_t mode);
int io_set_nonblock(int fd, bool on);

static inline void cleanup_dir(DIR **d) {
    if (*d)
        (void)closedir(*d); /* only ever read */
}
#define auto_dir __attribute__((cleanup(cleanup_dir))) DIR
