/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/id.h"
#include "format/codec.h"
#include "logs/fileset.h"
#include "logs/rotate.h"

#define LOCK_WAIT_MS 1000

static int compress_to(int from, int to) {
    struct fd_reader r;
    struct fd_writer w;
    struct writer *gz = NULL;
    int64_t copied;
    int closed, opened;

    fd_reader_init(&r, from, UINT64_MAX);
    fd_writer_init(&w, to);
    opened = compress_open(CODEC_GZIP, &w.base, &gz);
    if (opened < 0)
        return opened;
    copied = reader_copy(&r.base, gz);
    closed = compress_close(gz);
    return copied < 0 ? (int)copied : closed;
}

/* The monitor may have renamed the file while it was compressed: it is looked for by its inode. */
static int replace(const char *path, const struct log_file *f, const char *tmp) {
    auto_fd lock = log_lock_dir(path, LOCK_EX, LOCK_WAIT_MS);
    char plain[PATH_MAX], gz[PATH_MAX];
    struct stat st;

    if (lock < 0)
        return lock;
    for (int64_t i = 1; i < LOG_FILE_COUNT_MAX; i++) {
        int r = log_file_name(plain, sizeof plain, path, i, 0);

        if (r == 0)
            r = log_file_name(gz, sizeof gz, path, i, 1);
        if (r < 0)
            return r;
        if (lstat(plain, &st) < 0 || st.st_ino != f->ino || st.st_dev != f->dev)
            continue;
        if (rename(tmp, gz) < 0 || unlink(plain) < 0)
            return -errno;
        return 0;
    }
    return -ENOENT; /* rotated out of existence */
}

static int compress_one(const char *path, const struct log_file *f) {
    auto_free char *tmp = xasprintf("%s.tmp-%08llx", path, (unsigned long long)random_u64());
    auto_fd to = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    int r;

    if (to < 0)
        return -errno;
    r = compress_to(f->fd, to);
    if (r == 0)
        r = replace(path, f, tmp);
    if (r < 0)
        (void)unlink(tmp);
    return r == -ENOENT ? 0 : r;
}

int log_compress_rotated(const char *path, struct err *e) {
    struct log_files set = {0};
    int r = log_files_open(path, &set, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < set.count && r >= 0; i++) {
        if (!set.files[i].is_gz && !set.files[i].is_live)
            r = compress_one(path, &set.files[i]);
    }
    log_files_done(&set);
    return r < 0 ? err_sys(e, r, "cannot compress the rotated log of %s", path) : 0;
}
