/* SPDX-License-Identifier: Apache-2.0 */

/* Devices and limits. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/spec_internal.h"

#define DEVICES_MAX     4096 /* found below directories and in a privileged container's /dev */
#define DEVICE_DEPTH    8
#define NANO_CPU_PERIOD 100000 /* microseconds */

/* ---- device rules -------------------------------------------------------------------------- */
static void add_rule(struct oci_resources *r, bool allow, const char *type, struct opt_int major,
                     struct opt_int minor, const char *access) {
    struct oci_device_rule *rule = field_array_add(&r->devices, &oci_device_rule_table);

    rule->allow = allow;
    str_set(&rule->type, type);
    rule->major = major;
    rule->minor = minor;
    str_set(&rule->access, access);
}

static struct opt_int some(int64_t v) {
    return (struct opt_int){true, v};
}

static struct opt_int any(void) {
    return (struct opt_int){0};
}

static void add_default_rules(struct oci_resources *r) {
    static const struct {
        int major, minor; /* -1: any */
    } usable[] = {
        {1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1},
    };

    add_rule(r, false, NULL, any(), any(), "rwm");
    /* Making a node is harmless, using it is not. */
    add_rule(r, true, "c", any(), any(), "m");
    add_rule(r, true, "b", any(), any(), "m");
    for (size_t i = 0; i < sizeof(usable) / sizeof(usable[0]); i++) {
        add_rule(r, true, "c", some(usable[i].major),
                 usable[i].minor < 0 ? any() : some(usable[i].minor), "rwm");
    }
}

/* "c 1:* rwm"; create has checked the form, records of old are checked again. */
static int add_user_rule(struct oci_resources *r, const char *text, struct err *e) {
    struct opt_int numbers[2] = {{0}, {0}};
    auto_strv words = str_split(text, ' ');
    auto_strv pair = strv_len(words) == 3 ? str_split(words[1], ':') : NULL;

    if (strv_len(pair) != 2 || strlen(words[0]) != 1 || !strchr("acb", *words[0]) || !*words[2] ||
        strspn(words[2], "rwm") != strlen(words[2])) {
        return err_set(e, ERR_INVALID, "invalid device cgroup rule format: '%s'", text);
    }
    for (int i = 0; i < 2; i++) {
        if (!str_eq(pair[i], "*")) {
            if (str_to_i64(pair[i], &numbers[i].value) < 0 || numbers[i].value < 0) {
                return err_set(e, ERR_INVALID, "invalid device cgroup rule format: '%s'", text);
            }
            numbers[i].set = true;
        }
    }
    add_rule(r, true, words[0], numbers[0], numbers[1], words[2]);
    return 0;
}

/* ---- device nodes -------------------------------------------------------------------------- */
static void add_device(struct oci_spec *s, const char *path, const struct stat *st) {
    struct oci_device *d = NULL;

    for (size_t i = 0; i < s->lin.devices.count; i++) {
        struct oci_device *other = field_array_at(&s->lin.devices, struct oci_device, i);

        d = str_eq(other->path, path) ? other : d;
    }
    if (!d) {
        d = field_array_add(&s->lin.devices, &oci_device_table);
    }
    str_set(&d->path, path);
    str_set(&d->type, S_ISBLK(st->st_mode) ? "b" : "c");
    d->major = major(st->st_rdev);
    d->minor = minor(st->st_rdev);
    d->file_mode = (struct opt_uint){true, st->st_mode & 07777};
    d->uid = (struct opt_uint){true, st->st_uid};
    d->gid = (struct opt_uint){true, st->st_gid};
}

static bool is_device(const struct stat *st) {
    return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* The directories of /dev that a container has for itself, and its console. */
static bool is_private_entry(const char *name) {
    static const char *const names[] = {"pts",  "shm",         "fd",    "mqueue",
                                        ".lxc", ".lxd-mounts", ".udev", "console"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(name, names[i])) {
            return true;
        }
    }
    return false;
}

struct device_choice {
    const char *access; /* NULL: no rules (a privileged container may use every device) */
    bool public_only;   /* what every user of the host may read and write */
};

