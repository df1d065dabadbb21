/* SPDX-License-Identifier: Apache-2.0 */

/* Several hierarchies with one or some controllers each. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/cgroup_private.h"

#define FREEZE_TIMEOUT_MS 2000
#define CPUSET_TEXT_MAX   4096

/* ---- making -------------------------------------------------------------------------------- */

static int cpuset_fill_file(int parent, int dir, const char *file, bool *ret_empty) {
    char text[CPUSET_TEXT_MAX];
    int r = cgroupfs_read(dir, file, text, sizeof text);

    if (r < 0 || text[0] != '\0')
        return r;
    r = cgroupfs_read(parent, file, text, sizeof text);
    if (r < 0)
        return r;
    if (text[0] == '\0') {
        *ret_empty = true;
        return 0;
    }
    return cgroupfs_write(dir, file, text);
}

/*
 * A new cpuset has neither CPUs nor memory and takes no process. Copies both from the parent, from
 * the top where a parent is empty too; such a parent then hands its sets on by itself
 * (clone_children), so that the next container costs two reads.
 */
static int cpuset_inherit(int root, const char *rel) {
    const char *slash = strrchr(rel, '/');
    auto_free char *up = slash ? xstrndup(rel, (size_t)(slash - rel)) : xstrdup(".");
    auto_fd parent = openat(root, up, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd dir = openat(root, rel, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (parent < 0 || dir < 0)
        return -errno;
    for (int attempt = 0;; attempt++) {
        bool empty = false;
        int r = cpuset_fill_file(parent, dir, "cpuset.cpus", &empty);

        if (r == 0)
            r = cpuset_fill_file(parent, dir, "cpuset.mems", &empty);
        if (r < 0 || !empty)
            return r;
        if (!slash || attempt > 0)
            return -ENODATA; /* an empty root does not exist */
        r = cpuset_inherit(root, up);
        if (r < 0)
            return r;
        (void)cgroupfs_write(parent, "cgroup.clone_children", "1"); /* saves time only */
    }
}

static int v1_prepare(struct cgroup *c, struct err *e) {
    int i = c->host->by_controller[CGROUPFS_CPUSET], r;

    if (i < 0)
        return 0;
    r = cpuset_inherit(c->host->hierarchies[i].fd, c->path + 1);
    return r < 0 ? err_sys(e, r, "cannot copy the cpuset of the parent of %s", c->path) : 0;
}

/* ---- limits -------------------------------------------------------------------------------- */

static int set_memory_file(struct cgroup *c, const char *file, int64_t v, struct err *e) {
    int fd = cgroup_fd(c, CGROUPFS_MEMORY);
    auto_err local = ERR_INIT;
    uint64_t usage = 0, peak = 0;
    int r;

    if (v == 0)
        return 0;
    r = cgroup_put_i64(c, CGROUPFS_MEMORY, file, v, &local);
    if (r == -EBUSY && strcmp(file, "memory.limit_in_bytes") == 0 &&
        cgroupfs_read_u64(fd, "memory.usage_in_bytes", &usage) == 0 &&
        cgroupfs_read_u64(fd, "memory.max_usage_in_bytes", &peak) == 0)
        return err_set(e, ERR_SYSTEM,
                       "unable to set memory limit to %" PRId64 " (current usage: %" PRIu64
                       ", peak usage: %" PRIu64 ")",
                       v, usage, peak);
    if (r < 0)
        err_move(e, &local);
    return r;
}

static int apply_memory_and_swap(struct cgroup *c, const struct oci_memory *m, struct err *e) {
    static const char limit_file[] = "memory.limit_in_bytes",
                      swap_file[] = "memory.memsw.limit_in_bytes";
    int64_t limit = m->limit.set ? m->limit.value : 0, swap = m->swap.set ? m->swap.value : 0;
    int fd = cgroup_fd(c, CGROUPFS_MEMORY);
    int r;

    /* Unlimited memory with a limit on both together makes no sense, so that one goes too. */
    if (limit == -1 && swap == 0 && fd >= 0 && cgroupfs_exists(fd, swap_file))
        swap = -1;
    if (limit != 0 && swap != 0 && fd >= 0) {
        uint64_t current;

        r = cgroupfs_read_u64(fd, limit_file, &current);
        if (r < 0)
            return err_sys(e, r, "read %s", limit_file);
        /* memsw may never be below memory: the larger new value goes first. */
        if (swap == -1 || current < (uint64_t)swap) {
            r = set_memory_file(c, swap_file, swap, e);
            return r < 0 ? r : set_memory_file(c, limit_file, limit, e);
        }
    }
    r = set_memory_file(c, limit_file, limit, e);
    return r < 0 ? r : set_memory_file(c, swap_file, swap, e);
}

static int apply_memory(struct cgroup *c, const struct oci_memory *m, struct err *e) {
    int r = apply_memory_and_swap(c, m, e);

    if (r == 0 && m->reservation.set)
        r = set_memory_file(c, "memory.soft_limit_in_bytes", m->reservation.value, e);
    /* m->kernel: the kernel gave the limit up in 5.16 and Docker ignores it since. The TCP one is
     * wanted only where the file still does something. */
    if (r == 0 && m->kernel_tcp.set && m->kernel_tcp.value != 0) {
        auto_err local = ERR_INIT;

        r = cgroup_put_i64(c, CGROUPFS_MEMORY, "memory.kmem.tcp.limit_in_bytes",
                           m->kernel_tcp.value, &local);
        if (r == -ENOENT || r == -EOPNOTSUPP)
            r = 0;
        else if (r < 0)
            err_move(e, &local);
    }
    if (r == 0 && m->disable_oom_killer == 1)
        r = cgroup_put(c, CGROUPFS_MEMORY, "memory.oom_control", "1", e);
    if (r == 0 && m->swappiness.set && (int64_t)m->swappiness.value != -1) {
        if (m->swappiness.value > 100)
            return err_set(e, ERR_INVALID,
                           "invalid memory swappiness value: %" PRIu64 " (should be 0-100)",
                           m->swappiness.value);
        r = cgroup_put_i64(c, CGROUPFS_MEMORY, "memory.swappiness", (int64_t)m->swappiness.value,
                           e);
    }
    return r;
}

static int apply_cpu(struct cgroup *c, const struct oci_cpu *cpu, struct err *e) {
    bool retry_period = false;
    int r = 0;

    if (cpu->shares.set && cpu->shares.value != 0)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.shares",
                           (int64_t)cgroup_cpu_shares_clamp(cpu->shares.value), e);
    if (r == 0 && cpu->period.set && cpu->period.value != 0) {
        auto_err local = ERR_INIT;

        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.cfs_period_us", (int64_t)cpu->period.value,
                           &local);
        /* Old quota over new period may pass the parent's share: then the quota goes first. */
        if (r == -EINVAL && cpu->quota.set && cpu->quota.value != 0) {
            retry_period = true;
            r = 0;
        } else if (r < 0) {
            err_move(e, &local);
        }
    }
    if (r == 0 && cpu->quota.set && cpu->quota.value != 0)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.cfs_quota_us",
                           cpu->quota.value < 0 ? -1 : cpu->quota.value, e);
    if (r == 0 && retry_period)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.cfs_period_us", (int64_t)cpu->period.value, e);
    if (r == 0 && cpu->burst.set)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.cfs_burst_us", (int64_t)cpu->burst.value, e);
    if (r == 0 && cpu->realtime_period.set && cpu->realtime_period.value != 0)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.rt_period_us", (int64_t)cpu->realtime_period.value,
                           e);
    if (r == 0 && cpu->realtime_runtime.set && cpu->realtime_runtime.value != 0)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.rt_runtime_us", cpu->realtime_runtime.value, e);
    if (r == 0 && cpu->idle.set)
        r = cgroup_put_i64(c, CGROUPFS_CPU, "cpu.idle", cpu->idle.value, e);
    if (r == 0 && !str_empty(cpu->cpus))
        r = cgroup_put(c, CGROUPFS_CPUSET, "cpuset.cpus", cpu->cpus, e);
    if (r == 0 && !str_empty(cpu->mems))
        r = cgroup_put(c, CGROUPFS_CPUSET, "cpuset.mems", cpu->mems, e);
    return r;
}

