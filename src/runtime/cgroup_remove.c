/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Removal of groups by directory, and OOM events: what the monitor needs. Knows no OCI types and
 * allocates nothing that lasts.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/cgroup.h"

static int kill_pid(pid_t pid, void *arg) {
    (void)arg;
    (void)kill(pid, SIGKILL); /* gone already: ESRCH */
    return 0;
}

static void kill_below(int fd, unsigned depth) {
    struct dirent *de;
    auto_dir *d = NULL;

    (void)cgroupfs_each_pid(fd, kill_pid, NULL); /* tried again until the removal succeeds */
    if (depth > 64 || io_open_dir(fd, &d) < 0)
        return;
    while ((de = readdir(d))) {
        if (de->d_type != DT_DIR || strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
            continue;
        auto_fd sub = openat(fd, de->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (sub >= 0)
            kill_below(sub, depth + 1);
    }
}

/* Kills what lives in any of the directories. Each step may fail (the directory is gone, the file
 * belongs to the other version): the removal that follows is what counts. */
static void kill_left_over(char *const *dirs) {
    char *freezer = NULL;

    strv_for_each (dir, dirs) {
        auto_fd fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
            continue;
        if (cgroupfs_write(fd, "cgroup.kill", "1") == 0)
            return;
        if (!freezer && cgroupfs_write(fd, "freezer.state", "FROZEN") == 0)
            freezer = dir;
    }
    strv_for_each (dir, dirs) {
        auto_fd fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
            kill_below(fd, 0);
    }
    if (freezer) {
        auto_fd fd = open(freezer, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
            (void)cgroupfs_write(fd, "freezer.state", "THAWED");
    }
}

static int remove_once(char *const *dirs) {
    int r = 0;

    strv_for_each (dir, dirs) {
        int x = cgroupfs_rmdirs(AT_FDCWD, dir);

        if (x < 0 && r == 0)
            r = x;
    }
    return r;
}

int cgroup_remove_dirs(char *const *dirs, int timeout_ms) {
    int64_t end = clock_mono_ns() + (int64_t)timeout_ms * NS_PER_MS;
    long pause_ns = 200000;
    int r;

    for (unsigned round = 0;; round++) {
        r = remove_once(dirs);
        if ((r != -EBUSY && r != -ENOTEMPTY) || clock_mono_ns() >= end)
            return r;
        /* The first rounds only wait: a process that has just been reaped leaves its groups a
         * moment later. */
        if (round >= 3 && round % 8 == 3)
            kill_left_over(dirs);
        (void)nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
        if (pause_ns < 20000000)
            pause_ns *= 2;
    }
}

int cgroup_oom_open(const char *memory_dir, struct cgroup_oom *ret) {
    auto_fd dir = open(memory_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd fd = -1;
    int version;

    if (dir < 0)
        return -errno;
    if (cgroupfs_exists(dir, "memory.oom_control")) {
        auto_fd control = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
        char text[48];
        int r;

        if (control < 0)
            return -errno;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return -errno;
        (void)snprintf(text, sizeof text, "%d %d", fd, control);
        r = cgroupfs_write(dir, "cgroup.event_control", text);
        if (r < 0)
            return r;
        version = 1;
    } else {
        char path[PATH_MAX];

        if ((size_t)snprintf(path, sizeof path, "%s/memory.events", memory_dir) >= sizeof path)
            return -ENAMETOOLONG;
        fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (fd < 0)
            return -errno;
        if (inotify_add_watch(fd, path, IN_MODIFY) < 0)
            return -errno;
        version = 2;
    }
    *ret = (struct cgroup_oom){.fd = take_fd(&fd), .dir_fd = take_fd(&dir), .version = version};
    return 0;
}

void cgroup_oom_done(struct cgroup_oom *o) {
    o->fd = fd_close(o->fd);
    o->dir_fd = fd_close(o->dir_fd);
}

int cgroup_oom_read(struct cgroup_oom *o, uint64_t *ret_kills) {
    char events[4096];

    while (read(o->fd, events, sizeof events) > 0) {
        if (o->version == 1)
            break; /* one read empties an eventfd */
    }
    return cgroupfs_read_key(o->dir_fd, o->version == 1 ? "memory.oom_control" : "memory.events",
                             "oom_kill", ret_kills);
}
