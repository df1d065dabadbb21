/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's /dev: a tmpfs with device nodes of our own making. Nodes are never bound from the
 * host, because devtmpfs cannot be idmapped; the devices control group decides what they can do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "runtime/mounts_host.h"
#include "sys/mountfd.h"
#include "sys/path.h"

static const struct {
    const char *name;
    unsigned major, minor;
} standard[] = {
    {"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

/* Parent directory of `path` below root, made when missing; *ret_name points into path. */
static int open_parent(int root, const char *path, const struct rootfs_map *map,
                       const char **ret_name) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name || str_eq(name, ".") || str_eq(name, ".."))
        return -EINVAL;
    auto_free char *dir = xstrndup(path, slash ? (size_t)(slash - path) : 0);
    *ret_name = name;
    return path_mkdirs_in(root, dir, 0755, map->uid, map->gid);
}

static int make_node(int dir, const char *name, mode_t mode, dev_t dev, uint32_t uid,
                     uint32_t gid) {
    if (mknodat(dir, name, mode, dev) < 0) {
        if (errno != EEXIST)
            return -errno;
        /* Named twice (a standard device with another mode): the later one counts. */
        struct stat st;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        if (S_ISDIR(st.st_mode))
            return -EISDIR;
        if (unlinkat(dir, name, 0) < 0 || mknodat(dir, name, mode, dev) < 0)
            return -errno;
    }
    return fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int make_device(const struct oci_spec *spec, const struct oci_device *d, int root,
                       const char *path, const struct rootfs_map *map, struct err *e) {
    mode_t type = str_eq(d->type, "b")   ? S_IFBLK
                  : str_eq(d->type, "p") ? S_IFIFO
                                         : S_IFCHR; /* "c", "u" */
    mode_t mode = d->file_mode.set ? (mode_t)d->file_mode.value & 07777 : 0666;
    uint32_t uid, gid;
    int64_t want_uid = d->uid.set ? (int64_t)d->uid.value : 0;
    int64_t want_gid = d->gid.set ? (int64_t)d->gid.value : 0;
    /* The group of a host device (disk, kvm) may have no id in the container. */
    if (idmap_to_host(&spec->lin.uid_mappings, want_uid, &uid) < 0)
        uid = map->uid;
    if (idmap_to_host(&spec->lin.gid_mappings, want_gid, &gid) < 0)
        gid = map->gid;
    const char *name;
    auto_fd dir = open_parent(root, path, map, &name);
    int r = dir < 0 ? dir
                    : make_node(dir, name, type | mode,
                                makedev((unsigned)d->major, (unsigned)d->minor), uid, gid);
    return r < 0 ? err_sys(e, r, "failed to make device %s", d->path) : 0;
}

int dev_make(const struct oci_spec *spec, const struct mount_options *options,
             const struct rootfs_map *map, int *ret_fd, struct err *e) {
    auto_strv data = strv_dup(options->data);
    strv_add(&data, "source=tmpfs");
    strv_take(&data, xasprintf("uid=%u", map->uid));
    strv_take(&data, xasprintf("gid=%u", map->gid));
    if (!str_empty(spec->lin.mount_label))
        strv_take(&data, xasprintf("context=%s", spec->lin.mount_label));
    /* Read-only comes last: directories for other mounts are still to be made. */
    auto_fd dev = sys_mount_new("tmpfs", (const char *const *)data,
                                options->set & ~(uint64_t)MOUNT_ATTR_RDONLY);
    if (dev < 0)
        return err_sys(e, dev, "failed to make the tmpfs for /dev");
    mode_t mask = umask(0);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < sizeof(standard) / sizeof(standard[0]); i++)
        r = make_node(dev, standard[i].name, S_IFCHR | 0666,
                      makedev(standard[i].major, standard[i].minor), map->uid, map->gid);
    for (size_t i = 0; r >= 0 && i < sizeof(links) / sizeof(links[0]); i++) {
        if (str_eq(links[i].name, "core") && access(links[i].target, F_OK) < 0)
            continue; /* a kernel without it: as runc */
        if (symlinkat(links[i].target, dev, links[i].name) < 0 ||
            fchownat(dev, links[i].name, map->uid, map->gid, AT_SYMLINK_NOFOLLOW) < 0)
            r = -errno;
    }
    if (r < 0)
        r = err_sys(e, r, "failed to fill /dev");
    for (size_t i = 0; r >= 0 && i < spec->lin.devices.count; i++) {
        const struct oci_device *d = field_array_at(&spec->lin.devices, struct oci_device, i);
        const char *below = str_after(d->path, "/dev/");
        /* ptmx and console are the container's own terminals, whatever the host has. */
        if (below && !str_eq(below, "ptmx") && !str_eq(below, "console") &&
            !str_starts(below, "pts/"))
            r = make_device(spec, d, dev, below, map, e);
    }
    if (r >= 0 && spec->process.terminal) {
        /* The slave is bound here. */
        auto_fd console = path_mkfile_in(dev, "console", 0600, map->uid, map->gid);
        if (console < 0)
            r = err_sys(e, console, "failed to make /dev/console");
    }
    (void)umask(mask);
    if (r < 0)
        return r;
    *ret_fd = take_fd(&dev);
    return 0;
}

int dev_make_elsewhere(const struct oci_spec *spec, int root, const struct rootfs_map *map,
                       struct err *e) {
    bool any = false;
    for (size_t i = 0; i < spec->lin.devices.count; i++)
        any |= !str_starts(field_array_at(&spec->lin.devices, struct oci_device, i)->path, "/dev/");
    if (!any)
        return 0;
    int r = idmap_set_fs_ids(map->uid, map->gid);
    mode_t mask = umask(0);
    if (r < 0)
        r = err_sys(e, r, "failed to take the ids of the container's root");
    for (size_t i = 0; r >= 0 && i < spec->lin.devices.count; i++) {
        const struct oci_device *d = field_array_at(&spec->lin.devices, struct oci_device, i);
        if (!str_starts(d->path, "/dev/"))
            r = make_device(spec, d, root, d->path, map, e);
    }
    (void)umask(mask);
    int back = idmap_set_fs_ids(0, 0);
    return r < 0 ? r : back < 0 ? err_sys(e, back, "failed to return to the own ids") : 0;
}
