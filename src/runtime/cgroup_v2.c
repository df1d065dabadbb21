/* SPDX-License-Identifier: Apache-2.0 */

/* The unified hierarchy. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/cgroup_private.h"

#define FREEZE_TIMEOUT_MS  2000
#define CPU_PERIOD_DEFAULT 100000

static int v2_fd(const struct cgroup *c) {
    return c->fds[0];
}

static int v2_put(const struct cgroup *c, const char *file, const char *text, struct err *e) {
    int r = cgroupfs_write(v2_fd(c), file, text);
    char reason[64];

    if (r == 0)
        return 0;
    (void)err_set(e, ERR_SYSTEM, "failed to write \"%s\": %s %s%s/%s: %s", text,
                  r == -ENOENT ? "open" : "write", c->host->hierarchies[0].path, c->path, file,
                  cgroup_errno_text(r, reason, sizeof reason));
    if (e)
        e->errnum = -r;
    return r;
}

static int v2_put_i64(const struct cgroup *c, const char *file, int64_t v, struct err *e) {
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, v);
    return v2_put(c, file, text, e);
}

/* "max" for what is not positive. */
static int v2_put_max(const struct cgroup *c, const char *file, int64_t v, struct err *e) {
    return v > 0 ? v2_put_i64(c, file, v, e) : v2_put(c, file, "max", e);
}

/* ---- making -------------------------------------------------------------------------------- */

static bool has_word(const char *list, const char *word) {
    auto_strv words = str_split(list, ' ');

    return strv_has(words, word);
}

/* Enables in `dir` what it may hand to its children. A controller that cannot be enabled (it is
 * busy elsewhere, or threads forbid it) is missed only by who asks for its limit. */
static void enable_controllers(int dir) {
    char have[512], on[512];

    if (cgroupfs_read(dir, "cgroup.controllers", have, sizeof have) < 0 ||
        cgroupfs_read(dir, "cgroup.subtree_control", on, sizeof on) < 0)
        return;
    auto_strv words = str_split(have, ' ');
    auto_buf all = {.max = 1024};

    strv_for_each (word, words)
        if (!has_word(on, word))
            (void)buf_printf(&all, "%s+%s", all.len ? " " : "", word);
    if (all.len == 0 || all.failed ||
        cgroupfs_write(dir, "cgroup.subtree_control", buf_str(&all)) == 0)
        return;
    strv_for_each (word, words) {
        char one[64];

        if (has_word(on, word))
            continue;
        (void)snprintf(one, sizeof one, "+%s", word);
        (void)cgroupfs_write(dir, "cgroup.subtree_control", one);
    }
}

static int v2_prepare(struct cgroup *c, struct err *e) {
    int root = c->host->hierarchies[0].fd;
    char have[512], want[512];
    char path[CGROUP_PATH_MAX + 1];

    if (cgroupfs_read(v2_fd(c), "cgroup.controllers", have, sizeof have) == 0 &&
        cgroupfs_read(root, "cgroup.controllers", want, sizeof want) == 0 &&
        strcmp(have, want) == 0)
        return 0; /* as for every container but the first */
    enable_controllers(root);
    (void)snprintf(path, sizeof path, "%s", c->path + 1);
    for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        auto_fd dir = openat(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        *p = '/';
        if (dir < 0)
            return err_sys(e, errno, "open %s/%s", c->host->hierarchies[0].path, path);
        enable_controllers(dir);
    }
    return 0;
}

/* ---- limits -------------------------------------------------------------------------------- */

