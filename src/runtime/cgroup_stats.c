/* SPDX-License-Identifier: Apache-2.0 */

/* What the engine reads: statistics, and what this host can do. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/cgroup_private.h"

const char *const cgroup_blkio_names[CGROUP_BLKIO_KINDS] = {
    [CGROUP_BLKIO_SERVICE_BYTES] = "io_service_bytes_recursive",
    [CGROUP_BLKIO_SERVICED] = "io_serviced_recursive",
    [CGROUP_BLKIO_QUEUE] = "io_queue_recursive",
    [CGROUP_BLKIO_SERVICE_TIME] = "io_service_time_recursive",
    [CGROUP_BLKIO_WAIT_TIME] = "io_wait_time_recursive",
    [CGROUP_BLKIO_MERGED] = "io_merged_recursive",
    [CGROUP_BLKIO_TIME] = "io_time_recursive",
    [CGROUP_BLKIO_SECTORS] = "sectors_recursive",
};

void cgroup_stats_done(struct cgroup_stats *s) {
    free(s->percpu_ns);
    free(s->memory_stats);
    for (size_t i = 0; i < CGROUP_BLKIO_KINDS; i++)
        free(s->blkio[i].entries);
    *s = (struct cgroup_stats){0};
}

int cgroup_stats_read(const struct cgroup *c, struct cgroup_stats *ret, struct err *e) {
    struct cgroup_stats s = {
        .version = c->host->version, .memory_limit = UINT64_MAX, .pids_limit = UINT64_MAX};
    int r = c->manager->stats(c, &s, e);

    if (r < 0) {
        cgroup_stats_done(&s);
        return r;
    }
    *ret = s;
    return 0;
}

struct cgroup_blkio_entry *cgroup_blkio_add(struct cgroup_blkio_table *t) {
    struct cgroup_blkio_entry *x;

    t->entries = xreallocarray(t->entries, t->count + 1, sizeof *t->entries);
    x = &t->entries[t->count++];
    *x = (struct cgroup_blkio_entry){0};
    return x;
}

int cgroup_stat_table(int fd, const char *file, struct cgroup_stat_entry **ret, size_t *ret_count) {
    auto_buf text = {.max = 1 << 18};
    struct cgroup_stat_entry *list = NULL;
    size_t count = 0, cap = 0;
    int r = io_read_file_at(fd, file, &text);

    if (r < 0)
        return r;
    for (char *line = text.data; line && *line;) {
        char *end = strchr(line, '\n'), *blank = strchr(line, ' ');

        if (blank && (!end || blank < end) && (size_t)(blank - line) < sizeof list->name) {
            if (count == cap) {
                cap = cap ? cap * 2 : 64;
                list = xreallocarray(list, cap, sizeof *list);
            }
            memcpy(list[count].name, line, (size_t)(blank - line));
            list[count].name[blank - line] = '\0';
            list[count++].value = strtoull(blank + 1, NULL, 10);
        }
        line = end ? end + 1 : NULL;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

int cgroup_system_cpu(uint64_t *ret_ns, uint32_t *ret_online) {
    auto_fd fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    char text[512];
    uint64_t ticks = 0, v;
    long hz = sysconf(_SC_CLK_TCK), online = sysconf(_SC_NPROCESSORS_ONLN);
    ssize_t n;
    char *at, *end;

    if (fd < 0)
        return -errno;
    n = io_read_full(fd, text, sizeof text - 1);
    if (n < 0)
        return (int)n;
    text[n] = '\0';
    if (!str_starts(text, "cpu ") || hz <= 0)
        return -EINVAL;
    /* user nice system idle iowait irq softirq: Docker adds these seven (steal is left out, and
     * guest time is part of user time). */
    at = text + 4;
    for (int i = 0; i < 7; i++, at = end) {
        v = strtoull(at, &end, 10);
        if (end == at)
            return -EINVAL;
        ticks += v;
    }
    *ret_ns = ticks * (uint64_t)(NS_PER_SEC / hz);
    *ret_online = online > 0 ? (uint32_t)online : 1;
    return 0;
}

static bool can(const struct cgroupfs_host *h, enum cgroupfs_controller c, const char *file) {
    int i = h->by_controller[c];

    return i >= 0 && cgroupfs_exists(h->hierarchies[i].fd, file);
}

