/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mountfd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static int result(long r) {
    return r < 0 ? -errno : (int)r;
}

int sys_open_tree(int dirfd, const char *path, unsigned flags) {
    return result(syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

int sys_move_mount(int from, int to_dirfd, const char *to_path) {
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH;
    if (!to_path || !*to_path) {
        to_path = "";
        flags |= MOVE_MOUNT_T_EMPTY_PATH;
    }
    return result(syscall(SYS_move_mount, from, "", to_dirfd, to_path, flags));
}

int sys_fsopen(const char *fs_type) {
    return result(syscall(SYS_fsopen, fs_type, FSOPEN_CLOEXEC));
}

int sys_fsconfig_flag(int fs, const char *key) {
    return result(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, key, NULL, 0));
}

int sys_fsconfig_string(int fs, const char *key, const char *value) {
    return result(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0));
}

int sys_fsconfig_fd(int fs, const char *key, int fd) {
    return result(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, key, NULL, fd));
}

int sys_fsconfig_create(int fs) {
    return result(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
}

int sys_fsmount(int fs, uint64_t attr) {
    return result(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, (unsigned)attr));
}

int sys_mount_new(const char *fs_type, const char *const *options, uint64_t attr) {
    auto_fd fs = sys_fsopen(fs_type);
    if (fs < 0)
        return fs;
    for (; options && *options; options++) {
        const char *eq = strchr(*options, '=');
        int r;
        if (eq) {
            auto_free char *key = xstrndup(*options, (size_t)(eq - *options));
            r = sys_fsconfig_string(fs, key, eq + 1);
        } else {
            r = sys_fsconfig_flag(fs, *options);
        }
        if (r < 0)
            return r;
    }
    int r = sys_fsconfig_create(fs);
    if (r < 0)
        return r;
    return sys_fsmount(fs, attr);
}

int sys_mount_setattr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation,
                      int userns_fd) {
    struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
    if (userns_fd >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t)userns_fd;
    }
    unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    return result(syscall(SYS_mount_setattr, fd, "", flags, &attr, sizeof(attr)));
}

void sys_fs_log(int fs, char *out, size_t size) {
    size_t len = 0;
    char line[512];
    out[0] = '\0';
    for (;;) {
        ssize_t n = read(fs, line, sizeof(line));
        if (n <= 0)
            return;
        /* "e overlay: text": the level is for logs only. */
        size_t skip = n > 2 && line[1] == ' ' ? 2 : 0;
        size_t take = (size_t)n - skip;
        if (len && len + 2 < size) {
            memcpy(out + len, "; ", 2);
            len += 2;
        }
        if (take >= size - len)
            take = size - len - 1;
        memcpy(out + len, line + skip, take);
        len += take;
        while (len && out[len - 1] == '\n')
            len--;
        out[len] = '\0';
    }
}

int sys_mount_attr_get(int fd, uint64_t *ret) {
    struct statvfs st;
    if (fstatvfs(fd, &st) < 0)
        return -errno;
    uint64_t attr = 0;
    attr |= st.f_flag & ST_RDONLY ? MOUNT_ATTR_RDONLY : 0;
    attr |= st.f_flag & ST_NOSUID ? MOUNT_ATTR_NOSUID : 0;
    attr |= st.f_flag & ST_NODEV ? MOUNT_ATTR_NODEV : 0;
    attr |= st.f_flag & ST_NOEXEC ? MOUNT_ATTR_NOEXEC : 0;
    attr |= st.f_flag & ST_NODIRATIME ? MOUNT_ATTR_NODIRATIME : 0;
    if (st.f_flag & ST_NOATIME)
        attr |= MOUNT_ATTR_NOATIME;
    else if (!(st.f_flag & ST_RELATIME))
        attr |= MOUNT_ATTR_STRICTATIME;
    *ret = attr;
    return 0;
}

int sys_overlay_writable(int fd, int work) {
    struct statvfs st;
    if (fstatvfs(fd, &st) < 0)
        return -errno;
    if (!(st.f_flag & ST_RDONLY))
        return 0;
    if (mkdirat(work, "probe", 0700) < 0 && errno != EEXIST)
        return -errno;
    /* It goes now: freed blocks of a full disk come back a moment later. */
    return unlinkat(work, "probe", AT_REMOVEDIR) < 0 ? -errno : -ENOSPC;
}

int sys_pivot_into(int root) {
    if (fchdir(root) < 0)
        return -errno;
    int r = result(syscall(SYS_pivot_root, ".", "."));
    if (r < 0)
        return r;
    /* The old root now lies on top of the new one, at the same place. */
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}
