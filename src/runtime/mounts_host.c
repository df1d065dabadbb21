/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mounts_host.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/lsm.h"
#include "runtime/request.h"
#include "sys/clone.h"
#include "sys/mountfd.h"
#include "sys/mountinfo.h"
#include "sys/path.h"

#define PARTS_MAX 4096

/* File systems whose inodes are views of the kernel: an owner map has no meaning there and the
 * kernel has none for them. */
static const char *const pseudo_types[] = {
    "autofs", "binfmt_misc", "bpf",        "cgroup",     "cgroup2",   "configfs", "debugfs",
    "devpts", "devtmpfs",    "efivarfs",   "fusectl",    "hugetlbfs", "mqueue",   "nsfs",
    "proc",   "pstore",      "rpc_pipefs", "securityfs", "selinuxfs", "sysfs",    "tracefs",
};

static bool is_pseudo(const char *fs_type) {
    for (size_t i = 0; i < sizeof(pseudo_types) / sizeof(pseudo_types[0]); i++)
        if (str_eq(pseudo_types[i], fs_type))
            return true;
    return false;
}

static void mount_done(struct rt_mount *m) {
    for (size_t i = 0; i < m->n_parts; i++) {
        fd_close(m->parts[i].fd);
        free(m->parts[i].path);
        free(m->parts[i].name);
    }
    free(m->parts);
    free(m->destination);
    fd_close(m->new_fd);
    mount_options_done(&m->options);
}

void rt_mounts_done(struct rt_mounts *m) {
    for (size_t i = 0; i < m->count; i++)
        mount_done(&m->items[i]);
    free(m->items);
    *m = (struct rt_mounts){0};
}

/* "/a//b/./c/.." -> "/a/b": as text, for comparisons and messages. */
static char *clean_path(const char *path) {
    auto_strv parts = str_split(path, '/');
    char **out = NULL;
    size_t n = 0;
    strv_for_each (p, parts) {
        if (!*p || str_eq(p, "."))
            continue;
        if (str_eq(p, "..")) {
            if (n) {
                free(out[--n]);
                out[n] = NULL;
            }
            continue;
        }
        strv_add(&out, p);
        n++;
    }
    auto_free char *joined = strv_join(out, "/");
    strv_free(out);
    return xasprintf("/%s", joined);
}

static struct rt_part *add_part(struct rt_mount *m, const char *path, const char *name, int fd) {
    m->parts = xreallocarray(m->parts, m->n_parts + 1, sizeof(*m->parts));
    struct rt_part *p = &m->parts[m->n_parts++];
    *p = (struct rt_part){.path = xstrdup(path), .name = xstrdup(name), .fd = fd};
    return p;
}

/* What the options say about a bind, on the detached copy: no locked flags stand in the way yet. */
static int set_bind_attributes(const struct mount_options *o, int fd, bool top, bool recursive,
                               int userns_fd) {
    uint64_t propagation = o->propagation;
    if (!propagation || (!top && !o->propagation_rec))
        propagation = MS_PRIVATE;
    int r =
        sys_mount_setattr(fd, recursive, o->rec_set, mount_attr_clear_for(o->rec_set, o->rec_clear),
                          propagation, userns_fd);
    if (r >= 0 && top && (o->set || o->clear))
        r = sys_mount_setattr(fd, false, o->set, mount_attr_clear_for(o->set, o->clear), 0, -1);
    return r;
}

static const char *subpath_of(const struct rt_mount *m) {
    strv_for_each (o, m->options.data) {
        const char *path = str_after(o, RT_SUBPATH_OPTION);
        if (path)
            return path;
    }
    return NULL;
}