static int apply_memory(struct cgroup *c, const struct oci_memory *m, bool is_update,
                        struct err *e) {
    int64_t limit = m->limit.set ? m->limit.value : 0, swap = m->swap.set ? m->swap.value : 0;
    int64_t swap_only = 0;
    int r = 0;

    if (limit == -1 && swap == 0)
        swap = -1;
    if (swap > 0) {
        /* The engine speaks of memory + swap, the file of swap alone. */
        int64_t memory = limit;

        if (memory == 0 && is_update) {
            uint64_t current;

            if (cgroupfs_read_u64(v2_fd(c), "memory.max", &current) == 0 && current <= INT64_MAX)
                memory = (int64_t)current;
        }
        if (memory == 0 || memory == -1)
            return err_set(e, ERR_INVALID, "unable to set swap limit without memory limit");
        if (memory < 0)
            return err_set(e, ERR_INVALID, "invalid memory value: %" PRId64, memory);
        if (swap < memory)
            return err_set(e, ERR_INVALID, "memory+swap limit should be >= memory limit");
        swap_only = swap - memory;
    }
    if (m->check_before_update && limit > 0) {
        uint64_t usage;

        if (cgroupfs_read_u64(v2_fd(c), "memory.current", &usage) == 0 && usage > (uint64_t)limit)
            return err_set(e, ERR_SYSTEM,
                           "memory limit (%" PRId64 ") is less than current usage (%" PRIu64 ")",
                           limit, usage);
    }
    if (swap != 0) {
        auto_err local = ERR_INIT;

        r = swap < 0 ? v2_put(c, "memory.swap.max", "max", &local)
                     : v2_put_i64(c, "memory.swap.max", swap_only, &local);
        /* No swap accounting: "none" and "any" are what there is already. */
        if (r == -ENOENT && (swap < 0 || swap_only == 0))
            r = 0;
        else if (r < 0)
            err_move(e, &local);
    }
    if (r == 0 && limit != 0)
        r = v2_put_max(c, "memory.max", limit, e);
    if (r == 0 && m->reservation.set && m->reservation.value != 0)
        r = v2_put_max(c, "memory.low", m->reservation.value, e);
    /* Kernel memory, swappiness and disabling the OOM killer do not exist here; create warns. */
    return r;
}

static int apply_cpu(struct cgroup *c, const struct oci_cpu *cpu, struct err *e) {
    int r = 0;

    if (cpu->idle.set)
        r = v2_put_i64(c, "cpu.idle", cpu->idle.value, e);
    /* An idle group has no weight of its own: the kernel refuses one. */
    if (r == 0 && cpu->shares.set && cpu->shares.value != 0 &&
        !(cpu->idle.set && cpu->idle.value == 1))
        r = v2_put_i64(c, "cpu.weight", (int64_t)cgroup_cpu_weight(cpu->shares.value), e);
    if (r == 0 && ((cpu->quota.set && cpu->quota.value != 0) ||
                   (cpu->period.set && cpu->period.value != 0))) {
        char quota[24] = "max", current[64], text[64];
        uint64_t period = CPU_PERIOD_DEFAULT;

        /* "quota period" as it is, for the part that is not given. */
        if (cgroupfs_read(v2_fd(c), "cpu.max", current, sizeof current) == 0)
            if (sscanf(current, "%23s %" SCNu64, quota, &period) != 2)
                period = CPU_PERIOD_DEFAULT;
        if (cpu->quota.set && cpu->quota.value > 0)
            (void)snprintf(quota, sizeof quota, "%" PRId64, cpu->quota.value);
        else if (cpu->quota.set && cpu->quota.value < 0)
            (void)snprintf(quota, sizeof quota, "max");
        if (cpu->period.set && cpu->period.value != 0)
            period = cpu->period.value;
        (void)snprintf(text, sizeof text, "%s %" PRIu64, quota, period);
        r = v2_put(c, "cpu.max", text, e);
    }
    if (r == 0 && cpu->burst.set)
        r = v2_put_i64(c, "cpu.max.burst", (int64_t)cpu->burst.value, e);
    /* Real-time slices are not part of v2; Docker refuses to start with them there. */
    if (r == 0 && ((cpu->realtime_runtime.set && cpu->realtime_runtime.value != 0) ||
                   (cpu->realtime_period.set && cpu->realtime_period.value != 0)))
        return err_set(e, ERR_INVALID,
                       "your kernel does not support CPU real-time scheduler in cgroup v2");
    if (r == 0 && !str_empty(cpu->cpus))
        r = v2_put(c, "cpuset.cpus", cpu->cpus, e);
    if (r == 0 && !str_empty(cpu->mems))
        r = v2_put(c, "cpuset.mems", cpu->mems, e);
    return r;
}

static int apply_io_max(struct cgroup *c, const struct field_array *list, const char *key,
                        struct err *e) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        const struct oci_throttle_device *d = field_array_at(list, struct oci_throttle_device, i);
        char text[96];

        if (d->rate == 0)
            (void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %s=max", d->major, d->minor,
                           key);
        else
            (void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %s=%" PRIu64, d->major,
                           d->minor, key, d->rate);
        r = v2_put(c, "io.max", text, e);
    }
    return r;
}

