/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "sys/clone.h"
#include "sys/mountfd.h"
#include "sys/path.h"

#define LAYERS_MAX 500 /* the kernel's own limit of lower directories */

/* What keeps the upper directory free of state that only this kernel and mount understand. */
static const char *const features_off[][2] = {
    {"redirect_dir", "off"},
    {"metacopy", "off"},
    {"index", "off"},
    {"xino", "off"},
};

/* A directory as a detached mount of its own, with the owners shifted. */
static int clone_dir(const char *path, int userns_fd, struct err *e) {
    auto_fd dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, errno, "failed to open %s", path);
    auto_fd mnt = sys_open_tree(dir, "", AT_EMPTY_PATH);
    if (mnt < 0)
        return err_sys(e, mnt, "failed to clone the mount at %s", path);
    int r = sys_mount_setattr(mnt, false, 0, 0, MS_PRIVATE, userns_fd);
    if (r < 0)
        return err_sys(e, r, "failed to map the owners of %s", path);
    return take_fd(&mnt);
}

struct layers {
    int *lower; /* top first */
    size_t count;
    int parent;         /* holds upper and work: both must lie on one mount */
    char *upper, *work; /* names below parent */
    int upper_fd, work_fd;
};

static void layers_done(struct layers *l) {
    for (size_t i = 0; i < l->count; i++)
        fd_close(l->lower[i]);
    free(l->lower);
    fd_close(l->parent);
    fd_close(l->upper_fd);
    fd_close(l->work_fd);
    free(l->upper);
    free(l->work);
}

/* "a volatile mount was here and may have lost data": the kernel refuses the next mount. Whoever
 * mounts volatile again accepts that; for others the flag of an older start means nothing. */
static void remove_volatile_mark(int work) {
    if (unlinkat(work, "work/incompat/volatile/dirty", 0) == 0 || errno == ENOENT) {
        (void)unlinkat(work, "work/incompat/volatile", AT_REMOVEDIR); /* usually not there */
        (void)unlinkat(work, "work/incompat", AT_REMOVEDIR);
    }
}