static int apply_throttle(struct cgroup *c, const struct field_array *list, const char *file,
                          struct err *e) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        const struct oci_throttle_device *d = field_array_at(list, struct oci_throttle_device, i);
        char text[96];

        (void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor,
                       d->rate);
        r = cgroup_put(c, CGROUPFS_BLKIO, file, text, e);
    }
    return r;
}

static int apply_blkio(struct cgroup *c, const struct oci_block_io *b, struct err *e) {
    int fd = cgroup_fd(c, CGROUPFS_BLKIO);
    /* CFQ's files went with Linux 5.0; BFQ has its own. */
    bool bfq =
        fd >= 0 && !cgroupfs_exists(fd, "blkio.weight") && cgroupfs_exists(fd, "blkio.bfq.weight");
    int r = 0;

    if (b->weight.set && b->weight.value != 0)
        r = cgroup_put_i64(c, CGROUPFS_BLKIO, bfq ? "blkio.bfq.weight" : "blkio.weight",
                           (int64_t)b->weight.value, e);
    if (r == 0 && b->leaf_weight.set && b->leaf_weight.value != 0)
        r = cgroup_put_i64(c, CGROUPFS_BLKIO, "blkio.leaf_weight", (int64_t)b->leaf_weight.value,
                           e);
    for (size_t i = 0; r == 0 && i < b->weight_device.count; i++) {
        const struct oci_weight_device *d =
            field_array_at(&b->weight_device, struct oci_weight_device, i);
        char text[96];

        if (!d->weight.set || d->weight.value == 0)
            continue;
        (void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor,
                       d->weight.value);
        r = cgroup_put(c, CGROUPFS_BLKIO, bfq ? "blkio.bfq.weight_device" : "blkio.weight_device",
                       text, e);
    }
    if (r == 0)
        r = apply_throttle(c, &b->throttle_read_bps, "blkio.throttle.read_bps_device", e);
    if (r == 0)
        r = apply_throttle(c, &b->throttle_write_bps, "blkio.throttle.write_bps_device", e);
    if (r == 0)
        r = apply_throttle(c, &b->throttle_read_iops, "blkio.throttle.read_iops_device", e);
    if (r == 0)
        r = apply_throttle(c, &b->throttle_write_iops, "blkio.throttle.write_iops_device", e);
    return r;
}

