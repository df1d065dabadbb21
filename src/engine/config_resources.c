/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the host can limit, and the checks of limits, in the order and the words of dockerd. What
 * this kernel lacks is dropped with a warning, as there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"
#include "engine/config.h"
#include "sys/cgroupfs.h"

/* Docker asks for 6 MB since runc's set-up process needs that much inside the limit; ours lives
 * outside of it, so the old floor is good enough. */
#define MEMORY_MIN      (INT64_C(4) << 20)
#define MEMORY_MIN_TEXT "4MB"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- what the host can do ------------------------------------------------------------------ */
/* One line of a kernel file, owned for ever by the caller; NULL when it cannot be read. */
static char *read_line(int dirfd, const char *path) {
    auto_buf text = {.max = 4096};

    if (io_read_file_at(dirfd, path, &text) < 0) {
        return NULL;
    }
    return xstrndup(buf_str(&text), strcspn(buf_str(&text), "\n"));
}

static char *first_line(int dirfd, const char *path, const char *fallback, const char *otherwise) {
    char *line = dirfd >= 0 ? read_line(dirfd, path) : NULL;

    if (str_empty(line)) {
        free(line);
        line = read_line(AT_FDCWD, fallback);
    }
    if (str_empty(line)) {
        free(line);
        line = xstrdup(otherwise);
    }
    return line;
}

static bool has_file(const struct cgroupfs_host *h, enum cgroupfs_controller c, const char *file) {
    return cgroupfs_has(h, c) && cgroupfs_exists(h->hierarchies[h->by_controller[c]].fd, file);
}

static void detect_v1(const struct cgroupfs_host *h, struct host_facts *f) {
    f->memory = has_file(h, CGROUPFS_MEMORY, "memory.limit_in_bytes");
    f->swap = has_file(h, CGROUPFS_MEMORY, "memory.memsw.limit_in_bytes");
    f->swappiness = has_file(h, CGROUPFS_MEMORY, "memory.swappiness");
    f->reservation = has_file(h, CGROUPFS_MEMORY, "memory.soft_limit_in_bytes");
    f->oom_kill_disable = has_file(h, CGROUPFS_MEMORY, "memory.oom_control");
    f->cpu_shares = has_file(h, CGROUPFS_CPU, "cpu.shares");
    f->cpu_cfs = has_file(h, CGROUPFS_CPU, "cpu.cfs_quota_us");
    f->cpu_rt = has_file(h, CGROUPFS_CPU, "cpu.rt_runtime_us");
    f->blkio_weight = has_file(h, CGROUPFS_BLKIO, "blkio.weight") ||
                      has_file(h, CGROUPFS_BLKIO, "blkio.bfq.weight");
    f->blkio_weight_device = has_file(h, CGROUPFS_BLKIO, "blkio.weight_device") ||
                             has_file(h, CGROUPFS_BLKIO, "blkio.bfq.weight_device");
    f->blkio_throttle = has_file(h, CGROUPFS_BLKIO, "blkio.throttle.read_bps_device");
}

static void detect_v2(const struct cgroupfs_host *h, struct host_facts *f) {
    /* The root group has no limit files: the controllers tell. */
    f->memory = f->swap = f->reservation = cgroupfs_has(h, CGROUPFS_MEMORY);
    f->cpu_shares = f->cpu_cfs = cgroupfs_has(h, CGROUPFS_CPU);
    f->blkio_weight = f->blkio_weight_device = f->blkio_throttle = cgroupfs_has(h, CGROUPFS_BLKIO);
}

static void detect(struct host_facts *f) {
    struct cgroupfs_host h;
    cpu_set_t cpus;
    int cpuset_fd = -1;

    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        f->cpus = (unsigned)CPU_COUNT(&cpus);
    } else {
        f->cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    }
    f->cgroupns = access("/proc/self/ns/cgroup", F_OK) == 0;
    if (cgroupfs_detect(&h) < 0) {
        h = (struct cgroupfs_host){0};
    } else {
        f->cgroup_v2 = h.version == 2;
        f->cpuset = cgroupfs_has(&h, CGROUPFS_CPUSET);
        f->pids = cgroupfs_has(&h, CGROUPFS_PIDS);
        if (h.version == 2) {
            detect_v2(&h, f);
        } else if (h.version == 1) {
            detect_v1(&h, f);
        }
        if (f->cpuset) {
            cpuset_fd = h.hierarchies[h.by_controller[CGROUPFS_CPUSET]].fd;
        }
    }
    f->cpuset_cpus = first_line(cpuset_fd, f->cgroup_v2 ? "cpuset.cpus.effective" : "cpuset.cpus",
                                "/sys/devices/system/cpu/online", "0");
    f->cpuset_mems = first_line(cpuset_fd, f->cgroup_v2 ? "cpuset.mems.effective" : "cpuset.mems",
                                "/sys/devices/system/node/online", "0");
    cgroupfs_host_done(&h);
}