static int open_upper(const struct rt_rootfs *rootfs, int userns_fd, struct layers *l,
                      struct err *e) {
    const char *slash = strrchr(rootfs->upper, '/');
    size_t dir = slash ? (size_t)(slash - rootfs->upper) : 0;
    if (!dir || str_empty(rootfs->work) || strncmp(rootfs->upper, rootfs->work, dir + 1) ||
        strchr(rootfs->work + dir + 1, '/') || str_eq(rootfs->upper, rootfs->work))
        return err_set(e, ERR_INVALID, "upper and work directory must be siblings");
    auto_free char *parent = xstrndup(rootfs->upper, dir);
    l->parent = clone_dir(parent, userns_fd, e);
    if (l->parent < 0)
        return l->parent;
    l->upper = xstrdup(slash + 1);
    l->work = xstrdup(rootfs->work + dir + 1);
    l->upper_fd = openat(l->parent, l->upper, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    l->work_fd = openat(l->parent, l->work, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (l->upper_fd < 0 || l->work_fd < 0)
        return err_sys(e, errno, "failed to open the writable layer in %s", parent);
    remove_volatile_mark(l->work_fd);
    return 0;
}

static int open_layers(const struct rt_rootfs *rootfs, int userns_fd, struct layers *l,
                       struct err *e) {
    size_t n = strv_len(rootfs->lower);
    if (n > LAYERS_MAX)
        return err_set(e, ERR_INVALID, "too many layers: %zu", n);
    l->lower = xcalloc(n, sizeof(int));
    for (; l->count < n; l->count++) {
        int fd = clone_dir(rootfs->lower[l->count], userns_fd, e);
        if (fd < 0)
            return fd;
        l->lower[l->count] = fd;
    }
    return str_empty(rootfs->upper) ? 0 : open_upper(rootfs, userns_fd, l, e);
}

/* ---- Linux 6.15 and later: layers by descriptor ---------------------------------------------- */

/* 1: this kernel cannot take the layers so. */
static int overlay_by_fd(const struct layers *l, bool is_volatile, const char *label, int *ret_fd,
                         struct err *e) {
    auto_fd fs = sys_fsopen("overlay");
    if (fs < 0)
        return err_sys(e, fs, "fsopen overlay");
    (void)sys_fsconfig_string(fs, "source", "overlay"); /* a name in mount tables only */
    for (size_t i = 0; i < l->count; i++)
        if (sys_fsconfig_fd(fs, "lowerdir+", l->lower[i]) < 0)
            return 1;
    if (l->upper && (sys_fsconfig_fd(fs, "upperdir", l->upper_fd) < 0 ||
                     sys_fsconfig_fd(fs, "workdir", l->work_fd) < 0))
        return 1;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < sizeof(features_off) / sizeof(features_off[0]); i++)
        r = sys_fsconfig_string(fs, features_off[i][0], features_off[i][1]);
    if (r >= 0)
        r = sys_fsconfig_string(fs, "uuid", "null");
    if (r >= 0 && is_volatile && l->upper)
        r = sys_fsconfig_flag(fs, "volatile");
    if (r >= 0 && !str_empty(label))
        r = sys_fsconfig_string(fs, "context", label);
    if (r >= 0)
        r = sys_fsconfig_create(fs);
    if (r < 0) {
        char log[512];
        sys_fs_log(fs, log, sizeof(log));
        return err_sys(e, r, "failed to mount the overlay%s%s", *log ? ": " : "", log);
    }
    r = sys_fsmount(fs, 0);
    if (r < 0)
        return err_sys(e, r, "fsmount overlay");
    *ret_fd = r;
    return 0;
}

/* ---- older kernels: one mount(2) ------------------------------------------------------------- */

/* In a mount namespace of our own, with a tmpfs as the current directory. */
static int attach_and_mount(const struct layers *l, bool is_volatile, const char *label,
                            int *ret_fd, struct err *e) {
    long page = sysconf(_SC_PAGESIZE);
    auto_buf options = {.max = page > 1 ? (size_t)page : 4096};
    buf_puts(&options, "lowerdir=");
    for (size_t i = 0; i < l->count; i++) {
        char name[24];
        snprintf(name, sizeof(name), "%zu", i);
        if (mkdir(name, 0700) < 0)
            return err_sys(e, errno, "mkdir for a layer");
        int r = sys_move_mount(l->lower[i], AT_FDCWD, name);
        if (r < 0)
            return err_sys(e, r, "failed to attach a layer");
        buf_printf(&options, "%s%s", i ? ":" : "", name);
    }
    if (l->upper) {
        if (mkdir("u", 0700) < 0)
            return err_sys(e, errno, "mkdir for the writable layer");
        int r = sys_move_mount(l->parent, AT_FDCWD, "u");
        if (r < 0)
            return err_sys(e, r, "failed to attach the writable layer");
        buf_printf(&options, ",upperdir=u/%s,workdir=u/%s%s", l->upper, l->work,
                   is_volatile ? ",volatile" : "");
    }
    for (size_t i = 0; i < sizeof(features_off) / sizeof(features_off[0]); i++)
        buf_printf(&options, ",%s=%s", features_off[i][0], features_off[i][1]);
    if (!str_empty(label)) /* in quotes: it has commas */
        buf_printf(&options, ",context=\"%s\"", label);
    if (options.failed)
        return err_set(e, ERR_SYSTEM, "too many layers for this kernel: %zu", l->count);
    if (mkdir("m", 0700) < 0 || mount("overlay", "m", "overlay", 0, buf_str(&options)) < 0)
        return err_sys(e, errno, "failed to mount the overlay");
    int r = sys_open_tree(AT_FDCWD, "m", 0);
    if (r < 0)
        return err_sys(e, r, "failed to detach the overlay");
    *ret_fd = r;
    return 0;
}

static int overlay_by_string(const struct layers *l, bool is_volatile, const char *label,
                             const struct rootfs_map *map, int *ret_fd, struct err *e) {
    auto_fd host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    auto_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host < 0 || root < 0 || cwd < 0)
        return err_sys(e, errno, "failed to open the mount namespace");
    if (unshare(CLONE_NEWNS) < 0)
        return err_sys(e, errno, "unshare of the mount namespace");
    auto_fd made = -1;
    char ids[64];
    snprintf(ids, sizeof(ids), "mode=700,uid=%u,gid=%u", map->uid, map->gid);
    int r;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/", "tmpfs", 0, ids) < 0) {
        r = err_sys(e, errno, "failed to prepare a place for the layers");
    } else {
        /* The new tmpfs covers "/"; ".." of the namespace's root leads onto it. */
        auto_fd top = open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (top < 0 || fchdir(top) < 0)
            r = err_sys(e, errno, "failed to enter the place for the layers");
        else
            r = attach_and_mount(l, is_volatile, label, &made, e);
    }
    /* Back, whatever happened; the namespace and all that is attached in it vanish. */
    int back = sys_setns(host, CLONE_NEWNS);
    if (back >= 0 && (fchdir(root) < 0 || chroot(".") < 0 || fchdir(cwd) < 0))
        back = -errno;
    if (back < 0 && r >= 0)
        r = err_sys(e, back, "failed to return to the mount namespace");
    if (r < 0)
        return r;
    *ret_fd = take_fd(&made);
    return 0;
}

static int overlay_make(const struct rt_rootfs *rootfs, const char *label,
                        const struct rootfs_map *map, int *ret_fd, struct err *e) {
    struct layers l
        __attribute__((cleanup(layers_done))) = {.parent = -1, .upper_fd = -1, .work_fd = -1};
    int r = open_layers(rootfs, map->userns_fd, &l, e);
    if (r < 0)
        return r;
    auto_fd made = -1;
    /* The overlay works with the mounter's credentials, which must have a meaning on the idmapped
     * layers. */
    r = idmap_set_fs_ids(map->uid, map->gid);
    if (r < 0)
        return err_sys(e, r, "failed to take the ids of the container's root");
    r = getenv(ENV_OLD_OVERLAY) ? 1 : overlay_by_fd(&l, rootfs->is_volatile, label, &made, e);
    if (r > 0)
        r = overlay_by_string(&l, rootfs->is_volatile, label, map, &made, e);
    if (r >= 0 && l.upper) {
        r = sys_overlay_writable(made, l.work_fd);
        if (r < 0)
            r = err_sys(e, r, "failed to mount the overlay");
    }
    int back = idmap_set_fs_ids(0, 0);
    if (back < 0 && r >= 0)
        r = err_sys(e, back, "failed to return to the own ids");
    if (r >= 0)
        *ret_fd = take_fd(&made);
    return r;
}

int rootfs_make(const struct rt_rootfs *rootfs, const char *bundle_root, const char *label,
                const struct rootfs_map *map, int *ret_fd, struct err *e) {
    if (strv_len(rootfs->lower))
        return overlay_make(rootfs, label, map, ret_fd, e);
    if (str_empty(bundle_root) || *bundle_root != '/')
        return err_set(e, ERR_INVALID, "no root file system");
    int r = clone_dir(bundle_root, map->userns_fd, e);
    if (r < 0)
        return r;
    *ret_fd = r;
    return 0;
}
