/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/procfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define PF_EXITING 0x4 /* proc(5), field 9 of stat */

int pidfd_open_pid(pid_t pid) {
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

int pidfd_signal(int pidfd, int sig) {
    return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* A small kernel file, NUL-terminated, in one read. */
static int read_small(const char *path, char *out, size_t size) {
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = io_read_full(fd, out, size - 1);
    if (n < 0)
        return (int)n;
    out[n] = '\0';
    return 0;
}

int pidfd_pid(int pidfd, pid_t *ret) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    int r = read_small(path, text, sizeof(text));
    if (r < 0)
        return r;
    const char *line = strstr(text, "\nPid:");
    if (!line)
        return -EBADF;
    long pid = strtol(line + 5, NULL, 10);
    if (pid <= 0)
        return -ESRCH;
    *ret = (pid_t)pid;
    return 0;
}

int pidfd_wait(int pidfd, int options, siginfo_t *ret) {
    siginfo_t si;
    memset(&si, 0, sizeof(si));
    while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, options) < 0)
        if (errno != EINTR)
            return -errno;
    if (!si.si_pid)
        return 0;
    if (ret)
        *ret = si;
    return 1;
}

static int stat_field(pid_t pid, int wanted, int64_t *ret) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int r = read_small(path, text, sizeof(text));
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    /* The command name may hold blanks and parentheses: count from the last ')'. */
    char *p = strrchr(text, ')');
    if (!p)
        return -EINVAL;
    p++;
    for (int field = 3; field < wanted; field++) {
        p += strspn(p, " ");
        p += strcspn(p, " ");
    }
    char *end;
    errno = 0;
    long long v = strtoll(p, &end, 10);
    if (end == p || errno)
        return -EINVAL;
    *ret = v;
    return 0;
}

int proc_start_time(pid_t pid, int64_t *ret) {
    return stat_field(pid, 22, ret);
}

bool proc_is_exiting(pid_t pid) {
    int64_t flags;
    return stat_field(pid, 9, &flags) < 0 || flags & PF_EXITING;
}
