/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container's control groups, one interface over v1 (several hierarchies, perhaps with an empty
 * v2 one beside them) and v2 (one).
 *
 * A `path` is the group's path below the root of every hierarchy: "/docker/<id>" or
 * "<cgroup-parent>/<id>". Absolute, without "..", at most CGROUP_PATH_MAX bytes.
 *
 * The host is detected once a process (the spawner does it before it forks, so that the set-up
 * process inherits open descriptors) and is read-only afterwards. A struct cgroup belongs to one
 * thread. Errors for users carry runc's words.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "sys/cgroupfs.h"

struct oci_resources; /* oci/runtime_spec.h */

#define CGROUP_PATH_MAX 1024

struct cgroup_manager; /* the v1 and v2 operations, private */

struct cgroup {
    const struct cgroupfs_host *host; /* borrowed, outlives */
    const struct cgroup_manager *manager;
    char *path;                        /* "/docker/<id>" */
    int fds[CGROUPFS_HIERARCHIES_MAX]; /* the group's directory in host->hierarchies[i], or -1 */
};

void cgroup_done(struct cgroup *c);
#define auto_cgroup __attribute__((cleanup(cgroup_done))) struct cgroup
/* For cleanup attributes: a group that cgroup_done() may be called on. */
void cgroup_init(struct cgroup *c);

/* ---- set-up process ------------------------------------------------------------------------ */

/* Makes the group in all hierarchies, parents as needed (cpusets copied down, v2 controllers
 * enabled on the way). An existing, empty group is taken over; ERR_CONFLICT when processes are in
 * it. On failure nothing that this call made is left. *ret need not be initialised. */
int cgroup_create(const struct cgroupfs_host *host, const char *path, struct cgroup *ret,
                  struct err *e);
/* Opens an existing group (exec, update, stats, removal). Hierarchies where it is missing are
 * skipped; ERR_NOT_FOUND when it is in none. */
int cgroup_open(const struct cgroupfs_host *host, const char *path, struct cgroup *ret,
                struct err *e);
/* Applies limits and device rules to a new group, before the first process joins. NULL: none.
 * in_userns: the container has a user namespace of its own; a device that the parent group lacks is
 * then passed over instead of failing. Denials are never passed over, except in an engine that
 * itself runs in a user namespace, where the kernel takes no rules at all. */
int cgroup_apply(struct cgroup *c, const struct oci_resources *r, bool in_userns, struct err *e);

/*
 * Joining. v1: the child itself, single-threaded, calls cgroup_join_self() on the descriptors (it
 * writes "0" to each `tasks`, which is cheap; another process' cgroup.procs costs milliseconds).
 * v2: one directory descriptor for clone3(CLONE_INTO_CGROUP); cgroup_join_self() on it is the
 * slower fallback. The descriptors are close-on-exec and owned by *ret.
 */
struct cgroup_join {
    int version; /* 0: nothing to join */
    size_t count;
    int fds[CGROUPFS_HIERARCHIES_MAX];
};
int cgroup_join_open(const struct cgroup *c, struct cgroup_join *ret, struct err *e);
void cgroup_join_done(struct cgroup_join *j);
/* System calls only: good in a fresh clone. */
int cgroup_join_self(const struct cgroup_join *j);
/* v2: the directory for CLONE_INTO_CGROUP; -1 on v1. Borrowed. */
static inline int cgroup_join_clone_fd(const struct cgroup_join *j) {
    return j->version == 2 ? j->fds[0] : -1;
}

/* Absolute directories of the group, a strv the caller owns: what the monitor is told to remove.
 * The memory hierarchy's one comes first (v1: the one to watch for OOM). */
char **cgroup_dirs(const struct cgroup *c);

/* ---- monitor: no JSON, no OCI types -------------------------------------------------------- */

/* Removes the directories and groups below them; while they are busy, kills what is left in them
 * and tries again until timeout_ms has passed. All directories are tried; the first error is
 * returned. Missing ones are fine. */
int cgroup_remove_dirs(char *const *dirs, int timeout_ms);

/* OOM events. `fd` becomes readable when something may have happened. */
struct cgroup_oom {
    int fd;     /* v1: eventfd; v2: inotify. -1: not open */
    int dir_fd; /* the memory group's directory */
    int version;
};
int cgroup_oom_open(const char *memory_dir, struct cgroup_oom *ret);
void cgroup_oom_done(struct cgroup_oom *o);
/* Empties the descriptor (non-blocking) and reads how many processes of this group and those below
 * were killed so far. */
int cgroup_oom_read(struct cgroup_oom *o, uint64_t *ret_kills);

/* ---- engine -------------------------------------------------------------------------------- */

/* Changes the limits of a running container; members that are not set keep their value. Memory and
 * memory+swap are written in the order the kernel accepts. */
