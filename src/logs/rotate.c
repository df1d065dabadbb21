/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/alloc.h"

int log_file_name(char *out, unsigned size, const char *path, int64_t index, int gz) {
    int n = index == 0 ? snprintf(out, size, "%s", path)
                       : snprintf(out, size, "%s.%lld%s", path, (long long)index, gz ? ".gz" : "");

    return n < 0 || (unsigned)n >= size ? -ENAMETOOLONG : 0;
}

int log_lock_dir(const char *path, int operation, unsigned wait_ms) {
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    auto_fd fd = -1;

    if (!slash || (size_t)(slash - path) + 2 > sizeof dir)
        return slash ? -ENAMETOOLONG : -EINVAL;
    memcpy(dir, path, (size_t)(slash - path) + 1);
    dir[slash - path + 1] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (unsigned waited = 0;; waited++) {
        const struct timespec ms = {.tv_nsec = 1000000};

        if (flock(fd, operation | LOCK_NB) == 0)
            return take_fd(&fd);
        if (errno != EINTR && errno != EWOULDBLOCK)
            return -errno;
        if (waited >= wait_ms)
            return -EWOULDBLOCK;
        (void)nanosleep(&ms, NULL); /* a short sleep is as good */
    }
}

static int move(const char *from, const char *to) {
    return rename(from, to) < 0 && errno != ENOENT ? -errno : 0;
}

int log_rotate(const char *path, int64_t max_file) {
    char from[PATH_MAX], to[PATH_MAX];
    auto_fd lock = -1;

    if (max_file < 2)
        return 0;
    if (max_file > LOG_FILE_COUNT_MAX)
        max_file = LOG_FILE_COUNT_MAX;
    lock = log_lock_dir(path, LOCK_EX, 0);
    if (lock < 0)
        return lock;
    for (int64_t i = max_file - 1; i >= 1; i--) {
        for (int gz = 0; gz < 2; gz++) {
            int r = log_file_name(to, sizeof to, path, i, gz);

            if (r < 0)
                return r;
            if (i == max_file - 1 && unlink(to) < 0 && errno != ENOENT)
                return -errno;
            if (i == 1 && gz)
                continue; /* the live file is never compressed */
            r = log_file_name(from, sizeof from, path, i - 1, gz);
            if (r == 0)
                r = move(from, to);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