static int apply_hugepages(struct cgroup *c, const struct field_array *list, struct err *e) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        const struct oci_hugepage_limit *l = field_array_at(list, struct oci_hugepage_limit, i);
        char file[96], text[24];
        int fd = cgroup_fd(c, CGROUPFS_HUGETLB);

        if (str_empty(l->page_size) || strchr(l->page_size, '/') || strlen(l->page_size) > 32)
            return err_set(e, ERR_INVALID, "invalid hugepage size: \"%s\"",
                           str_or_empty(l->page_size));
        (void)snprintf(text, sizeof text, "%" PRIu64, l->limit);
        (void)snprintf(file, sizeof file, "hugetlb.%s.limit_in_bytes", l->page_size);
        r = cgroup_put(c, CGROUPFS_HUGETLB, file, text, e);
        (void)snprintf(file, sizeof file, "hugetlb.%s.rsvd.limit_in_bytes", l->page_size);
        /* Reservations are counted apart since 5.7. */
        if (r == 0 && fd >= 0 && cgroupfs_exists(fd, file))
            r = cgroup_put(c, CGROUPFS_HUGETLB, file, text, e);
    }
    return r;
}

static int apply_network(struct cgroup *c, const struct oci_network *n, struct err *e) {
    int r = 0;

    if (n->class_id.set)
        r = cgroup_put_i64(c, CGROUPFS_NET_CLS, "net_cls.classid", (int64_t)n->class_id.value, e);
    for (size_t i = 0; r == 0 && i < n->priorities.count; i++) {
        const struct oci_net_priority *p =
            field_array_at(&n->priorities, struct oci_net_priority, i);
        char text[64];

        (void)snprintf(text, sizeof text, "%.15s %" PRIu64, str_or_empty(p->name), p->priority);
        r = cgroup_put(c, CGROUPFS_NET_PRIO, "net_prio.ifpriomap", text, e);
    }
    return r;
}

static int v1_apply(struct cgroup *c, const struct oci_resources *r, bool in_userns, bool is_update,
                    struct err *e) {
    int x = 0;

    if (!is_update && r->devices.count > 0 && cgroup_fd(c, CGROUPFS_DEVICES) >= 0)
        x = cgroup_devices_v1(c, &r->devices, in_userns, e);
    if (x == 0 && r->memory)
        x = apply_memory(c, r->memory, e);
    if (x == 0 && r->cpu)
        x = apply_cpu(c, r->cpu, e);
    /* A new group has no limit on processes: nothing to write then. */
    if (x == 0 && r->pids && (r->pids->limit > 0 || is_update)) {
        if (r->pids->limit > 0)
            x = cgroup_put_i64(c, CGROUPFS_PIDS, "pids.max", r->pids->limit, e);
        else
            x = cgroup_put(c, CGROUPFS_PIDS, "pids.max", "max", e);
    }
    if (x == 0 && r->block_io)
        x = apply_blkio(c, r->block_io, e);
    if (x == 0)
        x = apply_hugepages(c, &r->hugepage_limits, e);
    if (x == 0 && r->network)
        x = apply_network(c, r->network, e);
    return x;
}

