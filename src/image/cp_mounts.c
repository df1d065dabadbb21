/* SPDX-License-Identifier: Apache-2.0 */
#include "image/cp_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "sys/mountfd.h"
#include "sys/path.h"

/* Files are read and written there and nothing else. */
#define SAFE_ATTRS (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

void cp_bind_done(struct cp_bind *b) {
    free(b->source);
    free(b->subpath);
    free(b->destination);
    *b = (struct cp_bind){0};
}

static int open_source(const struct cp_bind *b) {
    auto_fd fd = open(b->source, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Containers that have the volume may change it meanwhile. */
    return b->subpath ? path_open_in(fd, b->subpath, O_PATH, 0) : take_fd(&fd);
}

static int clone_source(const struct cp_bind *b, int fd, int *ret_fd) {
    auto_fd mnt = sys_open_tree(fd, "", AT_EMPTY_PATH | (b->recursive ? AT_RECURSIVE : 0));
    if (mnt < 0)
        return take_fd(&mnt);
    int r = sys_mount_setattr(mnt, b->recursive,
                              SAFE_ATTRS | (b->read_only_below ? MOUNT_ATTR_RDONLY : 0), 0,
                              MS_PRIVATE, -1);
    if (r == 0 && b->read_only)
        r = sys_mount_setattr(mnt, false, MOUNT_ATTR_RDONLY, 0, 0, -1);
    if (r < 0)
        return r;
    *ret_fd = take_fd(&mnt);
    return 0;
}

static int attach_bind(int root, const struct cp_bind *b, struct err *e) {
    struct stat st;
    auto_fd fd = open_source(b), mnt = -1;
    if (fd == -ENOENT && b->optional)
        return 0;
    if (fd < 0)
        return err_sys(e, fd, "cannot mount %s at %s of the container: stat %s", b->source,
                       b->destination, b->source);
    if (fstat(fd, &st) < 0)
        return err_sys(e, errno, "stat %s", b->source);
    int r = clone_source(b, fd, &mnt);
    if (r < 0)
        return err_sys(e, r, "cannot mount %s at %s of the container: clone", b->source,
                       b->destination);
    /* As the start of the container would make it. */
    auto_fd to = S_ISDIR(st.st_mode) ? path_mkdirs_in(root, b->destination, 0755, 0, 0)
                                     : path_mkfile_in(root, b->destination, 0755, 0, 0);
    r = to < 0 ? to : sys_move_mount(mnt, to, "");
    if (r == -EROFS)
        return r;
    return r < 0
               ? err_sys(e, r, "cannot mount %s at %s of the container", b->source, b->destination)
               : 0;
}

int cp_mounts_attach(int root, const char *at, bool read_only, const struct cp_bind *binds,
                     size_t count, struct err *e) {
    /* CLONE_FS: a thread that shares its directories with others cannot leave their namespace.
     * Slaves: what the host unmounts meanwhile is not pinned by this copy of its table. */
    if (unshare(CLONE_FS | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return err_sys(e, errno, "cannot make a mount namespace for the copy");
    int r = sys_move_mount(root, AT_FDCWD, at);
    if (r < 0)
        return err_sys(e, r, "cannot mount the container's file system at %s", at);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = attach_bind(root, &binds[i], e);
    if (r == 0 && read_only) {
        r = sys_mount_setattr(root, false, MOUNT_ATTR_RDONLY, 0, 0, -1);
        if (r < 0)
            (void)err_sys(e, r, "cannot make the container's file system read-only"); /* sets */
    }
    if (r < 0)
        cp_mounts_detach(at);
    return r;
}

void cp_mounts_detach(const char *at) {
    (void)umount2(at, MNT_DETACH); /* the namespace ends with the thread anyway */
}
