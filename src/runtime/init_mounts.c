/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's mounts, made by its first process inside its own namespaces. Targets are looked
 * up with RESOLVE_IN_ROOT and mounted on by descriptor; no path is used twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/setup.h"
#include "sys/mountfd.h"
#include "sys/path.h"

#define NO_OWNER ((uid_t)-1)

/* ---- instances ----------------------------------------------------------------------------- */

static int make_cgroup_v1(const struct cgroupfs_hierarchy *h) {
    auto_strv options = NULL;
    strv_add(&options, "source=cgroup");
    for (int c = 0; c < CGROUPFS_CONTROLLER_COUNT; c++) {
        if (!(h->controllers & 1u << c))
            continue;
        if (c == CGROUPFS_SYSTEMD) {
            strv_add(&options, "none");
            strv_add(&options, "name=systemd");
        } else {
            strv_add(&options, cgroupfs_controller_name((enum cgroupfs_controller)c, 1));
        }
    }
    return sys_mount_new("cgroup", (const char *const *)options,
                         MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* The kernel labels these itself, and takes no label for them in a user namespace. */
static bool takes_label(const char *type) {
    return str_eq(type, "tmpfs") || str_eq(type, "devpts");
}

/* The directory of message queues: its queues take after it. */
static int label_root(int fd, const char *label) {
    auto_fd dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    return fsetxattr(dir, "security.selinux", label, strlen(label) + 1, 0) < 0 &&
                   errno != EOPNOTSUPP
               ? -errno
               : 0;
}

static int new_instance(struct rt_mount *m, const char *type, char *const *data,
                        const char *label) {
    auto_strv options = strv_dup(data);
    if (!str_empty(label) && takes_label(type))
        strv_take(&options, xasprintf("context=%s", label));
    if (!str_empty(m->spec->source))
        strv_take(&options, xasprintf("source=%s", m->spec->source));
    int fd = sys_mount_new(type, (const char *const *)options,
                           m->options.set & ~(uint64_t)MOUNT_ATTR_RDONLY);
    if (fd < 0)
        return fd;
    m->new_fd = fd;
    return !str_empty(label) && str_eq(type, "mqueue") ? label_root(fd, label) : 0;
}

static int make_one(struct init *b, struct rt_mount *m) {
    const char *label = b->s->request.spec.lin.mount_label;
    if (m->kind == RT_MOUNT_NEW)
        return new_instance(m, str_or_empty(m->spec->type), m->options.data, label);
    if (m->kind != RT_MOUNT_CGROUP || b->s->host->cgroups.version == 0)
        return 0;
    if (b->s->host->cgroups.version == 2)
        return m->n_parts ? 0 : new_instance(m, "cgroup2", NULL, NULL);
    char *const mode[] = {(char *)"mode=755", NULL};
    return new_instance(m, "tmpfs", mode, label);
}

/* As mount(2) has them: the first four attributes have the numbers of its flags. */
static unsigned mount_flags(const struct rt_mount *m) {
    return (unsigned)(m->options.set & (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                        MOUNT_ATTR_NOEXEC));
}

int init_mounts_make(struct init *b, struct err *e) {
    for (size_t i = 0; i < b->s->mounts.count; i++) {
        struct rt_mount *m = &b->s->mounts.items[i];
        int r = make_one(b, m);
        if (r < 0) {
            const char *source = str_or_empty(m->spec->source);
            auto_free char *data = strv_join(m->options.data, ",");
            return err_sys(e, r,
                           "error mounting \"%s\" to rootfs at \"%s\": mount %s:%s, flags: 0x%x, "
                           "data: %s",
                           source, m->destination, source, m->destination, mount_flags(m), data);
        }
    }
    return 0;
}

/* ---- attaching ----------------------------------------------------------------------------- */

/* The place for a mount: made when missing, a directory or a file as the source is. */
static int open_target(int root, const char *path, int source) {
    struct stat st;
    if (fstat(source, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? path_mkdirs_in(root, path, 0755, NO_OWNER, NO_OWNER)
                               : path_mkfile_in(root, path, 0644, NO_OWNER, NO_OWNER);
}

/* The kernel says EINVAL for a file on a directory or the reverse; Docker's words need ENOTDIR. */
static int check_types(int source, int target) {
    struct stat a, b;
    if (fstat(source, &a) < 0 || fstat(target, &b) < 0)
        return -errno;
    return S_ISDIR(a.st_mode) == S_ISDIR(b.st_mode) ? 0 : -ENOTDIR;
}

/* A symlink of the image may lead a target into /proc; covering parts of it fools the LSM code. */
static int refuse_proc(const struct rt_mount *m, int target) {
    struct statfs fs;
    if (fstatfs(target, &fs) < 0)
        return -errno;
    return fs.f_type == PROC_SUPER_MAGIC && !str_starts(m->destination, "/proc") ? -EPERM : 0;
}

static int attach(struct init *b, const struct rt_mount *m, int fd, int *ret_target) {
    const char *type = m->spec ? str_or_empty(m->spec->type) : "";
    auto_fd target = -1;
    if (m->kind == RT_MOUNT_NEW && (str_eq(type, "proc") || str_eq(type, "sysfs"))) {
        /* On an ordinary directory only: an image must not redirect them. */
        target =
            path_open_in_how(b->root, m->destination, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
        if (target == -ENOENT)
            target = path_mkdirs_in(b->root, m->destination, 0755, NO_OWNER, NO_OWNER);
    } else {
        target = open_target(b->root, m->destination, fd);
    }
    if (target < 0)
        return target;
    int r = refuse_proc(m, target);
    if (r >= 0)
        r = check_types(fd, target);
    if (r >= 0)
        r = sys_move_mount(fd, target, "");
    if (r >= 0 && ret_target)
        *ret_target = take_fd(&target);
    return r;
}

static int attach_parts(struct init *b, struct rt_mount *m) {
    for (size_t i = 0; i < m->n_parts; i++) {
        struct rt_part *p = &m->parts[i];
        if (!*p->path) {
            int r = attach(b, m, p->fd, NULL);
            if (r < 0)
                return r;
            continue;
        }
        /* Below the first part. Something of the content may have changed meanwhile: a mount that
         * has lost its place is left out. */
        auto_fd target = path_open_in(m->parts[0].fd, p->path, O_PATH, 0);
        if (target >= 0)
            (void)sys_move_mount(p->fd, target, "");
    }
    return 0;
}

/* "cpu,cpuacct": runc makes a link for each name. */
static void link_controllers(int dir, const char *name) {
    if (!strchr(name, ','))
        return;
    auto_strv names = str_split(name, ',');
    strv_for_each (n, names) {
        (void)!symlinkat(name, dir, n); /* exists: fine */
    }
}

static int attach_cgroups(struct init *b, struct rt_mount *m) {
    const struct cgroupfs_host *host = &b->s->host->cgroups;
    if (host->version == 0)
        return 0;
    if (host->version == 2)
        return m->n_parts ? attach_parts(b, m) : attach(b, m, m->new_fd, NULL);
    int r = attach(b, m, m->new_fd, NULL);
    if (r < 0)
        return r;
    bool shared = m->n_parts > 0; /* the host's view, cloned by A */
    for (size_t i = 0; i < (shared ? m->n_parts : host->count); i++) {
        const char *base = shared ? m->parts[i].path : strrchr(host->hierarchies[i].path, '/') + 1;
        auto_fd made = shared ? dup(m->parts[i].fd) : make_cgroup_v1(&host->hierarchies[i]);
        if (made < 0)
            continue; /* a hierarchy that cannot be mounted here is not shown */
        if (mkdirat(m->new_fd, base, 0755) < 0 && errno != EEXIST)
            return -errno;
        auto_fd target = path_open_in(m->new_fd, base, O_PATH | O_DIRECTORY, 0);
        r = target < 0 ? target : sys_move_mount(made, target, "");
        if (r < 0)
            return r;
        if (m->options.set & MOUNT_ATTR_RDONLY && !shared)
            r = sys_mount_setattr(made, false, MOUNT_ATTR_RDONLY, 0, 0, -1);
        if (r < 0)
            return r;
        link_controllers(m->new_fd, base);
    }
    return 0;
}

int init_mounts_attach(struct init *b, struct err *e) {
    for (size_t i = 0; i < b->s->mounts.count; i++) {
        struct rt_mount *m = &b->s->mounts.items[i];
        int r = m->kind == RT_MOUNT_NEW      ? attach(b, m, m->new_fd, NULL)
                : m->kind == RT_MOUNT_CGROUP ? attach_cgroups(b, m)
                                             : attach_parts(b, m);
        if (r < 0) {
            const char *source = m->n_parts ? m->parts[0].name : str_or_empty(m->spec->source);
            return err_sys(e, r, "error mounting \"%s\" to rootfs at \"%s\": mount %s:%s", source,
                           m->destination, source, m->destination);
        }
        if (b->proc < 0 && m->kind == RT_MOUNT_NEW && str_eq(m->spec->type, "proc"))
            b->proc = fcntl(m->new_fd, F_DUPFD_CLOEXEC, 3);
    }
    return 0;
}

/* ---- after pivot_root ---------------------------------------------------------------------- */

/* The container's own /dev/null, made sure to be the device. */
static int open_null(struct init *b) {
    auto_fd fd = path_open_in(b->root, "/dev/null", O_PATH, 0);
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return -ENODEV;
    return take_fd(&fd);
}

static int mask(struct init *b, const char *path, int null) {
    auto_fd target = path_open_in(b->root, path, O_PATH, 0);
    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return target;
    struct stat st;
    if (fstat(target, &st) < 0)
        return -errno;
    auto_fd cover = -1;
    if (S_ISDIR(st.st_mode)) {
        const char *label = b->s->request.spec.lin.mount_label;
        auto_free char *context = str_empty(label) ? NULL : xasprintf("context=%s", label);
        const char *const options[] = {"source=tmpfs", "mode=755", "nr_inodes=1", context, NULL};
        cover = sys_mount_new("tmpfs", options, MOUNT_ATTR_RDONLY);
    } else {
        cover = null < 0 ? null : sys_open_tree(null, "", AT_EMPTY_PATH);
    }
    return cover < 0 ? cover : sys_move_mount(cover, target, "");
}

static int make_read_only(struct init *b, const char *path) {
    auto_fd target = path_open_in(b->root, path, O_PATH, 0);
    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return target;
    auto_fd copy = sys_open_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE);
    if (copy < 0)
        return copy;
    int r = sys_mount_setattr(copy, true, MOUNT_ATTR_RDONLY, 0, 0, -1);
    return r < 0 ? r : sys_move_mount(copy, target, "");
}

static int late_read_only(struct init *b, struct err *e) {
    for (size_t i = 0; i < b->s->mounts.count; i++) {
        struct rt_mount *m = &b->s->mounts.items[i];
        int fd = m->kind == RT_MOUNT_BIND  ? -1
                 : m->kind == RT_MOUNT_DEV ? m->parts[0].fd
                                           : m->new_fd;
        if (fd < 0 || !((m->options.set | m->options.rec_set) & MOUNT_ATTR_RDONLY))
            continue;
        int r = sys_mount_setattr(fd, false, MOUNT_ATTR_RDONLY, 0, 0, -1);
        if (r < 0)
            return err_sys(e, r, "failed to make %s read-only", m->destination);
    }
    return 0;
}

int init_mounts_seal(struct init *b, struct err *e) {
    const struct oci_spec *spec = &b->s->request.spec;
    strv_for_each (ro, spec->lin.readonly_paths) {
        int r = make_read_only(b, ro);
        if (r < 0)
            return err_sys(e, r, "can't make %s read-only", ro);
    }
    auto_fd null = strv_len(spec->lin.masked_paths) ? open_null(b) : -1;
    strv_for_each (masked, spec->lin.masked_paths) {
        int r = mask(b, masked, null);
        if (r < 0)
            return err_sys(e, r, "can't mask path \"%s\"", masked);
    }
    int r = late_read_only(b, e);
    if (r < 0)
        return r;
    bool recursive;
    uint64_t propagation = str_empty(spec->lin.rootfs_propagation)
                               ? 0
                               : mount_propagation_parse(spec->lin.rootfs_propagation, &recursive);
    uint64_t set = spec->root.readonly ? MOUNT_ATTR_RDONLY : 0;
    /* Of the root only: mounts below have a propagation of their own. */
    r = set || propagation ? sys_mount_setattr(b->root, false, set, 0, propagation, -1) : 0;
    return r < 0 ? err_sys(e, r, "failed to set the root mount's attributes") : 0;
}