static int apply_io(struct cgroup *c, const struct oci_block_io *b, struct err *e) {
    /* BFQ takes v1's numbers. */
    bool bfq = cgroupfs_exists(v2_fd(c), "io.bfq.weight");
    const char *file = bfq ? "io.bfq.weight" : "io.weight";
    int r = 0;

    if (b->weight.set && b->weight.value != 0)
        r = v2_put_i64(c, file,
                       (int64_t)(bfq ? b->weight.value : cgroup_io_weight(b->weight.value)), e);
    for (size_t i = 0; r == 0 && i < b->weight_device.count; i++) {
        const struct oci_weight_device *d =
            field_array_at(&b->weight_device, struct oci_weight_device, i);
        char text[96];

        if (!d->weight.set || d->weight.value == 0)
            continue;
        (void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor,
                       bfq ? d->weight.value : cgroup_io_weight(d->weight.value));
        r = v2_put(c, file, text, e);
    }
    if (r == 0)
        r = apply_io_max(c, &b->throttle_read_bps, "rbps", e);
    if (r == 0)
        r = apply_io_max(c, &b->throttle_write_bps, "wbps", e);
    if (r == 0)
        r = apply_io_max(c, &b->throttle_read_iops, "riops", e);
    if (r == 0)
        r = apply_io_max(c, &b->throttle_write_iops, "wiops", e);
    return r;
}

static int apply_hugepages(struct cgroup *c, const struct field_array *list, struct err *e) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        const struct oci_hugepage_limit *l = field_array_at(list, struct oci_hugepage_limit, i);
        char file[96], text[24];

        if (str_empty(l->page_size) || strchr(l->page_size, '/') || strlen(l->page_size) > 32)
            return err_set(e, ERR_INVALID, "invalid hugepage size: \"%s\"",
                           str_or_empty(l->page_size));
        (void)snprintf(text, sizeof text, "%" PRIu64, l->limit);
        (void)snprintf(file, sizeof file, "hugetlb.%s.max", l->page_size);
        r = v2_put(c, file, text, e);
        (void)snprintf(file, sizeof file, "hugetlb.%s.rsvd.max", l->page_size);
        if (r == 0 && cgroupfs_exists(v2_fd(c), file))
            r = v2_put(c, file, text, e);
    }
    return r;
}

static int apply_unified(struct cgroup *c, const struct strmap *m, struct err *e) {
    strmap_for_each(x, m) {
        int r;

        if (strchr(x->key, '/') || x->key[0] == '.' || x->key[0] == '\0')
            return err_set(e, ERR_INVALID,
                           "unified resource \"%s\" must be a file name (no slashes)", x->key);
        /* Membership and delegation are not limits. */
        if (str_starts(x->key, "cgroup."))
            return err_set(e, ERR_INVALID, "unified resource \"%s\" may not be set", x->key);
        r = v2_put(c, x->key, x->value, e);
        if (r < 0) {
            err_wrap(e, "unable to set unified resource \"%s\"", x->key);
            return r;
        }
    }
    return 0;
}

static int v2_apply(struct cgroup *c, const struct oci_resources *r, bool in_userns, bool is_update,
                    struct err *e) {
    int x = 0;

    if (!is_update && r->devices.count > 0)
        x = cgroup_devices_v2(c, &r->devices, e);
    if (x == 0 && r->memory)
        x = apply_memory(c, r->memory, is_update, e);
    if (x == 0 && r->cpu)
        x = apply_cpu(c, r->cpu, e);
    if (x == 0 && r->pids && (r->pids->limit > 0 || is_update))
        x = v2_put_max(c, "pids.max", r->pids->limit, e);
    if (x == 0 && r->block_io)
        x = apply_io(c, r->block_io, e);
    if (x == 0)
        x = apply_hugepages(c, &r->hugepage_limits, e);
    if (x == 0)
        x = apply_unified(c, &r->unified, e);
    return x;
}

/* ---- freezer ------------------------------------------------------------------------------- */

static int v2_is_frozen(const struct cgroup *c, bool *ret) {
    uint64_t v;
    int r = cgroupfs_read_u64(v2_fd(c), "cgroup.freeze", &v);

    if (r == 0)
        *ret = v == 1;
    return r;
}

static int v2_freeze(struct cgroup *c, bool freeze, struct err *e) {
    auto_fd events = openat(v2_fd(c), "cgroup.events", O_RDONLY | O_CLOEXEC);
    int64_t end = clock_mono_ns() + FREEZE_TIMEOUT_MS * NS_PER_MS;
    int r;

    if (events < 0)
        return err_sys(e, errno, "open cgroup.events");
    r = v2_put(c, "cgroup.freeze", freeze ? "1" : "0", e);
    if (r < 0)
        return r;
    for (;;) {
        struct pollfd p = {.fd = events, .events = POLLPRI};
        int64_t left = end - clock_mono_ns();
        char text[256];
        ssize_t n = pread(events, text, sizeof text - 1, 0);

        if (n < 0) {
            r = err_sys(e, errno, "read cgroup.events");
            break;
        }
        text[n] = '\0';
        if (strstr(text, freeze ? "frozen 1" : "frozen 0"))
            return 0;
        if (left <= 0) {
            r = err_set(e, ERR_SYSTEM, "timeout while waiting for cgroup to %s",
                        freeze ? "freeze" : "thaw");
            break;
        }
        (void)poll(&p, 1, (int)(left / NS_PER_MS) + 1); /* the file is read again anyway */
    }
    if (freeze)
        (void)v2_put(c, "cgroup.freeze", "0", NULL);
    return r;
}