/* ---- freezer ------------------------------------------------------------------------------- */

static int v1_state(const struct cgroup *c, const char *want, bool *ret) {
    char text[32];
    int fd = cgroup_fd(c, CGROUPFS_FREEZER), r;

    if (fd < 0)
        return -ENOENT;
    r = cgroupfs_read(fd, "freezer.state", text, sizeof text);
    if (r == 0)
        *ret = strcmp(text, want) == 0;
    return r;
}

static int v1_is_frozen(const struct cgroup *c, bool *ret) {
    char text[8];
    int fd = cgroup_fd(c, CGROUPFS_FREEZER), r;

    if (fd < 0) {
        *ret = false; /* without a freezer nothing is */
        return 0;
    }
    /* What was asked for: FREEZING counts. */
    r = cgroupfs_read(fd, "freezer.self_freezing", text, sizeof text);
    if (r == 0)
        *ret = strcmp(text, "1") == 0;
    return r;
}

static int v1_freeze(struct cgroup *c, bool freeze, struct err *e) {
    const char *want = freeze ? "FROZEN" : "THAWED";
    int64_t end = clock_mono_ns() + FREEZE_TIMEOUT_MS * NS_PER_MS;
    long pause_ns = 50000;
    bool done = false;
    int r;

    if (cgroup_fd(c, CGROUPFS_FREEZER) < 0)
        return err_set(e, ERR_SYSTEM,
                       "cannot toggle freezer: cgroups not configured for container");
    for (unsigned round = 0;; round++) {
        /* Some tasks enter the freezer only when the state is written again (runc knows this from
         * kernels 4.x to 5.x): every now and then thaw for a moment as well. */
        if (freeze && round % 50 == 25)
            (void)cgroup_put(c, CGROUPFS_FREEZER, "freezer.state", "THAWED", NULL);
        r = cgroup_put(c, CGROUPFS_FREEZER, "freezer.state", want, e);
        if (r < 0)
            break;
        r = v1_state(c, want, &done);
        if (r < 0) {
            r = err_sys(e, r, "read freezer.state");
            break;
        }
        if (done)
            return 0;
        if (clock_mono_ns() >= end) {
            r = err_set(e, ERR_SYSTEM, "unable to %s", freeze ? "freeze" : "thaw");
            break;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
        if (pause_ns < 10000000)
            pause_ns *= 2;
    }
    if (freeze)
        (void)cgroup_put(c, CGROUPFS_FREEZER, "freezer.state", "THAWED", NULL);
    return r;
}

static int v1_kill_at_once(struct cgroup *c) {
    (void)c;
    return -EOPNOTSUPP;
}

/* ---- stats --------------------------------------------------------------------------------- */

static void stats_percpu(int fd, struct cgroup_stats *s) {
    auto_buf text = {.max = 1 << 18};
    size_t cap = 0;
    char *at, *end;

    if (io_read_file_at(fd, "cpuacct.usage_percpu", &text) < 0)
        return;
    for (at = text.data; at && *at; at = end) {
        unsigned long long v = strtoull(at, &end, 10);

        if (end == at)
            break;
        if (s->percpu_count == cap) {
            cap = cap ? cap * 2 : 16;
            s->percpu_ns = xreallocarray(s->percpu_ns, cap, sizeof *s->percpu_ns);
        }
        s->percpu_ns[s->percpu_count++] = v;
    }
}

/* "8:0 Read 4096" lines, or "8:0 4096"; the closing "Total N" is skipped. */
static int stats_blkio_file(int fd, const char *file, struct cgroup_blkio_table *t) {
    auto_buf text = {.max = 1 << 20};
    int r = io_read_file_at(fd, file, &text);

    if (r < 0)
        return r;
    auto_strv lines = str_split(buf_str(&text), '\n');

    strv_for_each (line, lines) {
        struct cgroup_blkio_entry x = {0};

        if (sscanf(line, "%" SCNu64 ":%" SCNu64 " %15[A-Za-z] %" SCNu64, &x.major, &x.minor, x.op,
                   &x.value) != 4) {
            x.op[0] = '\0';
            if (sscanf(line, "%" SCNu64 ":%" SCNu64 " %" SCNu64, &x.major, &x.minor, &x.value) != 3)
                continue;
        }
        *cgroup_blkio_add(t) = x;
    }
    return 0;
}

static void stats_blkio(int fd, struct cgroup_stats *s) {
    static const struct {
        enum cgroup_blkio_kind kind;
        const char *name;
    } files[] = {
        {CGROUP_BLKIO_SERVICE_BYTES, "io_service_bytes_recursive"},
        {CGROUP_BLKIO_SERVICED, "io_serviced_recursive"},
        {CGROUP_BLKIO_QUEUE, "io_queued_recursive"},
        {CGROUP_BLKIO_SERVICE_TIME, "io_service_time_recursive"},
        {CGROUP_BLKIO_WAIT_TIME, "io_wait_time_recursive"},
        {CGROUP_BLKIO_MERGED, "io_merged_recursive"},
        {CGROUP_BLKIO_TIME, "time_recursive"},
        {CGROUP_BLKIO_SECTORS, "sectors_recursive"},
    };
    /* The schedulers' own counters first; where none of them has seen a request, the throttle
     * layer's, which every block device passes. */
    static const char *const prefixes[] = {"blkio.", "blkio.bfq.", "blkio.throttle."};

    for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++) {
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            char file[96];

            (void)snprintf(file, sizeof file, "%s%s", prefixes[p], files[i].name);
            /* Absent with most kernels: the table stays empty. */
            (void)stats_blkio_file(fd, file, &s->blkio[files[i].kind]);
        }
        if (s->blkio[CGROUP_BLKIO_SERVICED].count > 0)
            return;
    }
}

