/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Paths inside a directory that somebody else controls (a container's root). Every lookup is one
 * openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): "..", absolute symlinks and races end inside
 * `root`. A path may or may not begin with a slash. Descriptors are close-on-exec; -errno.
 */
#include <stdint.h>
#include <sys/types.h>

/* flags: O_*; mode is used with O_CREAT and O_TMPFILE only. */
int path_open_in(int root, const char *path, uint64_t flags, mode_t mode);
/* The same with RESOLVE_* bits of the caller's choice added. */
int path_open_in_how(int root, const char *path, uint64_t flags, mode_t mode, uint64_t resolve);
/* Opens a directory (O_PATH), making the components that are missing with `mode` (umask does not
 * count) and, unless uid is (uid_t)-1, the owner. Symlinks are followed inside root, dangling
 * ones too: what they name is made. */
int path_mkdirs_in(int root, const char *path, mode_t mode, uid_t uid, gid_t gid);
/* The same for a regular file: missing directories get 0755, a missing file is made empty. An
 * existing entry of any kind is opened (O_PATH). */
int path_mkfile_in(int root, const char *path, mode_t mode, uid_t uid, gid_t gid);
/* "/proc/self/fd/N", for calls that only take paths. Returns out. */
#define PATH_FD_MAX 32
char *path_of_fd(int fd, char out[static PATH_FD_MAX]);
