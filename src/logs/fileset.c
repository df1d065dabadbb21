/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/fileset.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "format/codec.h"
#include "logs/rotate.h"

#define BLOCK_SIZE   65536
#define LOCK_WAIT_MS 100

void log_files_done(struct log_files *s) {
    for (size_t i = 0; i < s->count; i++)
        fd_close(s->files[i].fd);
    free(s->files);
    *s = (struct log_files){0};
}

/* 1: opened, 0: there is none. */
static int file_open(const char *path, int64_t index, bool gz, struct log_files *s) {
    char name[PATH_MAX];
    struct stat st;
    auto_fd fd = -1;
    int r = log_file_name(name, sizeof name, path, index, gz);

    if (r < 0)
        return r;
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    s->files = xreallocarray(s->files, s->count + 1, sizeof s->files[0]);
    s->files[s->count++] = (struct log_file){
        .fd = take_fd(&fd), .dev = st.st_dev, .ino = st.st_ino, .is_gz = gz, .is_live = index == 0};
    return 1;
}

static void reverse(struct log_files *s) {
    for (size_t i = 0, j = s->count; i + 1 < j; i++) {
        struct log_file swap = s->files[i];

        s->files[i] = s->files[--j];
        s->files[j] = swap;
    }
}

int log_files_open(const char *path, struct log_files *ret, struct err *e) {
    /* Without the lock (a directory that is gone, a rotation that hangs) the worst is a file that
     * is seen twice or not at all. */
    __attribute__((unused)) auto_fd lock = log_lock_dir(path, LOCK_SH, LOCK_WAIT_MS);
    struct log_files s = {0};
    int r = file_open(path, 0, false, &s);

    for (int64_t i = 1; r >= 0 && i < LOG_FILE_COUNT_MAX; i++) {
        r = file_open(path, i, false, &s);
        if (r == 0)
            r = file_open(path, i, true, &s);
        if (r == 0)
            break;
    }
    if (r < 0) {
        log_files_done(&s);
        return err_sys(e, r, "cannot open the log %s", path);
    }
    reverse(&s);
    *ret = s;
    return 0;
}

/* ---- the tail ------------------------------------------------------------------------------- */

/* Scans backwards for `lines` complete lines. Found: their offset; otherwise *lines is lowered by
 * what the file has and -1 is returned. Lower: -errno - 1. */
static off_t plain_tail(int fd, uint64_t *lines) {
    auto_free char *block = xmalloc(BLOCK_SIZE);
    bool seen_end = false; /* the newline that ends the last complete line */
    struct stat st;
    off_t at;

    if (fstat(fd, &st) < 0)
        return -errno - 1;
    at = st.st_size;
    while (at > 0) {
        size_t n = at < BLOCK_SIZE ? (size_t)at : BLOCK_SIZE;
        ssize_t got = pread(fd, block, n, at - (off_t)n);
        char *p;

        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)n)
            return got < 0 ? -errno - 1 : -EIO - 1;
        at -= (off_t)n;
        for (size_t left = n; left > 0 && (p = memrchr(block, '\n', left));
             left = (size_t)(p - block)) {
            if (seen_end && --*lines == 0)
                return at + (p - block) + 1;
            seen_end = true;
        }
    }
    if (seen_end && --*lines == 0)
        return 0;
    return -1;
}

static int gz_count(int fd, uint64_t *ret, struct err *e) {
    auto_free char *block = xmalloc(BLOCK_SIZE);
    struct fd_reader from;
    struct reader *r = NULL;
    uint64_t lines = 0;
    ssize_t n;
    int opened;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "cannot read a rotated log");
    fd_reader_init(&from, fd, UINT64_MAX);
    opened = decompress_open(&from.base, &r, NULL, e);
    if (opened < 0)
        return opened;
    while ((n = r->read(r, block, BLOCK_SIZE)) > 0) {
        for (const char *p = block, *end = block + n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
            lines++;
    }
    decompress_close(r);
    if (n < 0)
        return err_sys(e, (int)n, "cannot decompress a rotated log");
    *ret = lines;
    return 0;
}

int log_files_tail(const struct log_files *s, uint64_t lines, struct log_position *ret,
                   struct err *e) {
    size_t i = s->count;

    *ret = (struct log_position){.file = s->count};
    if (lines == 0) {
        struct stat st;

        /* Behind the last byte of the live file: following goes on from there. */
        if (s->count > 0 && !s->files[i - 1].is_gz && fstat(s->files[i - 1].fd, &st) == 0)
            *ret = (struct log_position){.file = i - 1, .offset = st.st_size};
        return 0;
    }
    while (i-- > 0) {
        uint64_t have = 0;
        off_t at;
        int r;

        if (!s->files[i].is_gz) {
            at = plain_tail(s->files[i].fd, &lines);
            if (at < -1)
                return err_sys(e, (int)(at + 1), "cannot read the log");
            if (at >= 0) {
                *ret = (struct log_position){.file = i, .offset = at};
                return 0;
            }
            continue;
        }
        r = gz_count(s->files[i].fd, &have, e);
        if (r < 0)
            return r;
        if (have >= lines) {
            *ret = (struct log_position){.file = i, .skip = have - lines};
            return 0;
        }
        lines -= have;
    }
    *ret = (struct log_position){0};
    return 0;
}