/* Absent files leave zero: controllers and options of the kernel differ. */
static int v1_stats(const struct cgroup *c, struct cgroup_stats *s, struct err *e) {
    int fd = cgroup_fd(c, CGROUPFS_CPUACCT);
    int r;

    if (fd >= 0) {
        r = cgroupfs_read_u64(fd, "cpuacct.usage", &s->cpu_total_ns);
        if (r < 0)
            return err_sys(e, r, "read cpuacct.usage of %s", c->path);
        (void)cgroupfs_read_u64(fd, "cpuacct.usage_user", &s->cpu_user_ns);
        (void)cgroupfs_read_u64(fd, "cpuacct.usage_sys", &s->cpu_kernel_ns);
        stats_percpu(fd, s);
    }
    fd = cgroup_fd(c, CGROUPFS_CPU);
    if (fd >= 0) {
        (void)cgroupfs_read_key(fd, "cpu.stat", "nr_periods", &s->throttle_periods);
        (void)cgroupfs_read_key(fd, "cpu.stat", "nr_throttled", &s->throttled_periods);
        (void)cgroupfs_read_key(fd, "cpu.stat", "throttled_time", &s->throttled_ns);
    }
    fd = cgroup_fd(c, CGROUPFS_MEMORY);
    if (fd >= 0) {
        r = cgroupfs_read_u64(fd, "memory.usage_in_bytes", &s->memory_usage);
        if (r < 0)
            return err_sys(e, r, "read memory.usage_in_bytes of %s", c->path);
        (void)cgroupfs_read_u64(fd, "memory.max_usage_in_bytes", &s->memory_max_usage);
        (void)cgroupfs_read_u64(fd, "memory.failcnt", &s->memory_failcnt);
        (void)cgroupfs_read_u64(fd, "memory.limit_in_bytes", &s->memory_limit);
        (void)cgroupfs_read_key(fd, "memory.oom_control", "oom_kill", &s->oom_kills);
        (void)cgroup_stat_table(fd, "memory.stat", &s->memory_stats, &s->memory_stats_count);
    }
    fd = cgroup_fd(c, CGROUPFS_PIDS);
    if (fd >= 0) {
        (void)cgroupfs_read_u64(fd, "pids.current", &s->pids_current);
        (void)cgroupfs_read_u64(fd, "pids.max", &s->pids_limit);
    }
    fd = cgroup_fd(c, CGROUPFS_BLKIO);
    if (fd >= 0)
        stats_blkio(fd, s);
    return 0;
}

const struct cgroup_manager cgroup_manager_v1 = {
    .prepare = v1_prepare,
    .apply = v1_apply,
    .freeze = v1_freeze,
    .is_frozen = v1_is_frozen,
    .stats = v1_stats,
    .kill_at_once = v1_kill_at_once,
};
