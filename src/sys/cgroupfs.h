/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Control group file systems: which hierarchies this host has mounted and where, and small,
 * descriptor-relative reads and writes of their files. Knows files and directories only; what they
 * mean is in runtime/cgroup.h. No JSON, no threads; -errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

enum cgroupfs_controller {
    CGROUPFS_CPU,
    CGROUPFS_CPUACCT,
    CGROUPFS_CPUSET,
    CGROUPFS_MEMORY,
    CGROUPFS_PIDS,
    CGROUPFS_DEVICES,
    CGROUPFS_FREEZER,
    CGROUPFS_BLKIO, /* "io" on v2 */
    CGROUPFS_HUGETLB,
    CGROUPFS_NET_CLS,
    CGROUPFS_NET_PRIO,
    CGROUPFS_PERF_EVENT,
    CGROUPFS_RDMA,
    CGROUPFS_SYSTEMD, /* v1's named hierarchy name=systemd: no controller, holds processes */
    CGROUPFS_CONTROLLER_COUNT,
};

#define CGROUPFS_HIERARCHIES_MAX 16

struct cgroupfs_hierarchy {
    char *path;           /* mount point */
    unsigned controllers; /* bits: 1 << enum cgroupfs_controller */
    int fd;               /* O_PATH of the mount point */
};

struct cgroupfs_host {
    int version; /* 0: none mounted, 1: v1 or hybrid, 2: v2 only */
    size_t count;
    struct cgroupfs_hierarchy hierarchies[CGROUPFS_HIERARCHIES_MAX];
    int by_controller[CGROUPFS_CONTROLLER_COUNT]; /* index into hierarchies, -1: not there */
};

/* Reads /proc/self/mountinfo and opens the hierarchies. A host without any is version 0, success.
 */
int cgroupfs_detect(struct cgroupfs_host *ret);
/* The same from a text, without opening descriptors unless `open_fds`: for tests. */
int cgroupfs_detect_from(const char *mountinfo, bool open_fds, struct cgroupfs_host *ret);
void cgroupfs_host_done(struct cgroupfs_host *h);
const char *cgroupfs_controller_name(enum cgroupfs_controller c, int version);
static inline bool cgroupfs_has(const struct cgroupfs_host *h, enum cgroupfs_controller c) {
    return h->by_controller[c] >= 0;
}

/* mkdir -p below dirfd, 0755. `rel` has no leading '/'. *ret_created: the last part is new. */
int cgroupfs_mkdirs(int dirfd, const char *rel, bool *ret_created);
/* rmdir of the directory `rel` and all groups below it. -EBUSY while processes are in it; a missing
 * one is success. */
int cgroupfs_rmdirs(int dirfd, const char *rel);

/* Kernel files fit a page or some; the text loses its last newline. -ENOSPC when size is short. */
int cgroupfs_read(int dirfd, const char *file, char *out, size_t size);
/* One number; "max" and anything over UINT64_MAX is UINT64_MAX. */
int cgroupfs_read_u64(int dirfd, const char *file, uint64_t *ret);
int cgroupfs_write(int dirfd, const char *file, const char *text);
int cgroupfs_write_u64(int dirfd, const char *file, uint64_t v);
int cgroupfs_write_i64(int dirfd, const char *file, int64_t v);
bool cgroupfs_exists(int dirfd, const char *file);
/* The value of "key N" lines (memory.stat, cpu.stat, memory.events). -ENOENT without the key. */
int cgroupfs_read_key(int dirfd, const char *file, const char *key, uint64_t *ret);
/* Calls fn for each pid of cgroup.procs; a negative result of fn ends the walk and is returned. */
int cgroupfs_each_pid(int dirfd, int (*fn)(pid_t pid, void *arg), void *arg);