static void info_v1(const struct cgroupfs_host *h, struct cgroup_info *i) {
    i->memory = can(h, CGROUPFS_MEMORY, "memory.limit_in_bytes");
    i->memory_reservation = can(h, CGROUPFS_MEMORY, "memory.soft_limit_in_bytes");
    i->swap = can(h, CGROUPFS_MEMORY, "memory.memsw.limit_in_bytes");
    i->swappiness = can(h, CGROUPFS_MEMORY, "memory.swappiness");
    i->oom_kill_disable = can(h, CGROUPFS_MEMORY, "memory.oom_control");
    i->kernel_memory = can(h, CGROUPFS_MEMORY, "memory.kmem.limit_in_bytes");
    i->kernel_memory_tcp = can(h, CGROUPFS_MEMORY, "memory.kmem.tcp.limit_in_bytes");
    i->cpu_shares = can(h, CGROUPFS_CPU, "cpu.shares");
    i->cpu_cfs_period = can(h, CGROUPFS_CPU, "cpu.cfs_period_us");
    i->cpu_cfs_quota = can(h, CGROUPFS_CPU, "cpu.cfs_quota_us");
    i->cpu_realtime = can(h, CGROUPFS_CPU, "cpu.rt_period_us");
    i->blkio_weight =
        can(h, CGROUPFS_BLKIO, "blkio.weight") || can(h, CGROUPFS_BLKIO, "blkio.bfq.weight");
    i->blkio_weight_device = can(h, CGROUPFS_BLKIO, "blkio.weight_device") ||
                             can(h, CGROUPFS_BLKIO, "blkio.bfq.weight_device");
    i->blkio_read_bps = can(h, CGROUPFS_BLKIO, "blkio.throttle.read_bps_device");
    i->blkio_write_bps = can(h, CGROUPFS_BLKIO, "blkio.throttle.write_bps_device");
    i->blkio_read_iops = can(h, CGROUPFS_BLKIO, "blkio.throttle.read_iops_device");
    i->blkio_write_iops = can(h, CGROUPFS_BLKIO, "blkio.throttle.write_iops_device");
}

static void info_v2(const struct cgroupfs_host *h, struct cgroup_info *i) {
    bool memory = cgroupfs_has(h, CGROUPFS_MEMORY), cpu = cgroupfs_has(h, CGROUPFS_CPU),
         io = cgroupfs_has(h, CGROUPFS_BLKIO);

    /* The root has no limit files; what Docker answers follows from the controllers. */
    i->memory = i->memory_reservation = memory;
    i->swap = memory && access("/proc/swaps", F_OK) == 0;
    i->cpu_shares = i->cpu_cfs_period = i->cpu_cfs_quota = cpu;
    i->blkio_weight = i->blkio_weight_device = io;
    i->blkio_read_bps = i->blkio_write_bps = i->blkio_read_iops = i->blkio_write_iops = io;
}

static char *info_cpuset(const struct cgroupfs_host *h, const char *v1, const char *v2,
                         const char *sysfs) {
    int i = h->by_controller[CGROUPFS_CPUSET];
    char text[4096] = "";

    if (i >= 0 &&
        cgroupfs_read(h->hierarchies[i].fd, h->version == 2 ? v2 : v1, text, sizeof text) == 0 &&
        text[0] != '\0')
        return xstrdup(text);
    if (cgroupfs_read(AT_FDCWD, sysfs, text, sizeof text) < 0)
        text[0] = '\0';
    return xstrdup(text);
}

void cgroup_info_read(const struct cgroupfs_host *h, struct cgroup_info *ret) {
    struct cgroup_info i = {.version = h->version, .driver = h->version ? "cgroupfs" : "none"};

    if (h->version == 1)
        info_v1(h, &i);
    else if (h->version == 2)
        info_v2(h, &i);
    i.cpuset = cgroupfs_has(h, CGROUPFS_CPUSET);
    i.pids = cgroupfs_has(h, CGROUPFS_PIDS);
    i.devices = cgroupfs_has(h, CGROUPFS_DEVICES);
    i.freezer = cgroupfs_has(h, CGROUPFS_FREEZER);
    i.hugetlb = cgroupfs_has(h, CGROUPFS_HUGETLB);
    i.cpus =
        info_cpuset(h, "cpuset.cpus", "cpuset.cpus.effective", "/sys/devices/system/cpu/online");
    i.mems =
        info_cpuset(h, "cpuset.mems", "cpuset.mems.effective", "/sys/devices/system/node/online");
    *ret = i;
}

void cgroup_info_done(struct cgroup_info *i) {
    free(i->cpus);
    free(i->mems);
    *i = (struct cgroup_info){0};
}