/* cgroup.kill is there since 5.14; a frozen group dies as well. */
static int v2_kill_at_once(struct cgroup *c) {
    int r = cgroupfs_write(v2_fd(c), "cgroup.kill", "1");

    return r == -ENOENT || r == -EACCES ? -EOPNOTSUPP : r;
}

/* ---- stats --------------------------------------------------------------------------------- */

static void io_add(struct cgroup_blkio_table *t, uint64_t major, uint64_t minor, const char *op,
                   uint64_t value) {
    struct cgroup_blkio_entry *x = cgroup_blkio_add(t);

    x->major = major;
    x->minor = minor;
    x->value = value;
    (void)snprintf(x->op, sizeof x->op, "%s", op);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static void stats_io(int fd, struct cgroup_stats *s) {
    static const struct {
        const char *key, *op;
        enum cgroup_blkio_kind kind;
    } keys[] = {
        {"rbytes", "read", CGROUP_BLKIO_SERVICE_BYTES},
        {"wbytes", "write", CGROUP_BLKIO_SERVICE_BYTES},
        {"rios", "read", CGROUP_BLKIO_SERVICED},
        {"wios", "write", CGROUP_BLKIO_SERVICED},
    };
    auto_buf text = {.max = 1 << 20};

    if (io_read_file_at(fd, "io.stat", &text) < 0)
        return;
    auto_strv lines = str_split(buf_str(&text), '\n');

    strv_for_each (line, lines) {
        auto_strv words = str_split(line, ' ');
        uint64_t major, minor;

        if (!words || sscanf(words[0], "%" SCNu64 ":%" SCNu64, &major, &minor) != 2)
            continue;
        strv_for_each (word, words) {
            for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
                const char *v = str_after(word, keys[i].key);
                uint64_t n;

                if (v && *v == '=' && str_to_u64(v + 1, &n) == 0)
                    io_add(&s->blkio[keys[i].kind], major, minor, keys[i].op, n);
            }
        }
    }
}

static int v2_stats(const struct cgroup *c, struct cgroup_stats *s, struct err *e) {
    int fd = v2_fd(c);
    uint64_t us = 0;
    int r = cgroupfs_read_key(fd, "cpu.stat", "usage_usec", &us);

    if (r < 0)
        return err_sys(e, r, "read cpu.stat of %s", c->path);
    s->cpu_total_ns = us * 1000;
    if (cgroupfs_read_key(fd, "cpu.stat", "user_usec", &us) == 0)
        s->cpu_user_ns = us * 1000;
    if (cgroupfs_read_key(fd, "cpu.stat", "system_usec", &us) == 0)
        s->cpu_kernel_ns = us * 1000;
    (void)cgroupfs_read_key(fd, "cpu.stat", "nr_periods", &s->throttle_periods);
    (void)cgroupfs_read_key(fd, "cpu.stat", "nr_throttled", &s->throttled_periods);
    if (cgroupfs_read_key(fd, "cpu.stat", "throttled_usec", &us) == 0)
        s->throttled_ns = us * 1000;
    (void)cgroupfs_read_u64(fd, "memory.current", &s->memory_usage);
    (void)cgroupfs_read_u64(fd, "memory.peak", &s->memory_max_usage);
    (void)cgroupfs_read_u64(fd, "memory.max", &s->memory_limit);
    (void)cgroupfs_read_key(fd, "memory.events", "max", &s->memory_failcnt);
    (void)cgroupfs_read_key(fd, "memory.events", "oom_kill", &s->oom_kills);
    (void)cgroup_stat_table(fd, "memory.stat", &s->memory_stats, &s->memory_stats_count);
    (void)cgroupfs_read_u64(fd, "pids.current", &s->pids_current);
    (void)cgroupfs_read_u64(fd, "pids.max", &s->pids_limit);
    stats_io(fd, s);
    return 0;
}

const struct cgroup_manager cgroup_manager_v2 = {
    .prepare = v2_prepare,
    .apply = v2_apply,
    .freeze = v2_freeze,
    .is_frozen = v2_is_frozen,
    .stats = v2_stats,
    .kill_at_once = v2_kill_at_once,
};