void host_facts_detect(struct host_facts *ret) {
    static struct host_facts facts;

    /* Loop thread only. */
    if (!facts.cpuset_cpus) {
        detect(&facts);
    }
    *ret = facts;
}

/* ---- sets of CPUs -------------------------------------------------------------------------- */
/* A number of digits only; -ERANGE above the maximum. */
static int cpuset_number(const char *s, size_t len, unsigned *ret) {
    unsigned v = 0;

    if (len == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return -EINVAL;
        }
        if (v <= CPUSET_MAX) {
            v = v * 10 + (unsigned)(s[i] - '0');
        }
    }
    *ret = v;
    return v < CPUSET_MAX ? 0 : -ERANGE;
}

int cpuset_parse(const char *s, struct cpuset *ret) {
    struct cpuset set = {0};

    while (*s) {
        size_t len = strcspn(s, ","), dash = strcspn(s, "-,");
        unsigned from, to;
        int r = cpuset_number(s, dash, &from);

        if (r == 0 && dash < len) {
            r = cpuset_number(s + dash + 1, len - dash - 1, &to);
        } else {
            to = from;
        }
        if (r < 0) {
            return r;
        }
        if (to < from) {
            return -EINVAL;
        }
        for (unsigned n = from; n <= to; n++) {
            set.bits[n / 64] |= UINT64_C(1) << n % 64;
        }
        s += len;
        if (*s == ',' && !*++s) {
            return -EINVAL;
        }
    }
    *ret = set;
    return 0;
}

bool cpuset_contains(const struct cpuset *all, const struct cpuset *some) {
    for (size_t i = 0; i < COUNT(all->bits); i++) {
        if (some->bits[i] & ~all->bits[i]) {
            return false;
        }
    }
    return true;
}

static int check_cpuset(const char *what, const char *things, const char *asked,
                        const char *available, struct err *e) {
    struct cpuset want, have = {0};
    int r;

    if (str_empty(asked)) {
        return 0;
    }
    r = cpuset_parse(asked, &want);
    if (r == -ERANGE) {
        return err_set(e, ERR_INVALID,
                       "Invalid value %s for cpuset %s: value of out range, maximum is %d", asked,
                       what, CPUSET_MAX);
    }
    if (r < 0) {
        return err_set(e, ERR_INVALID, "Invalid value %s for cpuset %s: invalid format: %s", asked,
                       what, asked);
    }
    if (cpuset_parse(str_or_empty(available), &have) == 0 && !cpuset_contains(&have, &want)) {
        return err_set(e, ERR_INVALID,
                       "Requested %s are not available - requested %s, available: %s", things,
                       asked, available);
    }
    return 0;
}

