/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The descriptor based mount API (Linux 5.2 and later): thin wrappers without glibc's help, since
 * Debian 12's glibc has only part of them. Everything returns a descriptor (close-on-exec) or 0,
 * or -errno. No path is looked up twice: callers hold descriptors. (Not called mount.h: that would
 * hide the C library's <sys/mount.h>.)
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/types.h>

/* A copy of the mount at dirfd/path, attached nowhere. flags: AT_RECURSIVE, AT_EMPTY_PATH,
 * AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT. OPEN_TREE_CLONE is implied. */
int sys_open_tree(int dirfd, const char *path, unsigned flags);
/* Attaches (or moves) the mount `from` (a descriptor of its root) onto to_dirfd/to_path; "" or
 * NULL means the descriptor itself. A symlink at the end of to_path is not followed. */
int sys_move_mount(int from, int to_dirfd, const char *to_path);
int sys_fsopen(const char *fs_type);
int sys_fsconfig_flag(int fs, const char *key);
int sys_fsconfig_string(int fs, const char *key, const char *value);
int sys_fsconfig_fd(int fs, const char *key, int fd);
int sys_fsconfig_create(int fs);
/* attr: MOUNT_ATTR_*. The result is a detached mount. */
int sys_fsmount(int fs, uint64_t attr);
/* fsopen, options "key=value" or "key" (NULL-terminated, may be NULL), create, fsmount. */
int sys_mount_new(const char *fs_type, const char *const *options, uint64_t attr);
/* propagation: MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE or 0; userns_fd: -1 or the map for
 * MOUNT_ATTR_IDMAP (set by this function). `fd` is the root of the mount. */
int sys_mount_setattr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation,
                      int userns_fd);
/* What the kernel says about the last failure of this context ("" when nothing); NUL-terminated. */
void sys_fs_log(int fs, char *out, size_t size);
/* The mount's own flags at fd as MOUNT_ATTR_* (statfs based: ro, nosuid, nodev, noexec, atime). */
int sys_mount_attr_get(int fd, uint64_t *ret);
/* An overlay that cannot make a directory in its work directory, as on a full disk, is mounted all
 * the same, but read-only, with a line in the kernel's log. 0 when writes are possible at `fd`, its
 * root, else why not. work: a descriptor of the work directory, O_PATH will do. */
int sys_overlay_writable(int fd, int work);
/* pivot_root(".", "."): the caller has the new root as its directory; the old one is detached. */
int sys_pivot_into(int root);
