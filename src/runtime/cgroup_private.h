/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of runtime/cgroup*.c share; for nobody else. */
#include "oci/runtime_spec.h"
#include "runtime/cgroup.h"

/* One per cgroup version. Every operation is there in both. */
struct cgroup_manager {
    /* The directories are made and open; gives them what processes need to join. */
    int (*prepare)(struct cgroup *c, struct err *e);
    /* is_update: members that are not set keep their values, devices are left alone. */
    int (*apply)(struct cgroup *c, const struct oci_resources *r, bool in_userns, bool is_update,
                 struct err *e);
    int (*freeze)(struct cgroup *c, bool freeze, struct err *e);
    int (*is_frozen)(const struct cgroup *c, bool *ret);
    int (*stats)(const struct cgroup *c, struct cgroup_stats *s, struct err *e);
    /* 0 when everything was killed in one go; -EOPNOTSUPP: walk the processes instead. */
    int (*kill_at_once)(struct cgroup *c);
};

extern const struct cgroup_manager cgroup_manager_v1;
extern const struct cgroup_manager cgroup_manager_v2;

/* The group's directory in the hierarchy of a controller; -1 when there is none. */
static inline int cgroup_fd(const struct cgroup *c, enum cgroupfs_controller ctl) {
    int i = c->host->by_controller[ctl];

    return i < 0 ? -1 : c->fds[i];
}

/* Writes a file of the group. Failure is told as runc tells it: `failed to write "1": write
 * /sys/fs/cgroup/...: invalid argument`. */
int cgroup_put(const struct cgroup *c, enum cgroupfs_controller ctl, const char *file,
               const char *text, struct err *e);
int cgroup_put_i64(const struct cgroup *c, enum cgroupfs_controller ctl, const char *file,
                   int64_t v, struct err *e);
/* strerror() as Go spells it. */
const char *cgroup_errno_text(int errnum, char *out, size_t size);

/* Device rules, runtime/cgroup_devices.c. */
int cgroup_devices_v1(const struct cgroup *c, const struct field_array *rules, bool in_userns,
                      struct err *e);
int cgroup_devices_v2(const struct cgroup *c, const struct field_array *rules, struct err *e);

/* memory.stat and the like: every "name value" line. */
int cgroup_stat_table(int fd, const char *file, struct cgroup_stat_entry **ret, size_t *ret_count);
struct cgroup_blkio_entry *cgroup_blkio_add(struct cgroup_blkio_table *t);