/* All device nodes below a directory of the host; symbolic links are not followed. */
static int add_directory(struct oci_spec *s, const char *host, const char *inside,
                         const struct device_choice *choice, unsigned level, struct err *e) {
    DIR *dir = opendir(host);
    struct dirent *entry;
    int r = 0;

    if (!dir) {
        /* Entries come and go in /dev. */
        return errno == ENOENT || errno == EACCES ? 0 : err_sys(e, errno, "open %s", host);
    }
    while (r == 0 && (entry = readdir(dir))) {
        auto_free char *path = NULL, *target = NULL;
        struct stat st;

        if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..") ||
            (level == 0 && is_private_entry(entry->d_name) && str_eq(host, "/dev"))) {
            continue;
        }
        path = xasprintf("%s/%s", host, entry->d_name);
        target = xasprintf("%s/%s", inside, entry->d_name);
        if (lstat(path, &st) < 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode) && level < DEVICE_DEPTH) {
            r = add_directory(s, path, target, choice, level + 1, e);
        } else if (is_device(&st) && (!choice->public_only || (st.st_mode & 06) == 06)) {
            if (s->lin.devices.count >= DEVICES_MAX) {
                r = err_set(e, ERR_INVALID, "too many devices below %s, at most %d", host,
                            DEVICES_MAX);
                break;
            }
            add_device(s, target, &st);
            if (choice->access) {
                add_rule(s->lin.resources, true, S_ISBLK(st.st_mode) ? "b" : "c",
                         some(major(st.st_rdev)), some(minor(st.st_rdev)), choice->access);
            }
        }
    }
    closedir(dir);
    return r;
}

static int gather_error(struct err *e, const char *path, const char *why) {
    return err_set(e, ERR_INVALID,
                   "error gathering device information while adding custom device \"%s\": %s", path,
                   why);
}

static int add_mapping(struct oci_spec *s, const struct device_mapping *d, bool privileged,
                       struct err *e) {
    const char *inside = str_empty(d->path_in_container) ? d->path_on_host : d->path_in_container;
    const char *access = str_empty(d->cgroup_permissions) ? "rwm" : d->cgroup_permissions;
    auto_free char *resolved = NULL;
    struct stat st;

    if (str_empty(d->path_on_host)) {
        return gather_error(e, "", "no such file or directory");
    }
    resolved = realpath(d->path_on_host, NULL);
    if (!resolved || lstat(resolved, &st) < 0) {
        auto_free char *why = err_errno_text(errno);

        return gather_error(e, d->path_on_host, why);
    }
    if (S_ISDIR(st.st_mode)) {
        struct device_choice all = {.access = privileged ? NULL : access};
        size_t before = s->lin.devices.count;
        int r = add_directory(s, resolved, inside, &all, 0, e);

        if (r == 0 && s->lin.devices.count == before && !privileged) {
            return gather_error(e, d->path_on_host, "not a device node");
        }
        return r;
    }
    if (!is_device(&st)) {
        return gather_error(e, d->path_on_host, "not a device node");
    }
    add_device(s, inside, &st);
    if (!privileged) {
        add_rule(s->lin.resources, true, S_ISBLK(st.st_mode) ? "b" : "c", some(major(st.st_rdev)),
                 some(minor(st.st_rdev)), access);
    }
    return 0;
}

/*
 * Privileged means every device of the host, for the host's root. Root of a user namespace that was
 * kept (--userns=private) gets what any user of the host could open: nodes are made with the
 * container's root as their owner, and with the disks it would be the host's root after all.
 * Further ones are named by --device.
 */
int spec_devices(const struct host_config *h, struct oci_spec *ret, struct err *e) {
    bool all = h->privileged && !oci_spec_namespace(ret, "user");
    int r = 0;

    if (all) {
        add_rule(ret->lin.resources, true, NULL, any(), any(), "rwm");
    } else {
        add_default_rules(ret->lin.resources);
    }
    if (h->privileged) {
        struct device_choice choice = {.access = all ? NULL : "rwm", .public_only = !all};

        r = add_directory(ret, "/dev", "/dev", &choice, 0, e);
    }
    for (size_t i = 0; r == 0 && i < h->devices.count; i++) {
        r = add_mapping(ret, field_array_at(&h->devices, struct device_mapping, i), all, e);
    }
    strv_for_each (rule, h->device_cgroup_rules) {
        if (r == 0) {
            r = add_user_rule(ret->lin.resources, rule, e);
        }
    }
    return r;
}

/* ---- limits -------------------------------------------------------------------------------- */
static struct opt_int positive(int64_t v) {
    return (struct opt_int){v > 0, v};
}

static struct opt_uint positive_u(int64_t v) {
    return (struct opt_uint){v > 0, v > 0 ? (uint64_t)v : 0};
}