/* ---- resources ----------------------------------------------------------------------------- */
static int check_memory(struct host_config *h, const struct host_facts *f, bool update,
                        char ***warnings, struct err *e) {
    if (h->memory_swappiness.set && h->memory_swappiness.value == -1) {
        h->memory_swappiness.set = false;
    }
    if (h->memory != 0 && h->memory < MEMORY_MIN) {
        return err_set(e, ERR_INVALID, "Minimum memory limit allowed is " MEMORY_MIN_TEXT);
    }
    if (h->memory > 0 && !f->memory) {
        strv_add(warnings, "Your kernel does not support memory limit capabilities or the cgroup "
                           "is not mounted. Limitation discarded.");
        h->memory = 0;
        h->memory_swap = -1;
    }
    if (h->memory > 0 && h->memory_swap != -1 && !f->swap) {
        strv_add(warnings, "Your kernel does not support swap limit capabilities or the cgroup is "
                           "not mounted. Memory limited without swap.");
        h->memory_swap = -1;
    }
    if (h->memory > 0 && h->memory_swap > 0 && h->memory_swap < h->memory) {
        return err_set(e, ERR_INVALID,
                       "Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if (h->memory == 0 && h->memory_swap > 0 && !update) {
        return err_set(e, ERR_INVALID,
                       "You should always set the Memory limit when using "
                       "Memoryswap limit, see usage");
    }
    if (h->memory_swappiness.set && !f->swappiness) {
        strv_add(warnings, "Your kernel does not support memory swappiness capabilities or the "
                           "cgroup is not mounted. Memory swappiness discarded.");
        h->memory_swappiness.set = false;
    }
    if (h->memory_swappiness.set &&
        (h->memory_swappiness.value < 0 || h->memory_swappiness.value > 100)) {
        return err_set(e, ERR_INVALID,
                       "Invalid value: %" PRId64 ", valid memory swappiness range is 0-100",
                       h->memory_swappiness.value);
    }
    if (h->memory_reservation > 0 && !f->reservation) {
        strv_add(warnings, "Your kernel does not support memory soft limit capabilities or the "
                           "cgroup is not mounted. Limitation discarded.");
        h->memory_reservation = 0;
    }
    if (h->memory_reservation > 0 && h->memory_reservation < MEMORY_MIN) {
        return err_set(e, ERR_INVALID, "Minimum memory reservation allowed is " MEMORY_MIN_TEXT);
    }
    if (h->memory > 0 && h->memory_reservation > 0 && h->memory < h->memory_reservation) {
        return err_set(e, ERR_INVALID,
                       "Minimum memory limit can not be less than memory "
                       "reservation limit, see usage");
    }
    if (h->kernel_memory > 0 && h->kernel_memory < MEMORY_MIN) {
        return err_set(e, ERR_INVALID, "Minimum kernel memory limit allowed is " MEMORY_MIN_TEXT);
    }
    if (h->kernel_memory > 0) {
        strv_add(warnings, "Specifying a kernel memory limit is deprecated and will be removed in "
                           "a future release.");
    }
    return 0;
}

static void check_oom(struct host_config *h, const struct host_facts *f, char ***warnings) {
    if (h->oom_kill_disable >= 0 && !f->oom_kill_disable) {
        if (h->oom_kill_disable) {
            strv_add(warnings, "Your kernel does not support OomKillDisable. OomKillDisable "
                               "discarded.");
        }
        h->oom_kill_disable = -1;
    }
    if (h->oom_kill_disable == 1 && h->memory == 0) {
        strv_add(warnings, "OOM killer is disabled for the container, but no memory limit is set, "
                           "this can result in the system running out of resources.");
    }
}

static int check_nano_cpus(const struct host_config *h, const struct host_facts *f, bool update,
                           struct err *e) {
    (void)update;
    if (h->nano_cpus > 0 && h->cpu_period > 0) {
        return err_set(e, ERR_INVALID,
                       "Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if (h->nano_cpus > 0 && h->cpu_quota > 0) {
        return err_set(e, ERR_INVALID,
                       "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if (h->nano_cpus > 0 && !f->cpu_cfs) {
        return err_set(e, ERR_INVALID,
                       "NanoCPUs can not be set, as your kernel does not support CPU CFS "
                       "scheduler or the cgroup is not mounted");
    }
    if (h->nano_cpus < 0 || h->nano_cpus > (int64_t)f->cpus * 1000000000) {
        return err_set(e, ERR_INVALID,
                       "Range of CPUs is from 0.01 to %u.00, as there are only %u CPUs available",
                       f->cpus, f->cpus);
    }
    return 0;
}

static int check_cpu(struct host_config *h, const struct host_facts *f, bool update,
                     char ***warnings, struct err *e) {
    int r = check_nano_cpus(h, f, update, e);

    if (r < 0) {
        return r;
    }
    if (h->cpu_shares < 0) {
        return err_set(e, ERR_INVALID, "shares: invalid argument");
    }
    if (h->cpu_shares > 0 && !f->cpu_shares) {
        strv_add(warnings, "Your kernel does not support CPU shares or the cgroup is not mounted. "
                           "Shares discarded.");
        h->cpu_shares = 0;
    }
    if ((h->cpu_period != 0 || h->cpu_quota != 0) && !f->cpu_cfs) {
        strv_add(warnings, "Your kernel does not support CPU CFS scheduler. CPU period/quota "
                           "discarded.");
        h->cpu_period = h->cpu_quota = 0;
    }
    if (h->cpu_period != 0 && (h->cpu_period < 1000 || h->cpu_period > 1000000)) {
        return err_set(e, ERR_INVALID,
                       "CPU cfs period can not be less than 1ms (i.e. 1000) or "
                       "larger than 1s (i.e. 1000000)");
    }
    if (h->cpu_quota > 0 && h->cpu_quota < 1000) {
        return err_set(e, ERR_INVALID, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if (h->cpu_percent > 0) {
        strv_add(warnings, "linux does not support CPU percent. Percent discarded.");
        h->cpu_percent = 0;
    }
    if (h->cpu_realtime_period < 0 || h->cpu_realtime_runtime < 0) {
        return err_set(e, ERR_INVALID, "cpu real-time period and runtime cannot be negative");
    }
    if (h->cpu_realtime_period > 0 && !f->cpu_rt) {
        return err_set(e, ERR_INVALID, "Your kernel does not support cgroup cpu real-time period");
    }
    if (h->cpu_realtime_runtime > 0 && !f->cpu_rt) {
        return err_set(e, ERR_INVALID, "Your kernel does not support cgroup cpu real-time runtime");
    }
    if (h->cpu_realtime_period && h->cpu_realtime_runtime > h->cpu_realtime_period) {
        return err_set(e, ERR_INVALID,
                       "cpu real-time runtime cannot be higher than cpu real-time period");
    }
    if ((!str_empty(h->cpuset_cpus) || !str_empty(h->cpuset_mems)) && !f->cpuset) {
        strv_add(warnings, "Your kernel does not support cpuset or the cgroup is not mounted. "
                           "Cpuset discarded.");
        str_set(&h->cpuset_cpus, "");
        str_set(&h->cpuset_mems, "");
    }
    r = check_cpuset("cpus", "CPUs", h->cpuset_cpus, f->cpuset_cpus, e);
    return r < 0 ? r : check_cpuset("mems", "memory nodes", h->cpuset_mems, f->cpuset_mems, e);
}

static void drop_array(struct field_array *a, const struct field_table *t) {
    for (size_t i = 0; i < a->count; i++) {
        field_done(t, (char *)a->items + i * t->size);
    }
    free(a->items);
    *a = (struct field_array){.set = true};
}

static int check_blkio(struct host_config *h, const struct host_facts *f, char ***warnings,
                       struct err *e) {
    struct {
        struct field_array *list;
        const char *unit, *direction;
    } throttles[] = {
        {&h->blkio_device_read_bps, "BPS", "read"},
        {&h->blkio_device_write_bps, "BPS", "write"},
        {&h->blkio_device_read_iops, "IOPS", "read"},
        {&h->blkio_device_write_iops, "IOPS", "write"},
    };

    if (h->blkio_weight > 0 && !f->blkio_weight) {
        strv_add(warnings, "Your kernel does not support Block I/O weight or the cgroup is not "
                           "mounted. Weight discarded.");
        h->blkio_weight = 0;
    }
    if (h->blkio_weight < 0 ||
        (h->blkio_weight > 0 && (h->blkio_weight < 10 || h->blkio_weight > 1000))) {
        return err_set(e, ERR_INVALID, "Range of blkio weight is from 10 to 1000");
    }
    if (h->blkio_weight_device.count > 0 && !f->blkio_weight_device) {
        strv_add(warnings, "Your kernel does not support Block I/O weight_device or the cgroup is "
                           "not mounted. Weight-device discarded.");
        drop_array(&h->blkio_weight_device, &weight_device_table);
    }
    for (size_t i = 0; i < h->blkio_weight_device.count; i++) {
        const struct weight_device *d =
            field_array_at(&h->blkio_weight_device, struct weight_device, i);

        if (d->weight != 0 && (d->weight < 10 || d->weight > 1000)) {
            return err_set(e, ERR_INVALID, "invalid weight for device: %s:%" PRId64,
                           str_or_empty(d->path), d->weight);
        }
    }
    for (size_t i = 0; i < COUNT(throttles); i++) {
        if (throttles[i].list->count > 0 && !f->blkio_throttle) {
            strv_take(warnings,
                      xasprintf("Your kernel does not support %s Block I/O %s limit or the cgroup "
                                "is not mounted. Block I/O %s %s limit discarded.",
                                throttles[i].unit, throttles[i].direction, throttles[i].unit,
                                throttles[i].direction));
            drop_array(throttles[i].list, &throttle_device_table);
        }
    }
    return 0;
}

int host_resources_validate(struct host_config *h, const struct host_facts *f, bool update,
                            char ***warnings, struct err *e) {
    int r = check_memory(h, f, update, warnings, e);

    if (r < 0) {
        return r;
    }
    check_oom(h, f, warnings);
    if (h->pids_limit.set && h->pids_limit.value <= 0 && !update) {
        h->pids_limit.set = false; /* dockerd's way to say unlimited */
    }
    if (h->pids_limit.set && h->pids_limit.value > 0 && !f->pids) {
        strv_add(warnings, "Your kernel does not support PIDs limit capabilities or the cgroup is "
                           "not mounted. PIDs limit discarded.");
        h->pids_limit.set = false;
    }
    r = check_cpu(h, f, update, warnings, e);
    return r < 0 ? r : check_blkio(h, f, warnings, e);
}