static int open_source(const char *source, const char *subpath) {
    auto_fd fd = open(source, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Containers that have the volume may change it meanwhile. */
    return subpath ? path_open_in(fd, subpath, O_PATH, 0) : take_fd(&fd);
}

static int open_bind_top(struct rt_mount *m, const char *source, bool whole_tree, struct stat *ret,
                         int *ret_fd, struct err *e) {
    const char *subpath = subpath_of(m);
    auto_fd fd = open_source(source, subpath);
    if (fd < 0)
        return err_sys(e, fd, "error mounting \"%s\" to rootfs at \"%s\": stat %s%s%s", source,
                       m->destination, source, subpath ? "/" : "", str_or_empty(subpath));
    if (fstat(fd, ret) < 0)
        return err_sys(e, errno, "stat %s", source);
    auto_fd mnt = sys_open_tree(fd, "", AT_EMPTY_PATH | (whole_tree ? AT_RECURSIVE : 0));
    if (mnt < 0)
        return err_sys(e, mnt, "error mounting \"%s\" to rootfs at \"%s\": clone", source,
                       m->destination);
    int r = set_bind_attributes(&m->options, mnt, true, whole_tree, -1);
    if (r < 0)
        return err_sys(e, r, "error mounting \"%s\" to rootfs at \"%s\": attributes", source,
                       m->destination);
    add_part(m, "", source, mnt);
    take_fd(&mnt);
    *ret_fd = take_fd(&fd);
    return 0;
}

/* The mounts below a directory, each by itself: a map is refused for a tree as soon as one of them
 * cannot have it. Later entries of the list may cover earlier ones, so the order is kept. */
static int open_bind_below(struct rt_mount *m, const char *source, int fd, struct err *e) {
    auto_mountinfo info = {0};
    int r = mountinfo_read(&info);
    if (r < 0)
        return err_sys(e, r, "failed to read the mount table");
    /* Of what is open: the names may lead elsewhere by now. */
    char self[PATH_FD_MAX];
    auto_free char *real = realpath(path_of_fd(fd, self), NULL);
    if (!real)
        return err_sys(e, errno, "realpath %s", source);
    const char *prefix = str_eq(real, "/") ? "" : real;
    for (size_t i = 0; i < info.count; i++) {
        const struct mountinfo_entry *entry = &info.entries[i];
        const char *below = str_after(entry->mount_point, prefix);
        if (!below || below[0] != '/' || !below[1])
            continue;
        if (m->n_parts == PARTS_MAX)
            return err_set(e, ERR_SYSTEM, "too many mounts below %s", source);
        auto_fd at = open(entry->mount_point, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        int id;
        /* Covered by another mount, gone, or not for us (FUSE of a user): it is not seen there. */
        if (at < 0 || mount_id_of(at, &id) < 0 || id != entry->id)
            continue;
        auto_fd mnt = sys_open_tree(at, "", AT_EMPTY_PATH);
        if (mnt < 0)
            continue; /* unbindable */
        r = set_bind_attributes(&m->options, mnt, false, false, -1);
        if (r < 0)
            return err_sys(e, r, "attributes of %s", entry->mount_point);
        struct rt_part *p = add_part(m, below + 1, entry->mount_point, take_fd(&mnt));
        p->pseudo = is_pseudo(entry->fs_type);
        p->may_be_unmapped = true;
    }
    return 0;
}

/* Is there a file system's own type to be found for the mount at fd? */
static bool on_pseudo(int fd) {
    auto_mountinfo info = {0};
    int id;
    if (mount_id_of(fd, &id) < 0 || mountinfo_read(&info) < 0)
        return false;
    const struct mountinfo_entry *entry = mountinfo_by_id(&info, id);
    return entry && is_pseudo(entry->fs_type);
}

static int open_bind(struct rt_mount *m, bool mapped, const char *label, struct err *e) {
    const char *source = str_or_empty(m->spec->source);
    if (*source != '/')
        return err_set(e, ERR_INVALID, "mount source of %s is not absolute: \"%s\"", m->destination,
                       source);
    struct stat st;
    auto_fd fd = -1;
    int r = open_bind_top(m, source, m->options.recursive && !mapped, &st, &fd, e);
    if (r >= 0 && m->options.relabel && !str_empty(label))
        r = lsm_selinux_relabel(fd, label, m->options.relabel == 'z', e);
    if (r < 0)
        return r;
    if (!mapped)
        return 0;
    struct rt_part *top = &m->parts[0];
    top->may_be_unmapped = !S_ISDIR(st.st_mode);
    /* Devices would be useless mapped (devtmpfs refuses anyway). */
    top->pseudo = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) || on_pseudo(fd);
    return m->options.recursive && S_ISDIR(st.st_mode) ? open_bind_below(m, source, fd, e) : 0;
}

static int open_cgroups(struct rt_mount *m, const struct cgroup *cgroup, struct err *e) {
    for (size_t i = 0; cgroup->host && i < cgroup->host->count; i++) {
        const struct cgroupfs_hierarchy *h = &cgroup->host->hierarchies[i];
        /* v2 with the host's namespace shows the whole tree, v1 the container's own groups. */
        int at = cgroup->host->version == 2 ? h->fd : cgroup->fds[i];
        if (at < 0)
            continue;
        auto_fd mnt = sys_open_tree(at, "", AT_EMPTY_PATH);
        if (mnt < 0)
            return err_sys(e, mnt, "failed to clone %s", h->path);
        uint64_t set = m->options.set | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
        int r = sys_mount_setattr(mnt, false, set, mount_attr_clear_for(set, 0), MS_PRIVATE, -1);
        if (r < 0)
            return err_sys(e, r, "attributes of %s", h->path);
        const char *base = strrchr(h->path, '/');
        add_part(m,
                 cgroup->host->version == 2 ? ""
                 : base                     ? base + 1
                                            : h->path,
                 h->path, take_fd(&mnt));
        m->parts[m->n_parts - 1].pseudo = true;
    }
    return 0;
}

/* Files of /proc that a container manager may cover; anything else there would only mislead. */
static const char *const proc_allowed[] = {
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
};

static int check_proc(const struct rt_mount *m, struct err *e) {
    if (str_eq(m->destination, "/proc")) {
        if (str_eq(m->spec->type, "proc"))
            return 0;
        /* The host's own instance (--pid=host with -v /proc:/proc) is what it says it is. */
        if (m->kind == RT_MOUNT_BIND && str_eq(m->spec->source, "/proc"))
            return 0;
    } else {
        const char *below = str_after(m->destination, "/proc/");
        if (!below)
            return 0;
        for (size_t i = 0; i < sizeof(proc_allowed) / sizeof(proc_allowed[0]); i++)
            if (str_eq(below, proc_allowed[i]))
                return 0;
    }
    return err_set(e, ERR_INVALID,
                   "error mounting \"%s\" to rootfs at \"%s\": \"%s\" cannot be mounted because it "
                   "is inside /proc",
                   str_or_empty(m->spec->source), m->destination, m->destination);
}

/*
 * /dev/shm of the container whose IPC namespace is shared. A mount can only be cloned from inside
 * the mount namespace that it is in; its owners are right already, since both containers have one
 * user namespace.
 */
static int open_shm_of(struct rt_mount *m, int join_ipc, struct err *e) {
    auto_fd home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    auto_fd mnt = -1;
    if (home < 0)
        return err_sys(e, errno, "failed to open the own mount namespace");
    int r = sys_setns(join_ipc, CLONE_NEWNS);
    if (r < 0)
        return err_sys(e, r,
                       "failed to enter the mount namespace of the container whose IPC "
                       "namespace is joined");
    /* Its owner decides what lies there: no link of its making may lead into a process of ours. */
    auto_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd shm = root < 0 ? -errno : path_open_in(root, "/dev/shm", O_PATH | O_DIRECTORY, 0);
    mnt = shm < 0 ? shm : sys_open_tree(shm, "", AT_EMPTY_PATH);
    r = sys_setns(home, CLONE_NEWNS);
    if (r < 0)
        return err_sys(e, r, "failed to return to the own mount namespace");
    if (mnt < 0)
        return err_sys(e, mnt,
                       "failed to clone /dev/shm of the container whose IPC namespace is "
                       "joined");
    add_part(m, "", "/dev/shm", take_fd(&mnt))->pseudo = true;
    return 0;
}

static int open_mount(struct rt_mount *m, const struct oci_spec *spec, bool mapped,
                      bool own_cgroupns, const struct cgroup *cgroup, const struct rootfs_map *map,
                      int join_ipc, struct err *e) {
    const char *type = str_or_empty(m->spec->type);
    if (m->options.bind || str_eq(type, "bind")) {
        m->kind = RT_MOUNT_BIND;
    } else if (str_eq(type, "cgroup") || str_eq(type, "cgroup2")) {
        m->kind = RT_MOUNT_CGROUP;
    } else if (str_eq(type, "tmpfs") && str_eq(m->destination, "/dev")) {
        m->kind = RT_MOUNT_DEV;
    }
    if (str_eq(m->destination, "/"))
        return err_set(e, ERR_INVALID, "invalid mount destination: /");
    int r = check_proc(m, e);
    if (r < 0)
        return r;
    switch (m->kind) {
    case RT_MOUNT_BIND:
        if (join_ipc >= 0 && str_eq(m->destination, "/dev/shm") &&
            str_starts(m->spec->source, "/proc/"))
            return open_shm_of(m, join_ipc, e);
        return open_bind(m, mapped, spec->lin.mount_label, e);
    case RT_MOUNT_CGROUP:
        return own_cgroupns ? 0 : open_cgroups(m, cgroup, e);
    case RT_MOUNT_DEV: {
        int fd;
        r = dev_make(spec, &m->options, map, &fd, e);
        if (r >= 0)
            add_part(m, "", "tmpfs", fd);
        return r;
    }
    case RT_MOUNT_NEW:
        return 0;
    }
    return 0;
}

static int open_init(struct rt_mount *m, const char *init_path, bool mapped, struct err *e) {
    m->destination = xstrdup(RT_INIT_PATH);
    m->kind = RT_MOUNT_BIND;
    m->options.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
    struct stat st;
    auto_fd fd = -1;
    int r = open_bind_top(m, init_path, false, &st, &fd, e);
    if (r >= 0 && mapped)
        m->parts[0].may_be_unmapped = true;
    return r;
}

int rt_mounts_open(const struct oci_spec *spec, const char *init_path, bool mapped,
                   bool own_cgroupns, const struct cgroup *cgroup, const struct rootfs_map *map,
                   int join_ipc, struct rt_mounts *ret, struct err *e) {
    struct rt_mounts all __attribute__((cleanup(rt_mounts_done))) = {0};
    all.items = xcalloc(spec->mounts.count + 1, sizeof(*all.items));
    for (size_t i = 0; i < spec->mounts.count; i++) {
        struct rt_mount *m = &all.items[all.count++];
        m->new_fd = -1;
        m->spec = field_array_at(&spec->mounts, struct oci_mount, i);
        m->destination = clean_path(str_or_empty(m->spec->destination));
        mount_options_parse(m->spec->options, &m->options);
        int r = open_mount(m, spec, mapped, own_cgroupns, cgroup, map, join_ipc, e);
        if (r < 0)
            return r;
    }
    if (!str_empty(init_path)) {
        struct rt_mount *m = &all.items[all.count++];
        m->new_fd = -1;
        int r = open_init(m, init_path, mapped, e);
        if (r < 0)
            return r;
    }
    *ret = all;
    all = (struct rt_mounts){0};
    return 0;
}

int rt_mounts_idmap(struct rt_mounts *m, int userns_fd, struct err *e) {
    for (size_t i = 0; i < m->count; i++) {
        struct rt_mount *item = &m->items[i];
        for (size_t k = 0; item->kind == RT_MOUNT_BIND && k < item->n_parts; k++) {
            struct rt_part *p = &item->parts[k];
            if (p->pseudo)
                continue;
            int r = sys_mount_setattr(p->fd, false, 0, 0, 0, userns_fd);
            if (r < 0 && !p->may_be_unmapped)
                return err_sys(e, r,
                               "error mounting \"%s\" to rootfs at \"%s\": the file system cannot "
                               "be idmapped (use --userns=host)",
                               p->name, item->destination);
        }
    }
    return 0;
}

bool rt_mounts_has_dev(const struct rt_mounts *m) {
    for (size_t i = 0; i < m->count; i++)
        if (m->items[i].kind == RT_MOUNT_DEV)
            return true;
    return false;
}