static void fill_memory(const struct host_config *h, struct oci_resources *ret) {
    struct oci_memory *m = xnew(struct oci_memory);

    field_init(&oci_memory_table, m);
    m->limit = positive(h->memory);
    m->reservation = positive(h->memory_reservation);
    /* -1 stays unset: a new group has no limit of swap. */
    m->swap = positive(h->memory_swap);
    m->kernel_tcp = positive(h->kernel_memory_tcp);
    if (h->memory_swappiness.set && h->memory_swappiness.value >= 0) {
        m->swappiness = (struct opt_uint){true, (uint64_t)h->memory_swappiness.value};
    }
    m->disable_oom_killer = h->oom_kill_disable == 1 ? 1 : -1;
    ret->memory = m;
}

static void fill_cpu(const struct host_config *h, struct oci_resources *ret) {
    struct oci_cpu *c = xnew(struct oci_cpu);

    field_init(&oci_cpu_table, c);
    c->shares = positive_u(h->cpu_shares);
    if (h->nano_cpus > 0) {
        /* Divided before it is multiplied, in parts: no overflow for any count of CPUs. */
        int64_t quota = h->nano_cpus / 1000000000 * NANO_CPU_PERIOD +
                        h->nano_cpus % 1000000000 * NANO_CPU_PERIOD / 1000000000;

        c->period = (struct opt_uint){true, NANO_CPU_PERIOD};
        /* The kernel takes no less than a millisecond. */
        c->quota = (struct opt_int){true, quota < 1000 ? 1000 : quota};
    } else {
        c->period = positive_u(h->cpu_period);
        c->quota = (struct opt_int){h->cpu_quota != 0, h->cpu_quota < 0 ? -1 : h->cpu_quota};
    }
    c->realtime_period = positive_u(h->cpu_realtime_period);
    c->realtime_runtime = positive(h->cpu_realtime_runtime);
    str_set(&c->cpus, str_empty(h->cpuset_cpus) ? NULL : h->cpuset_cpus);
    str_set(&c->mems, str_empty(h->cpuset_mems) ? NULL : h->cpuset_mems);
    ret->cpu = c;
}

static int stat_block(const char *path, struct stat *st, struct err *e) {
    if (stat(str_or_empty(path), st) < 0) {
        auto_free char *why = err_errno_text(errno);

        return err_set(e, ERR_INVALID, "stat %s: %s", str_or_empty(path), why);
    }
    return 0;
}

static int fill_throttle(const struct field_array *from, struct field_array *ret, struct err *e) {
    for (size_t i = 0; i < from->count; i++) {
        const struct throttle_device *d = field_array_at(from, struct throttle_device, i);
        struct oci_throttle_device *t;
        struct stat st;
        int r = stat_block(d->path, &st, e);

        if (r < 0) {
            return r;
        }
        t = field_array_add(ret, &oci_throttle_device_table);
        t->major = major(st.st_rdev);
        t->minor = minor(st.st_rdev);
        t->rate = d->rate;
    }
    return 0;
}

static int fill_block_io(const struct host_config *h, struct oci_resources *ret, struct err *e) {
    struct oci_block_io *b = xnew(struct oci_block_io);
    int r;

    field_init(&oci_block_io_table, b);
    ret->block_io = b;
    b->weight = positive_u(h->blkio_weight);
    for (size_t i = 0; i < h->blkio_weight_device.count; i++) {
        const struct weight_device *d =
            field_array_at(&h->blkio_weight_device, struct weight_device, i);
        struct oci_weight_device *w;
        struct stat st;

        r = stat_block(d->path, &st, e);
        if (r < 0) {
            return r;
        }
        w = field_array_add(&b->weight_device, &oci_weight_device_table);
        w->major = major(st.st_rdev);
        w->minor = minor(st.st_rdev);
        w->weight = positive_u(d->weight);
    }
    r = fill_throttle(&h->blkio_device_read_bps, &b->throttle_read_bps, e);
    if (r == 0) {
        r = fill_throttle(&h->blkio_device_write_bps, &b->throttle_write_bps, e);
    }
    if (r == 0) {
        r = fill_throttle(&h->blkio_device_read_iops, &b->throttle_read_iops, e);
    }
    return r < 0 ? r : fill_throttle(&h->blkio_device_write_iops, &b->throttle_write_iops, e);
}

int spec_resources(const struct host_config *h, struct oci_resources *ret, struct err *e) {
    fill_memory(h, ret);
    fill_cpu(h, ret);
    if (h->pids_limit.set && h->pids_limit.value > 0) {
        ret->pids = xnew(struct oci_pids);
        ret->pids->limit = h->pids_limit.value;
    }
    return fill_block_io(h, ret, e);
}