int cgroup_update(struct cgroup *c, const struct oci_resources *r, struct err *e);
/* Returns when every process is frozen (or runs again); undone after about two seconds. */
int cgroup_freeze(struct cgroup *c, bool freeze, struct err *e);
int cgroup_is_frozen(const struct cgroup *c, bool *ret);
/* All processes, those of groups below included; *ret_pids is freed by the caller. At most
 * CGROUP_PIDS_MAX. */
#define CGROUP_PIDS_MAX (1u << 20)
int cgroup_pids(const struct cgroup *c, pid_t **ret_pids, size_t *ret_count, struct err *e);
/* Kills everything: cgroup.kill, or freeze, SIGKILL, thaw. */
int cgroup_kill_all(struct cgroup *c, struct err *e);
/* Removes the group everywhere (killing leftovers as cgroup_remove_dirs). */
int cgroup_remove(struct cgroup *c, int timeout_ms, struct err *e);

struct cgroup_stat_entry {
    char name[40];
    uint64_t value;
};
struct cgroup_blkio_entry {
    uint64_t major, minor, value;
    char op[16]; /* "Read", ...: as the kernel writes it on v1, "read" and "write" on v2; "" */
};
struct cgroup_blkio_table {
    struct cgroup_blkio_entry *entries; /* owned */
    size_t count;
};
enum cgroup_blkio_kind { /* Docker's eight tables, its order */
                         CGROUP_BLKIO_SERVICE_BYTES,
                         CGROUP_BLKIO_SERVICED,
                         CGROUP_BLKIO_QUEUE,
                         CGROUP_BLKIO_SERVICE_TIME,
                         CGROUP_BLKIO_WAIT_TIME,
                         CGROUP_BLKIO_MERGED,
                         CGROUP_BLKIO_TIME,
                         CGROUP_BLKIO_SECTORS,
                         CGROUP_BLKIO_KINDS,
};
extern const char *const cgroup_blkio_names[CGROUP_BLKIO_KINDS]; /* "io_service_bytes_recursive" */

/* Zero where the kernel does not tell. Raw kernel values: Docker reports the host's memory where
 * `memory_limit` is larger, and 0 for an unlimited number of processes. */
struct cgroup_stats {
    int version;
    uint64_t cpu_total_ns, cpu_user_ns, cpu_kernel_ns;
    uint64_t *percpu_ns; /* owned; v1 only */
    size_t percpu_count;
    uint64_t throttle_periods, throttled_periods, throttled_ns;
    uint64_t memory_usage, memory_max_usage, memory_failcnt;
    uint64_t memory_limit;                  /* UINT64_MAX: none */
    struct cgroup_stat_entry *memory_stats; /* owned; memory.stat */
    size_t memory_stats_count;
    uint64_t pids_current, pids_limit; /* limit: UINT64_MAX: none */
    struct cgroup_blkio_table blkio[CGROUP_BLKIO_KINDS];
    uint64_t oom_kills;
};
int cgroup_stats_read(const struct cgroup *c, struct cgroup_stats *ret, struct err *e);
void cgroup_stats_done(struct cgroup_stats *s);
/* The host's CPU time (all states, as Docker's system_cpu_usage) and number of CPUs online. */
int cgroup_system_cpu(uint64_t *ret_ns, uint32_t *ret_online);

/* What /info tells, and what create warns about. */
struct cgroup_info {
    int version;        /* "CgroupVersion" */
    const char *driver; /* "cgroupfs", "none" */
    bool memory, memory_reservation, swap, swappiness, oom_kill_disable, kernel_memory,
        kernel_memory_tcp;
    bool cpu_shares, cpu_cfs_period, cpu_cfs_quota, cpu_realtime, cpuset;
    bool pids, devices, freezer, hugetlb;
    bool blkio_weight, blkio_weight_device, blkio_read_bps, blkio_write_bps, blkio_read_iops,
        blkio_write_iops;
    char *cpus, *mems; /* owned: what cpusets may use, "0-3" and "0" */
};
void cgroup_info_read(const struct cgroupfs_host *host, struct cgroup_info *ret);
void cgroup_info_done(struct cgroup_info *i);

/* ---- values, pure -------------------------------------------------------------------------- */

/* 0 stays 0 (the kernel's default); else clamped to 2..262144. */
uint64_t cgroup_cpu_shares_clamp(uint64_t shares);
/* 1 + (max(N, 2) - 2) * 9999 / 262142; 0 for 0. */
uint64_t cgroup_cpu_weight(uint64_t shares);
/* blkio.weight 10..1000 -> io.weight 1..10000; 0 for 0. */
uint64_t cgroup_io_weight(uint64_t weight);
/* Is every member of the list `want` ("0-2,5") in `have`? -EINVAL when one does not parse. */
int cgroup_cpulist_within(const char *want, const char *have, bool *ret);
bool cgroup_path_is_valid(const char *path);
